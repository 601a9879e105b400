"""kemi-rtp paths."""

import os

from tests.unit.site import Site


def test_paths_name_files_that_exist(site: Site) -> None:
    lines = site.cli("paths").stdout.splitlines()
    assert len(lines) == 4
    assert all(os.path.exists(line.split('"')[1]) for line in lines)
