"""kemi-rtp history."""

import json

from tests.unit.site import Site


def test_history_tells_who_when_and_why(site: Site) -> None:
    site.start()
    site.tick()
    site.disable("rtp2")
    site.cli("enable", "rtp2", "--reason", "done", "--by", "bob@lb1")
    site.drain("rtp3")
    rows = json.loads(site.cli("history", "rtp2", "--json").stdout)
    assert [(row["from"], row["to"], row["by"], row["reason"], row["way"]) for row in rows] == [
        ("enabled", "disabled", "alice@lb1", "NIC swap", "command"),
        ("disabled", "enabled", "bob@lb1", "done", "command"),
    ]
    assert len(json.loads(site.cli("history", "--json", "-n", "1").stdout)) == 1
    assert "NIC swap" in site.cli("history").stdout
