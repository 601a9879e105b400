"""What the kemi-rtp command answers."""

import json

from click.testing import Result

from tests.unit.site import Site


def shown(site: Site) -> dict[str, dict[str, object]]:
    result = site.cli("show", "--json")
    assert result.exit_code == 0, result.output
    return {node["name"]: node for node in json.loads(result.stdout)["nodes"]}


def clean(result: Result) -> Result:
    """A result that ended without a traceback."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result
