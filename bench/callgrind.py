"""Counts the machine instructions of a program that runs: valgrind's callgrind, and what it writes.

Only those within one C function and what that calls. Instructions of the kernel are not counted.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path

_NAME = re.compile(r"(?:\((\d+)\))?(?: ?(.+))?")
_COST = re.compile(r"[\d+*-]\S* (\d+)")


def command(program: list[str], folder: Path, function: str) -> list[str]:
    """The command that runs a program, and all processes that it forks, with counting in this function."""
    return [
        *(
            "valgrind",
            "--tool=callgrind",
            f"--toggle-collect={function}",
            f"--callgrind-out-file={folder}/callgrind.%p",
        ),
        # Only with this do forked processes take commands. No lines of source: what they cost is not asked.
        *("--trace-children=yes", "--dump-line=no", f"--vgdb-prefix={folder}/vgdb"),
        *program,
    ]


class Counted:
    """One process of such a program."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._folder = folder
        self._parts = 0

    def take(self) -> "Instructions":
        """What was counted since this was asked last."""
        self._parts += 1
        self._tell("dump")
        path = self._folder / f"callgrind.{self._pid}.{self._parts}"
        found = read(path)
        path.unlink()
        return found

    def _tell(self, what: str) -> None:
        asked = ["vgdb", f"--vgdb-prefix={self._folder}/vgdb", f"--pid={self._pid}", "--wait=10", what]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(asked)}: {done.stdout}{done.stderr}")


class Instructions:
    """How many, and where: by object file (such as `libpython3.11.so.1.0`), and by function of it."""

    def __init__(self, by_function: "Counter[tuple[str, str]]", calls: "Counter[str]") -> None:
        self.by_function = by_function
        self.calls = calls
        """How often each function was called."""
        self.total = by_function.total()

    def by_object(self) -> "Counter[str]":
        found: Counter[str] = Counter()
        for (name, _), count in self.by_function.items():
            found[name] += count
        return found


def read(path: Path) -> Instructions:
    """One file of callgrind's: each function's own instructions."""
    names: dict[str, dict[str, str]] = {"ob": {}, "fn": {}}
    found: Counter[tuple[str, str]] = Counter()
    calls: Counter[str] = Counter()
    now = {"ob": "", "fn": ""}
    callee = ""
    total = 0
    is_of_callee = False
    for line in path.read_text(errors="replace").splitlines():
        if match := _COST.fullmatch(line):
            if not is_of_callee:
                found[now["ob"], now["fn"]] += int(match[1])
            is_of_callee = False
            continue
        key, _, value = line.partition("=")
        if key in ("ob", "cob", "fn", "cfn"):
            kind = key.removeprefix("c")
            match = _NAME.fullmatch(value)
            assert match
            name = match[2] or ""
            if match[1]:
                name = names[kind].setdefault(match[1], name) if name else names[kind][match[1]]
            if key == "cfn":
                callee = name
            elif key == kind:
                now[kind] = Path(name).name if kind == "ob" else name
        elif key == "calls":
            is_of_callee = True
            calls[callee] += int(value.split()[0])
        elif line.startswith(("totals:", "summary:")):
            total = int(line.split()[1])
    if total != found.total():
        raise RuntimeError(f"{path}: {found.total()} instructions found, its total is {total}")
    return Instructions(found, calls)
