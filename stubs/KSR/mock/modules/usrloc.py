"""The usrloc module, in memory: the contacts that registrar saves and looks up. It has no KEMI functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from KSR.mock.engine.exports import parameter, shared_memory
from KSR.mock.sip.syntax import parse_uri

if TYPE_CHECKING:
    from KSR.mock.engine.kamailio import Kamailio


DEFAULT_EXPIRES = 3600


@dataclass(eq=False)
class Contact:
    """One registered contact."""

    uri: str
    expires_at: float
    received: str = ""
    path: str = ""
    q: float = -1.0


@shared_memory("location")
@dataclass
class Location:
    """The registered contacts of each address of record, by table."""

    kamailio: Kamailio
    tables: dict[str, dict[str, list[Contact]]] = field(default_factory=dict)

    def register(self, aor: str, *uris: str, table: str = "location", expires: int = DEFAULT_EXPIRES) -> None:
        """Register contacts for a user name (or user@domain with use_domain=1)."""
        end = self.kamailio.clock.now + expires
        self.tables.setdefault(table, {}).setdefault(aor, []).extend(Contact(uri, end) for uri in uris)

    def known(self, table: str) -> bool:
        """Tell whether a table is there: modparam("usrloc", "preload", ...) makes it, a KEMI call does not."""
        if table not in self.tables:
            self.kamailio.log_line("err", f"registrar: usrloc domain [{table}] not found")
        return table in self.tables

    def contacts(self, aor: str, table: str = "location") -> list[Contact]:
        """Return the live contacts of a user."""
        now = self.kamailio.clock.now
        return [contact for contact in self.tables.get(table, {}).get(aor, []) if contact.expires_at > now]

    def aor(self, uri: str) -> str:
        """Return the key of an address of record: the user, with use_domain=1 user@domain."""
        parsed = parse_uri(uri)
        with_domain = self.kamailio.params.get(("usrloc", "use_domain"), 0)
        return f"{parsed.user}@{parsed.host}" if with_domain else parsed.user


@parameter("usrloc", "preload")
def preload(kamailio: Kamailio, name: str, value: int | str) -> None:
    """Make a table."""
    kamailio.location.tables.setdefault(str(value), {})
