"""pytest plugin: the fixture `ksr`, a fresh Kamailio for each test.

The version is set by a marker, `@pytest.mark.ksr(version="6.0.1")`, or by parametrizing `ksr` indirectly with versions.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from KSR.mock.engine.api import DEFAULT_VERSION
from KSR.mock.engine.kamailio import activate
from KSR.testing import Ksr


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", 'ksr(version="5.6.3", faults="test"): the Kamailio that `ksr` plays, and what a misuse does'
    )


@pytest.fixture
def ksr(request: pytest.FixtureRequest) -> Iterator[Ksr]:
    """A Kamailio behind `import KSR`; a misuse that the script swallowed fails the test at its end."""
    marker = request.node.get_closest_marker("ksr")
    options = {} if marker is None else dict(marker.kwargs)
    version = getattr(request, "param", None) or options.pop("version", DEFAULT_VERSION)
    kamailio = Ksr(version, **options)
    activate(kamailio)
    yield kamailio
    activate(Ksr())
    kamailio.check_faults()
