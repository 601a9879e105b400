"""Kamailio does not start on files that cannot be trusted, and says why; a running one keeps what it has."""

from collections.abc import Iterator

import pytest

from tests.lab.kamailio import Line, StartFailedError
from tests.lab.world import World


@pytest.fixture
def stopped(kamailio_line: Line) -> Iterator[World]:
    """A laboratory with nodes.yaml written and nothing started."""
    world = World(nodes=2, line=kamailio_line)
    yield world
    world.close()


def refusal(world: World) -> str:
    """What Kamailio logs when it refuses to start: words for people, no traceback."""
    with pytest.raises(StartFailedError) as caught:
        world.kamailio.start()
    assert "Traceback" not in caught.value.log
    assert caught.value.exit_code != 0
    return caught.value.log


def test_a_start_on_faulty_nodes_names_every_fault(stopped: World) -> None:
    """File, line and field of each, and the nearest known key."""
    stopped.nodes_file.write_text(
        f"settings: {{state_dir: {stopped.state_dir}, rpc_socket: {stopped.kamailio.rpc_socket}}}\n"
        "pools:\n"
        "  default:\n"
        "    - {name: rtp1, url: 'udp:127.0.0.1:99999'}\n"
        "    - {name: rtp1, url: 'udp:127.0.0.1:22222', wieght: 2}\n"
    )
    log = refusal(stopped)
    assert str(stopped.nodes_file) in log
    assert "99999" in log
    assert "wieght" in log
    assert "weight" in log


def test_a_start_on_broken_yaml_is_refused(stopped: World) -> None:
    stopped.nodes_file.write_text("pools:\n  default: [\n")
    assert str(stopped.nodes_file) in refusal(stopped)


def test_a_start_without_nodes_is_refused(stopped: World) -> None:
    stopped.nodes_file.unlink()
    assert str(stopped.nodes_file) in refusal(stopped)


def test_a_start_on_an_unreadable_registry_is_refused(stopped: World) -> None:
    """No good previous version: routing to nodes that somebody took out would be worse than not starting."""
    (stopped.state_dir / "registry.yaml").write_text("nodes: {rtp2: {state: disabeld\n")
    assert "registry.yaml" in refusal(stopped)


def test_a_start_on_a_damaged_registry_uses_the_last_good_one(stopped: World) -> None:
    """And says so loudly: the disabled node stays out."""
    for node in stopped.nodes.values():
        node.start()
    done = stopped.kemi_rtp("disable", "rtp2", "--reason", "NIC swap")
    assert done.returncode == 3, done.stderr
    (stopped.state_dir / "registry.yaml").write_text("nodes: {rtp2: {state: disabeld\n")
    since = stopped.mark()
    stopped.kamailio.start()
    stopped.call("plain", calls=10, rate=50).assert_ok()
    assert stopped.counts(since)["rtp2"] == {}
    assert any("registry.yaml" in fault for fault in stopped.kamailio.faults())


@pytest.mark.faults("nodes.yaml")
def test_a_faulty_edit_of_the_nodes_changes_nothing(world: World) -> None:
    """The reload is refused with the fault's place, and calls go on as before."""
    world.nodes_file.write_text(world.nodes_file.read_text().replace("tier", "teir", 1))
    done = world.kemi_rtp("reload")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "teir" in done.stderr
    assert "Traceback" not in done.stderr
    before = world.mark()
    world.call("plain", calls=30, rate=50).assert_ok()
    assert all(counts["offer"] for counts in world.counts(before).values())
