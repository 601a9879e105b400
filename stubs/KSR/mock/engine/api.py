"""Which KEMI functions a Kamailio version has, with their types, from the JSON files in KSR/api.

The files hold the answer of the RPC `app_python.api_list` of a running Kamailio.
"""

from __future__ import annotations

import json
import os.path
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# No pathlib, to keep `import KSR` quick.
_FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "api")


@dataclass(frozen=True, slots=True)
class Signature:
    """One KEMI function: `name` is "htable.sht_get" or, for the core, "info"."""

    name: str
    params: tuple[str, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class Line:
    """A Kamailio version that the mock can play.

    `api` is the version whose function list is used, `rtpengine` the generation of the rtpengine module, `major`
    decides how wrong arguments are treated (5: SystemError, 6: False and a logged error).
    """

    version: str
    api: str
    rtpengine: str
    major: int

    def since(self, *version: int) -> bool:
        """Tell whether this version is the given one or later."""
        return tuple(int(part) for part in self.version.split(".")) >= version


LINES = {
    line.version: line
    for line in (
        Line("5.6.3", api="5.6.3", rtpengine="5.6", major=5),
        Line("6.0.1", api="6.0.1", rtpengine="6.0.1", major=6),
        Line("6.0.2", api="6.0.1", rtpengine="6.0.2", major=6),
        Line("6.1.5", api="6.1.5", rtpengine="6.1", major=6),
    )
}
DEFAULT_VERSION = "5.6.3"


def line(version: str) -> Line:
    """Return the line of a version; a prefix such as "6.1" is enough when only one version begins with it."""
    if version in LINES:
        return LINES[version]
    matches = [found for name, found in LINES.items() if name.startswith(version + ".")]
    if len(matches) != 1:
        raise ValueError(f"no Kamailio version {version!r} in this mock; known: {', '.join(LINES)}")
    return matches[0]


def load_api_file(path: Path | str) -> dict[str, dict[str, Signature]]:
    """Read one file of KSR/api: module name ("" for the core) to function name to signature."""
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    return {
        module: {
            name: Signature(f"{module}.{name}" if module else name, tuple(entry["params"]), entry["ret"])
            for name, entry in functions.items()
        }
        for module, functions in data["functions"].items()
    }


@cache
def modules(api: str) -> dict[str, dict[str, Signature]]:
    """Return all functions of a version by module."""
    return load_api_file(os.path.join(_FOLDER, f"kamailio-{api}.json"))


@cache
def signatures(api: str) -> dict[str, Signature]:
    """Return all functions of a version by their full name."""
    return {signature.name: signature for functions in modules(api).values() for signature in functions.values()}
