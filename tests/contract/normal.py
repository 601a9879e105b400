"""Take out of what was sent what two runs cannot have in common: branches and tags that Kamailio makes, its name."""

import re

from KSR.mock.sip.message import SipMessage
from KSR.mock.sip.syntax import parse_via

DROPPED = ("server", "user-agent: kamailio", "warning")


def normalize(text: str, listen: str) -> str:
    """Return a sent message with the changing parts replaced."""
    message = SipMessage(text)
    lines = [message.first_line]
    for header in message.headers:
        body = header.body
        if header.is_called("Via"):
            body = _via(body, listen)
        elif header.is_called("To") and not message.is_request:
            body = re.sub(r"tag=[0-9a-f]{32}[-.][0-9a-f.]+$", "tag=LOCAL", body)
        if header.is_called("Server"):
            continue
        lines.append(f"{header.name}: {body}")
    return "\n".join([*lines, "", message.body])


def _via(body: str, listen: str) -> str:
    via = parse_via(body)
    if f"{via.host}:{via.port}" == listen:
        return re.sub(r"branch=[^;]+", "branch=OURS", body)
    return body
