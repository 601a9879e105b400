"""KSR.textopsx: apply the edits made so far, and remove the body (textopsx/textopsx.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.engine.behaviour import kemi

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@kemi("textopsx.msg_apply_changes")
def msg_apply_changes(process: Process) -> int:
    process.message.apply_changes()
    return 1


@kemi("textopsx.remove_body")
def remove_body(process: Process) -> int:
    if process.message.body:
        process.message.new_body = ""
    return 1


@kemi("textopsx.keep_hf")
def keep_hf(process: Process) -> int:
    return 1
