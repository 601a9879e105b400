"""Whether an address or a URI is Kamailio's own: `listen` and `alias` (check_self in core/forward.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from KSR.mock.sip.syntax import parse_uri

if TYPE_CHECKING:
    from KSR.mock.engine.process import Process


def is_self(process: Process, host: str, port: str = "") -> bool:
    """Tell whether host and port are Kamailio's own: a listening address, or an alias (of any port)."""
    kamailio = process.kamailio
    host = host.strip("[]").lower()
    if host in kamailio.aliases:
        return True
    if host != process.message.received.ip and host not in kamailio.myself:
        return False
    return not port or not kamailio.my_ports or int(port) in kamailio.my_ports


def uri_is_self(process: Process, text: str) -> bool:
    """Tell whether a URI points to Kamailio itself."""
    uri = parse_uri(text)
    if uri.scheme.lower() not in ("sip", "sips"):
        return False
    return is_self(process, uri.host, uri.port)
