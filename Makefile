# make demo   everything it needs is set up, then calls run while a node is disabled, reloaded, restarted, enabled
# make test   everything it needs is set up, then lint, types, unit, contract and real tests
# make run    the demo's system in the foreground, to try by hand

SHELL := /bin/bash
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin

PACKAGES := kamailio kamailio-python3-modules kamailio-sqlite-modules kamailio-utils-modules kamailio-extra-modules \
	rtpengine-daemon sip-tester python3-venv python3-yaml

.PHONY: help setup packages demo run test lint types unit contract real clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -3

setup: packages $(VENV)/ready

# apt is asked only when something is missing.
packages:
	@missing=$$(for name in $(PACKAGES); do \
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

demo: setup
	$(BIN)/python -m tests.lab.demo

run: setup
	$(BIN)/python -m tests.lab.run

test: setup lint types unit contract real

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest tests/unit

contract: setup
	$(BIN)/python -m pytest tests/contract

real: setup
	$(BIN)/python -m pytest tests/real

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
