"""XAVPs: `$xavp(root[index]=>child[index])`, of the current message or transaction, and what KSR.pvx does with them.

Roots of one name are a stack, and a root holds either one value or a stack of children. Setting `$xavp(a=>x)` without
an index puts a new root on top; `$xavp(a[0]=>x)` adds to the root that is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from KSR.mock.engine.behaviour import Result
from KSR.mock.pv.spec import ALL, Spec
from KSR.mock.pv.variables import getter, setter

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@dataclass(eq=False)
class Xavp:
    """One element of a stack; `value` is a list for a root with children."""

    name: str
    value: int | str | list[Xavp]


Xavps: TypeAlias = list[Xavp]


def named(elements: Xavps, name: str) -> Xavps:
    """Return the elements of one name, newest first."""
    return [element for element in elements if element.name == name]


def at(elements: Xavps, name: str, index: int = 0) -> Xavp | None:
    """Return one element; a negative index counts from the oldest."""
    found = named(elements, name)
    return found[index] if -len(found) <= index < len(found) else None


def children(process: Process, root: Xavp | None) -> Xavps | None:
    """Return the stack in which a child is looked for: with no child left, Kamailio takes the roots."""
    if root is None or not isinstance(root.value, list):
        return None
    return root.value or process.xavps


def shown(element: Xavp | None) -> Result:
    """Return what a script sees of an element; of a root with children that is a meaningless text."""
    if element is None:
        return None
    return f"<<xavp:{id(element.value):#x}>>" if isinstance(element.value, list) else element.value


def remove(elements: Xavps, name: str, index: int | str) -> None:
    """Take one element away, or all of a name."""
    for element in named(elements, name):
        if index == ALL or element is at(elements, name, int(index)):
            elements.remove(element)
            if index != ALL:
                return


# ---- $xavp(...) -----------------------------------------------------------------------------------------------------


_PART = re.compile(r"\s*([^=\s\[]+)\s*(?:\[(\*|-?\d+)\])?\s*")


@dataclass(frozen=True)
class Part:
    """A name with its index, which is None where none is written."""

    name: str
    index: int | str | None

    @property
    def place(self) -> int:
        """The index as a number; "*" reads from the newest."""
        return 0 if self.index in (None, ALL) else int(self.index or 0)


def parts(spec: Spec) -> list[Part]:
    """Split `root[index]=>child[index]`."""
    found = [_PART.fullmatch(text) for text in spec.inner.split("=>", 1)]
    split = [Part(part[1], _index(part[2])) for part in found if part]
    if len(split) != len(found):
        raise ValueError(f"{spec.text!r} is no $xavp(root[index]=>child[index])")
    return split


def _index(text: str | None) -> int | str | None:
    return text if text in (None, ALL) else int(text or 0)


@getter("xavp")
def _xavp(process: Process, spec: Spec) -> Result:
    root, *child = parts(spec)
    element = at(process.xavps, root.name, root.place)
    if not child:
        return shown(element)
    inside = children(process, element)
    if inside is None:
        return None
    if child[0].index == ALL:
        every = named(inside, child[0].name)
        return ",".join(str(shown(one)) for one in every) if every else None
    return shown(at(inside, child[0].name, child[0].place))


@setter("xavp")
def _set_xavp(process: Process, spec: Spec, value: Result) -> bool:
    root, *child = parts(spec)
    if value is None:
        _unset(process, root, *child)
    elif not child and root.index is None:
        process.xavps.insert(0, Xavp(root.name, value))
    elif not child:
        element = at(process.xavps, root.name, root.place)
        if root.index == ALL or element is None:
            return False
        element.value = value
    elif root.index is None:
        process.xavps.insert(0, Xavp(root.name, [Xavp(child[0].name, value)]))
    elif root.index != ALL:
        return _set_child(at(process.xavps, root.name, root.place), child[0], value)
    return True


def _set_child(root: Xavp | None, child: Part, value: int | str) -> bool:
    """Add to a root, or change the child that has an index; what is missing is passed over silently."""
    if root is None:
        return True
    if not isinstance(root.value, list):
        return False
    if child.index is None:
        root.value.insert(0, Xavp(child.name, value))
    elif child.index != ALL:
        element = at(root.value, child.name, child.place)
        if element is not None:
            element.value = value
    return True


def _unset(process: Process, root: Part, child: Part | None = None) -> None:
    if child is None:
        remove(process.xavps, root.name, root.index or 0)
        return
    roots = named(process.xavps, root.name) if root.index == ALL else [at(process.xavps, root.name, root.place)]
    for element in roots:
        if element is not None and isinstance(element.value, list):
            remove(element.value, child.name, child.index or 0)
