"""YAML files to checked values: every fault of a file in one pass, with line, field, value and what is valid."""

from __future__ import annotations

import contextlib
import difflib
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")

_MAX_DEPTH = 20
_MAX_SHOWN = 200

# libyaml when PyYAML was built with it (Debian's is), else PyYAML's own parser: ten times slower, same result.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file. `line` counts from 1; 0 stands for the file as a whole."""

    file: str
    line: int
    field: str
    value: str
    valid: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.value, self.valid) if part)


class DocumentError(Exception):
    """A file that cannot be used; `faults` holds everything found wrong in it, in the order of its lines."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line))
        super().__init__("\n".join(map(str, self.faults)))


def file_version(path: Path) -> object:
    """A value that changes whenever a file is written or replaced; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def watched_version(path: Path) -> object:
    """The version of a file that people edit; one that changed this very moment counts as changed at the next look too.

    Its time is no finer than the kernel's clock tick: another change within the same tick would not show.
    """
    version = file_version(path)
    if isinstance(version, tuple) and time.time_ns() - version[0] < 50_000_000:
        return (*version, time.time_ns())
    return version


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that ends a message: `` (did you mean x?)``, or nothing when no known word is near."""
    matches = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""


def read_text(path: Path) -> str:
    """What a file holds. Raises DocumentError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError([Fault(str(path), 0, "", "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise DocumentError([Fault(str(path), 0, "", "", f"is not UTF-8 text: {error.reason}")]) from None


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection meanwhile: of a large file that is being read it finds nothing, again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Document:
    """One YAML file being checked; faults gather in `faults` until `finish` raises them."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Read `path` (or `text` in its place). Raises DocumentError when it cannot be read or is not YAML."""
        self.file = str(path)
        self.faults: list[Fault] = []
        if text is None:
            text = read_text(path)
        try:
            _check_depth(text)
            self._root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            what = " ".join(part for part in (error.context, error.problem) if part)
            valid = f"is not valid YAML: {what} (text with : [ ] {{ }} in it needs quotes)"
            raise DocumentError([Fault(self.file, line, "", "", valid)]) from None
        except (yaml.YAMLError, RecursionError) as error:
            raise DocumentError([Fault(self.file, 0, "", "", f"is not valid YAML: {error}")]) from None

    def root(self) -> Section:
        """The top level of the file, which must be a mapping."""
        if self._root is None:
            self._root = yaml.MappingNode("tag:yaml.org,2002:map", [])
        return Section(self, self._root, "")

    def fault(self, line: int, field: str, value: object, valid: str) -> None:
        """Note one fault; checking goes on."""
        text = "" if value is None else value if isinstance(value, str) else repr(value)
        text = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
        self.faults.append(Fault(self.file, line, field, text, valid))

    def finish(self) -> None:
        """Raise DocumentError when a fault was noted."""
        if self.faults:
            raise DocumentError(self.faults)


def _check_depth(text: str) -> None:
    """The composer calls itself for each level, in C too, where running out of stack ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > _MAX_DEPTH:
                mark: Any = event.start_mark  # libyaml has a Mark of its own, alike in all but type
                raise yaml.MarkedYAMLError(problem=f"nested deeper than {_MAX_DEPTH} levels", problem_mark=mark)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def line_of(node: yaml.Node) -> int:
    """The line, from 1, that a YAML node stands on (0 for a node that no file holds)."""
    return node.start_mark.line + 1 if node.start_mark else 0


class Section:
    """A YAML mapping being read key by key; `done` reports the keys that nobody asked for."""

    def __init__(self, document: Document, node: yaml.Node, field: str) -> None:
        self.document = document
        self.field = field
        self.line = line_of(node)
        self._values: dict[str, tuple[yaml.Node, int]] = {}
        self._known: list[str] = []
        if node.tag == "tag:yaml.org,2002:null":
            node = yaml.MappingNode(node.tag, [])  # a key with nothing below it
        self._usable = isinstance(node, yaml.MappingNode)
        if not self._usable:
            document.fault(self.line, field or "top level", shown(node), "must be a mapping of keys to values")
            return
        for key_node, value_node in node.value:
            key, line = shown(key_node), line_of(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                document.fault(line, field, key, "a key must be plain text")
            elif key in self._values:
                first = self._values[key][1]
                document.fault(line, self._name(key), "", f"appears twice (first in line {first}); keep one")
            else:
                self._values[key] = (value_node, line)

    def _name(self, key: str) -> str:
        return f"{self.field}.{key}" if self.field else key

    def keys(self) -> list[str]:
        """The keys of the mapping, in the order of the file."""
        return list(self._values)

    def line_of(self, key: str) -> int:
        """The line of `key`, or of the mapping when the key is not there."""
        return self._values[key][1] if key in self._values else self.line

    def get(self, key: str, parse: Callable[[object], T], default: T | None = None) -> T | None:
        """The value of `key` as `parse` makes it; `default` when the key is absent or faulty.

        `parse` gets the plain YAML value and raises ValueError with what would be valid.
        """
        self._known.append(key)
        if key not in self._values:
            return default
        node, line = self._values[key]
        try:
            value = _construct(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            self.document.fault(line, self._name(key), shown(node), f"cannot be read: {_first_line(error)}")
            return default
        try:
            return parse(value)
        except (ValueError, OverflowError) as error:
            text = value if isinstance(value, bool) else shown(node)
            self.document.fault(line, self._name(key), text, str(error))
            return default

    def need(self, key: str, parse: Callable[[object], T]) -> T | None:
        """Like `get`, but an absent key is a fault."""
        if key not in self._values:
            self._known.append(key)
            if self._usable:
                self.document.fault(self.line, self._name(key), "", "is missing")
            return None
        return self.get(key, parse)

    def section(self, key: str) -> Section | None:
        """The mapping below `key`, or None when the key is absent."""
        self._known.append(key)
        if key not in self._values:
            return None
        return Section(self.document, self._values[key][0], self._name(key))

    def sections(self, key: str) -> list[Section] | None:
        """The mappings of the list below `key`; None when the value is not a list (which is a fault)."""
        self._known.append(key)
        node, line = self._values[key]
        if not isinstance(node, yaml.SequenceNode):
            self.document.fault(line, self._name(key), shown(node), "must be a list, one item per node")
            return None
        return [Section(self.document, item, f"{self._name(key)}[{index}]") for index, item in enumerate(node.value)]

    def done(self) -> None:
        """Report every key that was not asked for, with the nearest that exists."""
        for key, (_, line) in self._values.items():
            if key not in self._known:
                hint = nearest(key, self._known) or f" (known keys: {', '.join(self._known)})"
                self.document.fault(line, self._name(key), "", f"unknown key{hint}")


def shown(node: yaml.Node) -> str:
    """A YAML node as a message shows it."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _construct(node: yaml.Node) -> object:
    if node.tag == "tag:yaml.org,2002:str" and isinstance(node, yaml.ScalarNode):
        return node.value  # nearly all values; a constructor for each takes as long as all the rest
    constructor = yaml.constructor.SafeConstructor()
    value: object = constructor.construct_document(node)
    return value


def text(what: str = "text") -> Callable[[object], str]:
    """A parser that takes non-empty printable text on one line."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be {what}; put it in quotes")  # noqa: TRY004 - ValueError is what parsers raise
        if not value.strip() or not value.isprintable():
            raise ValueError(f"must be {what}, not empty, on one line, without control characters")
        return value

    return parse


def integer(low: int, high: int) -> Callable[[object], int]:
    """A parser that takes a whole number from `low` to `high`."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return parse
