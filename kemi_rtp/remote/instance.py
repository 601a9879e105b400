"""One Kamailio with kemi_rtp, as its nodes.yaml tells of it: where its registry is, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kemi_rtp.files.registry import Registry
from kemi_rtp.model.nodes import Config
from kemi_rtp.remote.rpc import Rpc


@dataclass(frozen=True)
class Instance:
    """nodes.yaml at `path`, and what it leads to."""

    path: Path
    config: Config
    is_faulty: bool = False
    """Whether nodes.yaml is, so that `config` is its last good version."""

    @property
    def registry(self) -> Registry:
        """Its registry."""
        return Registry(Path(self.config.settings.state_dir))

    def rpc(self) -> Rpc:
        """A connection to it."""
        return Rpc(self.config.settings.rpc_socket)
