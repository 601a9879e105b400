"""The last good nodes.yaml: Kamailio keeps a copy in its state directory, and the command goes by it while an edit of
nodes.yaml is faulty.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from kemi_rtp.files import nodes_yaml
from kemi_rtp.files.documents import DocumentError, Fault, read_text
from kemi_rtp.files.replacement import write_through
from kemi_rtp.model.nodes import Config, Settings

NAME = "nodes.yaml.good"

_STATE_DIR = re.compile(r"""^[^#\n]*\bstate_dir["']?\s*:\s*["']?(/[^"'\s,}]+)""", re.MULTILINE)


def keep(path: Path, content: str, state_dir: Path) -> None:
    """Keep what nodes.yaml at `path` holds, which has no fault. Raises OSError."""
    good = state_dir / NAME
    kept = (_head(path) + content).encode()
    if not good.exists() or good.read_bytes() != kept:
        draft = state_dir / f".{NAME}.new"
        write_through(draft, kept, os.O_CREAT | os.O_TRUNC)
        os.replace(draft, good)


def load(path: Path, state_dir: Path | None = None) -> Config:
    """The last good version of nodes.yaml at `path`. Raises DocumentError when there is none.

    Without a `state_dir` it is taken from nodes.yaml, as far as that can be read, else the default one is.
    """
    place = state_dir.absolute() if state_dir else _state_dir(path)
    good = place / NAME
    content = read_text(good)
    if state_dir is None and not content.startswith(_head(path)):
        # A guess must not lead to another Kamailio's nodes.
        what = f"is not that of {path.absolute()}"
        raise DocumentError([Fault(str(good), 1, "", content.partition("\n")[0], what)])
    config = nodes_yaml.parse(content, good)
    # Where the copy was found the registry is, whatever an edit said that was to be in force after the next start.
    return replace(config, settings=replace(config.settings, state_dir=str(place)))


def _state_dir(path: Path) -> Path:
    try:
        found = _STATE_DIR.search(read_text(path))
    except DocumentError:
        found = None
    return Path(found[1] if found else Settings().state_dir)


def _head(path: Path) -> str:
    return f"# last good version of {path.absolute()}\n"
