"""The example in stubs/README.md works as it stands there, in a project of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import KSR
from KSR.testing import Ksr

STUBS = Path(KSR.__path__[0]).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    text = (STUBS / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Testing your own routes") : text.index("## The fixture")]
    script, test = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(f"{script}{test}".splitlines()) < 30
    (tmp_path / "routes.py").write_text(script)
    (tmp_path / "test_routes.py").write_text(test)
    return tmp_path


def run(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "KSR.pytest_plugin", "-p", "no:cacheprovider", "."]
    environment = {**os.environ, "PYTHONPATH": str(STUBS)}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_example_passes(project: Path) -> None:
    done = run(project)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_example_fails_on_5_for_the_reason_that_is_given(project: Path) -> None:
    test = project / "test_routes.py"
    test.write_text(test.read_text().replace("6.1.5", "5.6.3"))
    assert "has no ksr_onsend_route(). an AttributeError" in run(project).stdout


def test_a_test_can_ask_what_it_called_that_is_not_simulated(ksr: Ksr) -> None:
    ksr.returns("pike.pike_check_req", -1)
    KSR.pike.pike_check_req()
    KSR.dialog.dlg_manage()
    KSR.pv.get("$rm")
    assert ksr.unsimulated == ["dialog.dlg_manage"]
