"""How app_python3 takes Python arguments: strictly by PyArg_ParseTuple in 5.x, by hand in 6.x.

Follows `sr_apy_kemi_exec_func_ex` in app_python3/apy_kemi.c of each line, checked against running programs.
"""

from __future__ import annotations

from operator import index
from typing import SupportsIndex, TypeAlias

from KSR.mock.engine.api import Signature
from KSR.mock.engine.errors import BadCall

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
# The API list of 6.x prints this for a "long" parameter, whose name its type map lacks (pvx.setl, pv.setl).
UNNAMED_TYPES = "<null string>"

Value: TypeAlias = int | str


def parameters(signature: Signature) -> tuple[str, ...]:
    """Return the parameter types, with those that the API list cannot name put right."""
    if signature.params == (UNNAMED_TYPES,):
        return ("str", "long")
    return signature.params


def convert(signature: Signature, args: tuple[object, ...], major: int) -> list[Value]:
    """Return the arguments as Kamailio's C code sees them, or raise BadCall."""
    wanted = parameters(signature)
    if not wanted:
        return []  # surplus arguments of a function without parameters are not even looked at
    return _convert_5(wanted, args) if major == 5 else _convert_6(signature, wanted, args)


def _convert_5(wanted: tuple[str, ...], args: tuple[object, ...]) -> list[Value]:
    code = "".join("s" if kind == "str" else "n" for kind in wanted)
    caller = f"kemi-param-{code}()"
    log = f"unable to retrieve {'-'.join(wanted)} param {len(wanted) if len(wanted) > 1 else 0}"
    if len(args) != len(wanted):
        plural = "" if len(wanted) == 1 else "s"
        message = f"{caller} takes exactly {len(wanted)} argument{plural} ({len(args)} given)"
        raise BadCall(TypeError(message), log)
    # Four and more parameters are parsed with "n" (Py_ssize_t), and the C code then keeps the lower 32 bits.
    take_int = _int_5 if len(wanted) < 4 else _wide_int_5
    values: list[Value] = []
    for number, (kind, arg) in enumerate(zip(wanted, args, strict=True), 1):
        place = f"{caller} argument {number}"
        try:
            values.append(_str_5(arg, place) if kind == "str" else take_int(arg))
        except (TypeError, ValueError, OverflowError) as error:
            raise BadCall(error, log) from error
    return values


def _str_5(arg: object, place: str) -> str:
    if not isinstance(arg, str):
        given = "None" if arg is None else type(arg).__name__
        raise TypeError(f"{place} must be str, not {given}")
    check_utf8(arg)
    if "\0" in arg:
        raise ValueError("embedded null character")
    return arg


def _int_5(arg: object) -> int:
    value = _index(arg)
    if value > INT_MAX:
        raise OverflowError("signed integer is greater than maximum")
    if value < -INT_MAX - 1:
        raise OverflowError("signed integer is less than minimum")
    return value


def _wide_int_5(arg: object) -> int:
    value = _index(arg)
    if not -LONG_MAX - 1 <= value <= LONG_MAX:
        raise OverflowError("Python int too large to convert to C ssize_t")
    return to_c_int(value)


def _index(arg: object) -> int:
    if not isinstance(arg, SupportsIndex):
        raise TypeError(f"'{type(arg).__name__}' object cannot be interpreted as an integer")
    return index(arg)


def check_utf8(text: str) -> None:
    """Raise UnicodeEncodeError for what C code cannot be given (lone surrogates)."""
    if not text.isascii():
        text.encode("utf-8")


def _convert_6(signature: Signature, wanted: tuple[str, ...], args: tuple[object, ...]) -> list[Value]:
    function = signature.name.rpartition(".")[2]
    values: list[Value] = []
    for number, kind in enumerate(wanted):
        if number >= len(args):
            log = f"invalid number of parameters - idx: {number} argc: {len(args)}"
            raise BadCall(TypeError(log), log)
        arg = args[number]
        place = f"func: {function} idx: {number} argc: {len(args)}"
        if kind == "str":
            if not isinstance(arg, str):
                raise BadCall(TypeError(f"str expected, not {type(arg).__name__}"), f"non-string parameter - {place}")
            check_utf8(arg)
            values.append(arg)
        else:
            if not isinstance(arg, int):
                raise BadCall(TypeError(f"int expected, not {type(arg).__name__}"), f"non-number parameter - {place}")
            values.append(to_c_int(arg) if kind == "int" else arg)
    return values


def to_c_int(value: int) -> int:
    """Return the value as a 32-bit C int keeps it."""
    return (value + 2**31) % 2**32 - 2**31
