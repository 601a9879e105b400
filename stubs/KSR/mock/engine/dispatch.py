"""Make `KSR.htable.sht_get(...)` reach the mock: attributes appear on first use and follow the active version.

The function objects stay plain Python functions in the namespace of real module objects, so that unittest.mock and
pytest-mock can patch and spy on them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from opcode import opname
from types import FrameType, ModuleType

from KSR.mock.engine.kamailio import active

# What app_python3 sets on the module, and the modules that it also registers in sys.modules.
KSR_VERSION = 1002
IMPORTABLE = ("pv", "x")
PACKAGE_PARTS = frozenset({"mock", "generate", "pytest_plugin", "api"})


def make_function(name: str) -> Callable[..., object]:
    """Return the Python function behind one KEMI function; `name` is its full name, "htable.sht_get"."""

    def call(*args: object) -> object:
        return active().call(name, args)

    call.__name__ = call.__qualname__ = name.rpartition(".")[2]
    return call


class KsrModule(ModuleType):
    """A KSR module, such as KSR.htable; for KSR itself see KsrPackage."""

    ksr_name: str

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = self._find(name)
        if found is None:
            return active().unknown_attribute(self.__name__, name, probing=_is_probe(sys._getframe(1)))
        self.__dict__[name] = found
        active().learned.append((self, name))
        return found

    def _find(self, name: str) -> object | None:
        full = f"{self.ksr_name}.{name}"
        if full == "x.modf":
            return make_function(full)
        return make_function(full) if full in active().signatures else None

    def __dir__(self) -> list[str]:
        functions = active().modules.get(self.ksr_name, {})
        return sorted({*functions, *self.__dict__})


class KsrPackage(KsrModule):
    """KSR itself: the core functions, and the modules."""

    ksr_name = ""

    def _find(self, name: str) -> object | None:
        kamailio = active()
        if name in kamailio.modules or name == "x":
            return make_module(name)
        return make_function(name) if name in kamailio.signatures else None

    def __dir__(self) -> list[str]:
        modules = active().modules
        return sorted({*modules[""], *(name for name in modules if name), "x", "__version__"})


MODULES: dict[str, KsrModule] = {}


def make_module(name: str) -> KsrModule:
    """Return the one module object of that name; it outlives tests, its functions do not."""
    if name not in MODULES:
        module = KsrModule(f"KSR.{name}")
        module.ksr_name = name
        MODULES[name] = module
    return MODULES[name]


def install(package: ModuleType) -> None:
    """Turn the imported package into the KSR module."""
    package.__class__ = KsrPackage
    package.__dict__["__version__"] = KSR_VERSION
    for name in IMPORTABLE:
        sys.modules[f"KSR.{name}"] = make_module(name)


def _is_probe(frame: FrameType) -> bool:
    """Tell `hasattr(KSR, "x")` and `getattr(KSR, "x", None)` from `KSR.x`, which is an attribute instruction."""
    return not opname[frame.f_code.co_code[frame.f_lasti]].startswith(("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"))
