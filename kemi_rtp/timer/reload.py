"""Answers `kemi-rtp reload`: what it asks for is in force, or refused, when it is told so."""

from __future__ import annotations

from collections.abc import Callable

from kemi_rtp.files.documents import DocumentError
from kemi_rtp.files.errors import RegistryError
from kemi_rtp.module.rpcs import ModuleError
from kemi_rtp.shm.state.timer import TimerState
from kemi_rtp.timer.nodes_file import NodesFile
from kemi_rtp.timer.registry_file import RegistryFile


class ReloadService:
    """Serves one request after the other; `repair` brings the module in line at once."""

    def __init__(
        self, state: TimerState, nodes_file: NodesFile, registry_file: RegistryFile, repair: Callable[[], None]
    ) -> None:
        self._state = state
        self._nodes_file = nodes_file
        self._registry_file = registry_file
        self._repair = repair
        self._begun: object = None
        self._answered: object = None
        self._text = ""

    def serve(self) -> None:
        """Do what the last request asks for, as far as it goes at this tick, and say how far that is."""
        request = self._state.reload_request()
        if not request or request == self._answered:
            return
        try:
            if request != self._begun:
                self._begun = request
                self._text = self._nodes_file.stage()
                self._registry_file.version = None
                self._registry_file.pick_up()
            self._nodes_file.put_in_force()
            done = not self._nodes_file.is_staged
            if done:
                self._repair()
            reply = {"id": request, "done": done, "text": self._text}
        except (DocumentError, RegistryError, ModuleError) as error:
            done = True
            reply = {"id": request, "done": True, "error": str(error)}
        if done:
            self._answered = request
        self._state.answer_reload(reply)
