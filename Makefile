# make demo               everything it needs is set up, then calls run while a node is disabled, reloaded, enabled
# make test               everything it needs is set up, then lint, types, unit, walk, contract and real tests
# make run LINE=6.0       the demo's system in the foreground, to try by hand
# make soak LINE=6.0      a long random walk on a real Kamailio; SEED=1 and SECONDS=900 as you like
# make bench              every performance claim, measured

SHELL := /bin/bash
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin

PACKAGES := kamailio kamailio-python3-modules kamailio-sqlite-modules kamailio-utils-modules kamailio-extra-modules \
	rtpengine-daemon sip-tester python3-venv python3-yaml mmdebstrap
BENCH_PACKAGES := valgrind

# What runs on every line unless LINE names one
ONLY := $(if $(LINE),--line $(LINE))
LINE ?= 5.6
SEED ?= 1
SECONDS ?= 900

.PHONY: help setup packages bench-packages lines demo run test lint types unit contract real walk soak bench clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -5

setup: packages $(VENV)/ready

packages:
	@$(call install,$(PACKAGES))

# apt is asked only when something is missing.
install = missing=$$(for name in $(1); do \
		dpkg-query --show --showformat='$${db:Status-Status}' $$name 2>/dev/null | grep -qx installed || echo $$name; \
	done); \
	if [ -n "$$missing" ]; then \
		apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install $$missing; \
	fi

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

# The Kamailio lines that the machine does not have itself, in folders under .cache
lines: setup
	$(BIN)/python -m tests.lab.lines

demo: setup
	$(BIN)/python -m tests.lab.demo --line $(LINE)

run: setup
	$(BIN)/python -m tests.lab.run --line $(LINE)

test: setup lint types unit walk contract real

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PYTHONPATH=stubs:. $(BIN)/lint-imports

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest tests/unit

contract: lines
	$(BIN)/python -m pytest tests/contract $(ONLY)

# On all lines side by side, or on the one that LINE names
real: lines
	$(BIN)/python -m pytest tests/real $(ONLY) -n 2 --dist loadgroup --no-loadscope-reorder

# A long random walk on the stub
walk: setup
	$(BIN)/python -m pytest tests/walk

soak: lines
	$(BIN)/python -m tests.lab.soak --line $(LINE) --seed $(SEED) --seconds $(SECONDS)

bench-packages:
	@$(call install,$(BENCH_PACKAGES))

$(VENV)/ready-bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

bench: lines bench-packages $(VENV)/ready-bench
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
