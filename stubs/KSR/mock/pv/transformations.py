"""Transformations of pseudo-variables: $(ru{uri.host}), $(var(x){s.substr,0,3}) and so on.

A subset of pv/pv_trans.c: the classes s, uri, param, nameaddr, tobody and re.subst. One that is missing here fails the
test instead of giving a wrong value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from KSR.mock.engine.behaviour import Result
from KSR.mock.sip.syntax import find_param, parse_name_addr, parse_uri

TextFunction: TypeAlias = Callable[[str, list[str]], Result]


class Transformation(NamedTuple):
    """What is to be done with a value; the parameters as they are written, their variables not yet expanded."""

    function: TextFunction
    parameters: tuple[str, ...]


class TransformationError(ValueError):
    """Kamailio has no such transformation, or the mock has not."""


def parse_transformations(text: str) -> tuple[Transformation, ...]:
    """Parse `{s.len}{s.substr,0,1}`; parameters may hold parentheses and variables."""
    found: list[Transformation] = []
    while text:
        end = closing(text, "{", "}") if text.startswith("{") else None
        if end is None:
            raise TransformationError(text)
        found.append(_parse_one(text[1:end]))
        text = text[end + 1 :]
    return tuple(found)


def closing(text: str, opening: str, closer: str) -> int | None:
    """Return where the bracket closes that the text begins with."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char == opening) - (char == closer)
        if depth == 0:
            return place
    return None


def _parse_one(text: str) -> Transformation:
    name, _, rest = text.partition(",")
    name = name.strip()
    parameters = rest.split(",") if rest else []
    if name == "s.select":  # its second parameter is one character, which may be a comma
        place, _, separator = rest.partition(",")
        parameters = [place, separator[:1]]
    function = FUNCTIONS.get(name)
    if function is None:
        raise TransformationError(name)
    return Transformation(function, tuple(parameters))


def _substr(text: str, args: list[str]) -> Result:
    start, length = int(args[0]), int(args[1])
    if start < 0:
        start += len(text)
    if not 0 <= start < len(text):
        return None
    return text[start:] if length == 0 else text[start : start + length]


def _select(text: str, args: list[str]) -> Result:
    parts = text.split(args[1])
    place = int(args[0])
    return parts[place] if -len(parts) <= place < len(parts) else ""


def _int(text: str, _args: list[str]) -> Result:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else None


def _escaper(unreserved: str) -> TextFunction:
    """Escape all but letters, digits and these, as escape_user and escape_param do."""
    kept = frozenset(unreserved)

    def escape(text: str, _args: list[str]) -> Result:
        return "".join(c if c.isascii() and (c.isalnum() or c in kept) else f"%{ord(c):02x}" for c in text)

    return escape


def _unescape(text: str, _args: list[str]) -> Result:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)


def _hash(name: str) -> TextFunction:
    def digest(text: str, _args: list[str]) -> Result:
        import hashlib  # here, to keep `import KSR` quick

        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

    return digest


def _strip(text: str, args: list[str]) -> Result:
    return text[int(args[0]) :]


def _strip_tail(text: str, args: list[str]) -> Result:
    return text[: max(0, len(text) - int(args[0]))]


def _uri(part: str) -> TextFunction:
    def get(text: str, args: list[str]) -> Result:
        uri = parse_uri(text)
        if not uri.valid:
            return None if part == "port" else ""
        if part == "param":
            return uri.param(args[0]) or ""
        if part == "transport":
            return uri.param("transport") or ""
        if part == "port":
            return int(uri.port or (5061 if uri.scheme == "sips" else 0)) or ""
        return str(getattr(uri, {"passwd": "password"}.get(part, part)))

    return get


def _name_addr(part: str) -> TextFunction:
    def get(text: str, args: list[str]) -> Result:
        found = parse_name_addr(text)
        before, bracket, rest = text.partition("<")
        if part == "name":
            return before if bracket else ""  # as it stands there, quotes and blanks included
        if part == "len":
            return len((before + bracket + rest.partition(">")[0] + ">").encode()) if bracket else len(text)
        return found.uri if part == "uri" else found.tag or "" if part == "tag" else found.params

    return get


def _to_body(part: str) -> TextFunction:
    def get(text: str, _args: list[str]) -> Result:
        found = parse_name_addr(text)
        uri = parse_uri(found.uri)
        values = {
            "uri": found.uri, "tag": found.tag or "", "display": found.display, "params": found.params,
            "uri_user": uri.user, "uri_host": uri.host,
        }  # fmt: skip
        return values[part]

    return get


def _param_value(text: str, args: list[str]) -> Result:
    separator = args[1] if len(args) > 1 else ";"
    return find_param(text.replace(separator, ";"), args[0]) or ""


def _param_name(text: str, args: list[str]) -> Result:
    parts = text.split(";")
    place = int(args[0])
    return parts[place].partition("=")[0].strip() if -len(parts) <= place < len(parts) else ""


def _substitute(text: str, args: list[str]) -> Result:
    expression = ",".join(args)
    parts = expression[1:].split(expression[:1])
    flags = parts[2] if len(parts) > 2 else ""
    pattern = re.compile(parts[0], re.IGNORECASE if "i" in flags else 0)
    return pattern.sub(parts[1], text, count=0 if "g" in flags else 1)


FUNCTIONS: dict[str, TextFunction] = {
    "s.len": lambda text, args: len(text.encode()),
    "s.int": _int,
    "s.substr": _substr,
    "s.select": _select,
    "s.strip": _strip,
    "s.striptail": _strip_tail,
    "s.toupper": lambda text, args: text.upper(),
    "s.tolower": lambda text, args: text.lower(),
    "s.trim": lambda text, args: text.strip(" \t\r\n"),
    "s.ltrim": lambda text, args: text.lstrip(" \t\r\n"),
    "s.rtrim": lambda text, args: text.rstrip(" \t\r\n"),
    "s.rm": lambda text, args: text.replace(args[0], ""),
    "s.replace": lambda text, args: text.replace(args[0], args[1]),
    "s.prefixes": lambda text, args: ",".join(text[:end] for end in range(1, len(text) + 1)),
    "s.md5": _hash("md5"),
    "s.sha256": _hash("sha256"),
    "s.sha512": _hash("sha512"),
    "s.encode.hexa": lambda text, args: text.encode().hex(),
    "s.decode.hexa": lambda text, args: bytes.fromhex(text).decode(),
    "s.escape.param": _escaper("-_.!~*'()[]/:&+$"),
    "s.unescape.param": _unescape,
    "s.escape.user": _escaper("-_.!~*'()&=+$,;?"),
    "s.unescape.user": _unescape,
    "s.numeric": lambda text, args: re.sub(r"\D", "", text),
    "re.subst": _substitute,
    "param.value": _param_value,
    "param.name": _param_name,
    "param.count": lambda text, args: len([part for part in text.split(";") if part.strip()]),
    **{f"uri.{part}": _uri(part) for part in
       ("user", "passwd", "host", "port", "params", "param", "headers", "transport", "scheme")},
    **{f"nameaddr.{part}": _name_addr(part) for part in ("name", "uri", "len", "params")},
    **{f"tobody.{part}": _to_body(part) for part in ("uri", "tag", "display", "params", "uri_user", "uri_host")},
}  # fmt: skip
