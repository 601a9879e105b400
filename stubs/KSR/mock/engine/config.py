"""Read a kamailio.cfg as far as a KEMI script depends on it: defines, module parameters, loaded modules, addresses.

A test can so run on the very configuration that Kamailio runs on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_DIRECTIVE = re.compile(r"#!(\w+)\s*(.*)")
_MODPARAM = re.compile(r'modparam\s*\(\s*"([^"]+)"\s*,\s*"([^"]+)"\s*,\s*(.+?)\s*\)\s*;?\s*$')
_LOADMODULE = re.compile(r'loadmodule\s*\(?\s*"([^"]+)"')
_INCLUDE = re.compile(r'(include_file|import_file)\s+"([^"]+)"')
_ADDRESS = re.compile(r"(listen|alias)\s*=\s*\"?(?:(\w+):)?(\[[0-9a-fA-F:]+\]|[^:\s\"]+)(?::(\d+))?")
_WORD = re.compile(r"(?<![\w\"])[A-Za-z_]\w*(?![\w\"])")
# What a module file exports under another name.
EXPORTS = {"kemix": ("kx",), "pv": ("pvx",)}


@dataclass
class Config:
    """What was read."""

    defines: dict[str, str] = field(default_factory=dict)
    modparams: list[tuple[str, str, int | str]] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    listen: list[tuple[str, str, int]] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    _substitutions: list[tuple[str, str]] = field(default_factory=list)
    _conditions: list[bool] = field(default_factory=list)

    def read(self, path: Path, env: Mapping[str, str]) -> None:
        """Read a file and what it includes."""
        for line in path.read_text(encoding="utf-8").splitlines():
            found = _DIRECTIVE.match(line.strip())
            if found:
                self._directive(found[1], found[2].strip(), env)
            elif all(self._conditions):
                self._line(line.strip(), path, env)

    def _directive(self, name: str, rest: str, env: Mapping[str, str]) -> None:
        if name in ("ifdef", "ifndef"):
            self._conditions.append((rest in self.defines) == (name == "ifdef"))
        elif name == "else":
            self._conditions[-1] = not self._conditions[-1]
        elif name == "endif":
            self._conditions.pop()
        elif all(self._conditions):
            self._define(name, rest, env)

    def _define(self, name: str, rest: str, env: Mapping[str, str]) -> None:
        word, _, value = rest.partition(" ")
        if name in ("define", "trydef", "redefine"):
            if name != "trydef" or word not in self.defines:
                self.defines[word] = value.strip()
        elif name in ("defenv", "trydefenv", "defenvs", "trydefenvs"):
            variable, _, other = rest.partition("=")
            if variable in env:
                text = env[variable]
                self.defines[other or variable] = f'"{text}"' if name.endswith("s") else text
        elif name in ("subst", "substdef", "substdefs"):
            self._substitution(name, rest.strip('"'))

    def _substitution(self, name: str, text: str) -> None:
        found, replacement = text[1:].split(text[0])[:2]
        replacement = re.sub(r"\$def\((\w+)\)", lambda match: self.defines.get(match[1], ""), replacement)
        self._substitutions.append((found, replacement))
        if name != "subst":
            self.defines[found] = f'"{replacement}"' if name == "substdefs" else replacement

    def _line(self, line: str, path: Path, env: Mapping[str, str]) -> None:
        if line.startswith(("#", "//")):
            return
        for found, replacement in self._substitutions:
            line = line.replace(found, replacement)
        line = _WORD.sub(lambda match: self.defines.get(match[0], match[0]), line)
        if include := _INCLUDE.match(line):
            self._include(include[1], path.parent / include[2], env)
        elif module := _LOADMODULE.match(line):
            self.modules.add(module[1].rpartition("/")[2].removesuffix(".so"))
        elif param := _MODPARAM.match(line):
            text = param[3]
            value = int(text) if re.fullmatch(r"-?\d+", text) else text.strip('"')
            self.modparams += [(module_name, param[2], value) for module_name in param[1].split("|")]
        elif address := _ADDRESS.match(line):
            host = address[3].strip("[]")
            if address[1] == "listen":
                self.listen.append((address[2] or "udp", host, int(address[4] or 5060)))
            else:
                self.aliases.append(host)

    def _include(self, kind: str, path: Path, env: Mapping[str, str]) -> None:
        if kind == "include_file" or path.exists():
            self.read(path, env)

    def ksr_modules(self) -> set[str]:
        """Return the names of the KSR modules that the loaded modules bring."""
        exported = {name for module in self.modules for name in EXPORTS.get(module, ())}
        return {"", "pv", "hdr", *self.modules, *exported}


def read_config(path: Path, env: Mapping[str, str], major: int) -> Config:
    """Read a kamailio.cfg for a Kamailio of this major version."""
    config = Config(defines={"KAMAILIO": "", f"KAMAILIO_{major}": ""})
    config.read(path, env)
    return config
