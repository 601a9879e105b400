"""The Kamailio lines that the laboratory runs: 5.6 is the machine's own, 6.0 and 6.1 live in folders of their own.

`python -m tests.lab.lines` builds every folder that is missing, from the package mirror that the machine's apt uses.
They are kept in `.cache/lines` of the checkout, or in $KEMI_RTP_LINES. A line that is optional and cannot be had is
reported loudly, and its tests are skipped with the reason.

A Kamailio of such a folder shares network and processes with the machine, and sees the checkout (read-only) and the
folder for temporary files at their own paths. Its mounts exist for it alone, in a mount namespace that ends with its
last process: nothing is left on the machine, whatever happens to it.
"""

import argparse
import fcntl
import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .kamailio import MACHINE, Line

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "kamailio",
    "kamailio-python3-modules",
    "kamailio-sqlite-modules",
    "kamailio-utils-modules",
    "kamailio-extra-modules",
    "python3-yaml",
)


class LineError(Exception):
    """A line cannot be had."""


@dataclass(frozen=True)
class Recipe:
    """How a line's folder is made: from which Debian suite, with which further options of mmdebstrap."""

    suite: str
    mandatory: bool = True
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.suite, *PACKAGES, *self.options))


_RECIPES = {
    "6.0": Recipe("trixie"),
    # Debian testing: the mirror's Release file can be past its date, and the version moves on.
    "6.1": Recipe("forky", mandatory=False, options=('--aptopt=Acquire::Check-Valid-Until "false"',)),
}
NAMES = (MACHINE.name, *_RECIPES)

# Arguments: the line's folder, then the program. /proc and /dev come with what is mounted below them, the others
# without: the temporary files may hold other people's mounts. A folder within another is mounted after it.
_ENTER = """
root=$1; shift
for folder in /proc /dev; do mount --rbind "$folder" "$root$folder"; done
printf '%s\\n' "$LAB_TEMPORARY" "$LAB_CHECKOUT" | sort | while read -r folder; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
    [ "$folder" != "$LAB_CHECKOUT" ] || mount -o remount,bind,ro "$root$folder"
done
exec chroot "$root" "$@"
"""


def is_mandatory(name: str) -> bool:
    """Whether tests must fail, rather than be skipped, when this line cannot be had."""
    return name not in _RECIPES or _RECIPES[name].mandatory


@functools.cache
def get(name: str) -> Line:
    """A line that can be started now; its folder is built first when it is missing. Raises LineError."""
    if name not in NAMES:
        raise LineError(f"no Kamailio line {name!r}; there are {', '.join(NAMES)}")
    if name == MACHINE.name:
        if shutil.which(MACHINE.command[0]) is None:
            raise LineError("Kamailio is not installed: make setup")
        if not MACHINE.version().startswith(f"{name}."):
            raise LineError(f"the machine's own Kamailio is {MACHINE.version()}, not {name}")
        return MACHINE
    return _line(name, _provide(name))


def add_option(parser: argparse.ArgumentParser) -> None:
    """The option `--line` of programs that start one Kamailio."""
    parser.add_argument("--line", choices=NAMES, default=MACHINE.name, help=f"Kamailio line (default {MACHINE.name})")


def _line(name: str, root: Path) -> Line:
    places = (f"LAB_TEMPORARY={tempfile.gettempdir()}", f"LAB_CHECKOUT={CHECKOUT}")
    # The checkout is read-only there, so Python keeps its compiled files in the line's folder.
    compiled = ("PYTHONPYCACHEPREFIX=/var/cache/python", "PYTHONDONTWRITEBYTECODE=")
    enter = ("env", *places, *compiled, "sh", "-euc", _ENTER, "enter")
    return Line(name, ("unshare", "--mount", "--", *enter, str(root), "/usr/sbin/kamailio"))


def _provide(name: str) -> Path:
    """The line's folder, built when it is missing or was made by another recipe; half-built ones do not count."""
    recipe = _RECIPES[name]
    lines = Path(os.environ.get("KEMI_RTP_LINES") or CHECKOUT / ".cache" / "lines").absolute()
    lines.mkdir(parents=True, exist_ok=True)
    root = lines / name
    stamp = root / "recipe"
    with _alone(lines / f"{name}.lock"):
        if stamp.exists() and stamp.read_text() == str(recipe):
            return root
        draft = lines / f"{name}.half-built"
        for leftover in (root, draft):
            if leftover.exists():
                _run("rm", "--recursive", "--force", "--one-file-system", str(leftover))
        print(f"Kamailio {name}: building {root} from Debian {recipe.suite} ...", file=sys.stderr, flush=True)
        # What mmdebstrap mounts, too, goes with its last process.
        mmdebstrap = ("unshare", "--mount", "--", "mmdebstrap", "--variant=apt", f"--include={','.join(PACKAGES)}")
        _run(*mmdebstrap, *recipe.options, recipe.suite, str(draft), _mirror())
        (draft / "recipe").write_text(str(recipe))
        draft.rename(root)
    return root


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from building the same line."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _mirror() -> str:
    """Where the machine's own apt gets this machine's Debian release from."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    ask = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    wanted = ("Origin: Debian", f"Codename: {release}", "Component: main")
    for refresh in (False, True):
        if refresh:
            _run("apt-get", "--quiet", "update")
        if found := _run(*ask, *wanted).split():
            return found[0]
    raise LineError(f"apt knows no mirror of Debian {release}")


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise LineError(f"{error.filename} is not installed: make setup") from None
    if done.returncode:
        raise LineError(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> int:
    """Build what is missing; 0 unless a mandatory line cannot be had."""
    code = 0
    for name in NAMES:
        try:
            print(f"Kamailio {name}: {get(name).version()}")
        except LineError as error:
            print(f"\n*** Kamailio {name} CANNOT BE HAD: {error}\n", file=sys.stderr)
            if is_mandatory(name):
                code = 1
            else:
                print(f"*** Tests on {name} will be SKIPPED.\n", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
