"""KSR.jsonrpcs: execute RPC commands; the answer is in response() and $jsonrpl(code|text|body).

The text of an answer is printed as Kamailio's srjson prints it, tabs included.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from KSR.mock.engine.behaviour import Result, kemi
from KSR.mock.engine.rpc import RpcFault
from KSR.mock.pv.spec import Spec
from KSR.mock.pv.variables import getter

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


@dataclass(frozen=True, slots=True)
class JsonRpcReply:
    """The answer to the last command of a process."""

    code: int
    text: str
    body: str


def print_json(value: object, *, open_arrays: bool = False, depth: int = 0) -> str:
    """Print JSON as srjson_Print does; from 6.1 on (`open_arrays`) with a line for each item of an array."""
    if isinstance(value, dict):
        items = [
            f"{json.dumps(key)}:\t{print_json(item, open_arrays=open_arrays, depth=depth + 1)}"
            for key, item in value.items()
        ]
        return _lines("{", items, "}", depth)
    if isinstance(value, list | tuple):
        items = [print_json(item, open_arrays=open_arrays, depth=depth + 1) for item in value]
        return _lines("[", items, "]", depth) if open_arrays else f"[{', '.join(items)}]"
    return json.dumps(value, ensure_ascii=False)


def _lines(opening: str, items: list[str], closer: str, depth: int) -> str:
    tabs = "\t" * (depth + 1)
    inner = ",\n".join(tabs + item for item in items) + ("\n" if items else "")
    return f"{opening}\n{inner}{tabs[1:]}{closer}"


@kemi("jsonrpcs.exec", "jsonrpcs.execx")
def jsonrpcs_exec(process: Process, text: str) -> int:
    """Execute a command: 1 when it ran, even if it failed; -1 when the text is no JSON."""
    try:
        request: Any = json.loads(text)
    except ValueError:
        process.kamailio.log_line("err", f"jsonrpcs: invalid json doc [[{text}]]")
        return -1
    request = request if isinstance(request, dict) else {}
    answer: dict[str, object] = {"jsonrpc": "2.0"}
    code, reason = 200, "OK"
    method = request.get("method")
    params = request.get("params", [])
    params = list(params.values()) if isinstance(params, dict) else params
    # Without "jsonrpc", "method" or with odd params Kamailio answers with an empty result.
    answer["result"] = {}
    if request.get("jsonrpc") == "2.0" and isinstance(method, str) and isinstance(params, list):
        try:
            answer["result"] = process.kamailio.rpc.execute(process, method, params)
        except RpcFault as fault:
            del answer["result"]
            code, reason = fault.code, fault.text
            answer["error"] = {"code": code, "message": reason}
    if request.get("id") is not None:
        answer["id"] = request["id"]
    body = print_json(answer, open_arrays=process.kamailio.line.since(6, 1))
    process.jsonrpc_reply = JsonRpcReply(code, reason, body)
    return 1


@kemi("jsonrpcs.response")
def jsonrpcs_response(process: Process) -> Result:
    return "" if process.jsonrpc_reply is None else process.jsonrpc_reply.body


@kemi("jsonrpcs.dispatch")
def jsonrpcs_dispatch(process: Process) -> int:
    return 1


@getter("jsonrpl")
def _jsonrpc_reply(process: Process, spec: Spec) -> Result:
    reply = process.jsonrpc_reply
    if reply is None:
        return 0 if spec.inner == "code" else None
    values: dict[str, Result] = {"code": reply.code, "text": reply.text, "body": reply.body}
    return values.get(spec.inner)
