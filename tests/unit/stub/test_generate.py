"""The type stubs of KSR: generated from the API files, complete, and strict for mypy."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
from mypy import api as mypy

import KSR
from KSR import generate
from KSR.mock.engine import api
from KSR.mock.engine.behaviour import BEHAVIOURS
from KSR.testing import Ksr

PACKAGE = Path(generate.__file__).parent
ROOT = PACKAGE.parent.parent
VERSIONS = ["5.6.3", "6.0.1", "6.1.5"]


def test_generating_again_changes_nothing() -> None:
    files = generate.generate(generate.load_versions())
    assert {name: (PACKAGE / name).read_text() for name in files} == files
    assert {f"_types/{path.name}" for path in (PACKAGE / "_types").glob("*.pyi")} == set(files) - {"__init__.pyi"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_function_of_every_version_is_in_the_stubs(version: str) -> None:
    files = generate.generate(generate.load_versions())
    for module, functions in api.modules(version).items():
        if module == "async":  # a keyword of Python
            continue
        text = files[f"_types/{module}.pyi" if module else "__init__.pyi"]
        for name in functions:
            assert f"def {name}(" in text


@pytest.mark.parametrize("ksr", VERSIONS, indirect=True)
def test_every_function_of_a_version_can_be_called(ksr: Ksr) -> None:
    for module, functions in ksr.modules.items():
        target = getattr(KSR, module) if module else KSR
        assert set(functions) <= set(dir(target))
        for name in functions:
            assert callable(getattr(target, name))


def test_a_function_of_some_versions_says_so() -> None:
    text = (PACKAGE / "_types" / "rtpengine.pyi").read_text()
    assert "Only in Kamailio 6.0.1, 6.1.5." in text


def test_every_behaviour_belongs_to_a_function_that_exists() -> None:
    known = {name for version in VERSIONS for name in api.signatures(version)}
    assert set(BEHAVIOURS) <= known


def test_an_answer_of_a_running_kamailio_becomes_an_api_file(tmp_path: Path) -> None:
    answer = {
        "jsonrpc": "2.0",
        "result": {
            "msize": 2,
            "methods": [
                {"func": {"ret": "xval", "module": "htable", "name": "sht_get", "params": "str, str"}},
                {"func": {"ret": "bool", "module": "", "name": "is_INVITE", "params": "none"}},
            ],
        },
    }
    path = generate.save(generate.from_answer(answer, "7.0.0"), tmp_path)
    loaded = api.load_api_file(path)
    assert loaded["htable"]["sht_get"].params == ("str", "str")
    assert loaded[""]["is_INVITE"].params == ()


def test_saving_an_api_file_again_changes_nothing(tmp_path: Path) -> None:
    for path in generate.API_FOLDER.glob("*.json"):
        saved = generate.save(json.loads(path.read_text()), tmp_path)
        assert saved.read_text() == path.read_text()


@pytest.fixture(scope="module")
def mypy_says(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy --strict says about a script with wrong calls."""
    folder = tmp_path_factory.mktemp("mypy")
    shutil.copytree(PACKAGE, folder / "stubs" / "KSR", ignore=shutil.ignore_patterns("mock", "__pycache__"))
    (folder / "script.py").write_text(
        "import KSR\n"
        'value: str | int | None = KSR.htable.sht_get("t", "k")\n'
        'count: int = KSR.htable.sht_inc("t", "k")\n'
        "invite: bool = KSR.is_INVITE()\n"
        'KSR.htable.sht_seti("t", "k", "1")\n'
        'KSR.htable.sht_get("t")\n'
        'KSR.htable.sht_nothing("t")\n'
        'KSR.nothing("t")\n'
        'KSR.htable.sht_get(table="t", key="k")\n'
        'text: str = KSR.htable.sht_get("t", "k")\n'
    )
    config = folder / "mypy.ini"
    config.write_text(f"[mypy]\nmypy_path = {folder / 'stubs'}\ncache_dir = {folder / 'cache'}\n")
    output, _, _ = mypy.run(["--strict", "--config-file", str(config), str(folder / "script.py")])
    return output


@pytest.mark.parametrize("line", range(5, 11))
def test_mypy_finds_a_wrong_call(mypy_says: str, line: int) -> None:
    assert f"script.py:{line}: error" in mypy_says


@pytest.mark.parametrize("line", range(2, 5))
def test_mypy_takes_a_right_call(mypy_says: str, line: int) -> None:
    assert f"script.py:{line}: error" not in mypy_says


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert importlib.import_module("KSR.pv") is KSR.pv
