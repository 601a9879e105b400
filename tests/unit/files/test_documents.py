"""YAML files to checked values: faults with their place, all of a file in one pass, and nothing but DocumentError."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kemi_rtp
from kemi_rtp.files import nodes_yaml, registry_yaml
from kemi_rtp.files.documents import Document, DocumentError, Fault, collector_paused, integer, nearest, text
from tests.unit.strategies import modest

FILE = Path("some.yaml")
PACKAGE_ROOT = Path(kemi_rtp.__file__).parent.parent


def faults_of(content: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        nodes_yaml.parse(content, FILE)
    return [str(fault) for fault in caught.value.faults]


def test_a_fault_prints_file_line_field_value_and_what_is_valid() -> None:
    assert str(Fault("a.yaml", 3, "x.y", "7", "must be 8")) == "a.yaml:3: x.y: 7: must be 8"


def test_a_fault_of_the_whole_file_has_no_line() -> None:
    assert str(Fault("a.yaml", 0, "", "", "is bad")) == "a.yaml: is bad"


def test_faults_are_told_in_the_order_of_the_lines() -> None:
    error = DocumentError([Fault("f", 9, "b", "", "late"), Fault("f", 2, "a", "", "early")])
    assert [fault.line for fault in error.faults] == [2, 9]
    assert str(error) == "f:2: a: early\nf:9: b: late"


def test_the_nearest_known_word_is_offered_and_a_far_one_is_not() -> None:
    assert nearest("wieght", ["name", "weight"]) == " (did you mean weight?)"
    assert nearest("zzzzzz", ["name", "weight"]) == ""


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(DocumentError) as caught:
        Document(path)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"


def test_a_folder_in_place_of_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        Document(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is made up, because root may read everything."""
    path = tmp_path / "secret.yaml"

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(DocumentError) as caught:
        Document(path)
    assert str(caught.value) == f"{path}: cannot be read: Permission denied"


def test_a_file_that_is_not_utf8_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"pools: {d\xe9faut: []}\n")
    with pytest.raises(DocumentError) as caught:
        Document(path)
    assert str(caught.value).startswith(f"{path}: is not UTF-8 text: ")


def test_wrong_yaml_names_the_line_and_what_yaml_says() -> None:
    (fault,) = faults_of("pools:\n  default:\n    - {name: a\n    - {name: b}\n")
    assert fault.startswith("some.yaml:4: is not valid YAML: ")
    assert "needs quotes" in fault


@pytest.mark.parametrize("content", ["a: \0", "a: \x07", "a: \ufffe"])
def test_a_character_that_yaml_forbids_is_said_to_be_so(content: str) -> None:
    (fault,) = faults_of(content)
    assert fault.startswith("some.yaml: is not valid YAML: unacceptable character")


def test_a_second_document_in_a_file_is_a_fault() -> None:
    (fault,) = faults_of("pools: {}\n---\npools: {}\n")
    assert fault.startswith("some.yaml:2: is not valid YAML: expected a single document")


@pytest.mark.parametrize("content", ["- a\n", "text\n", "3\n"])
def test_the_top_level_must_be_a_mapping(content: str) -> None:
    assert any(
        fault.startswith("some.yaml:1: top level: ") and "must be a mapping" in fault for fault in faults_of(content)
    )


def test_a_key_twice_is_a_fault_that_names_both_lines() -> None:
    assert "some.yaml:3: settings: appears twice (first in line 1); keep one" in faults_of(
        "settings: {}\npools: {d: [{name: a, url: 'udp:h:1'}]}\nsettings: {}\n"
    )


def test_a_key_that_is_not_plain_text_is_a_fault() -> None:
    assert "some.yaml:2: pools: a list: a key must be plain text" in faults_of("pools:\n  ? [a]\n  : [b]\n")


def test_an_unknown_key_far_from_all_others_lists_the_known_ones() -> None:
    assert "some.yaml:1: zzzzzzz: unknown key (known keys: settings, pools)" in faults_of("zzzzzzz: 1\n")


@pytest.mark.parametrize(
    "scalar",
    ["!!int ''", "!!bool abc", "!!timestamp abc", "!!float abc", "!!binary abc", "!foo 3", "2026-13-13", "9" * 5000,
     "0x" + "f" * 5000, "!!omap [1]", "&a [*a]"],
    ids=lambda scalar: scalar[:16],
)  # fmt: skip
def test_a_value_that_yaml_cannot_make_is_a_fault_of_its_line(scalar: str) -> None:
    faults = faults_of(f"pools:\n  default:\n    - {{name: a, url: 'udp:h:1', weight: {scalar}}}\n")
    assert [fault for fault in faults if fault.startswith("some.yaml:3: pools.default[0].weight: ")] == faults


def test_a_number_too_large_for_a_float_is_a_fault() -> None:
    content = "settings: {probe_interval: %s}\npools: {d: [{name: a, url: 'udp:h:1'}]}\n" % ("9" * 400)
    (fault,) = faults_of(content)
    assert fault.startswith("some.yaml:1: settings.probe_interval: ")


@pytest.mark.parametrize("opening", ["[", "{a: "], ids=["list", "mapping"])
def test_a_file_nested_without_end_is_a_fault_and_no_crash(opening: str) -> None:
    """In a process of its own: a stack that overflows takes the interpreter, and so Kamailio, with it."""
    program = (
        "from pathlib import Path\n"
        "from kemi_rtp.files import nodes_yaml\nfrom kemi_rtp.files.documents import DocumentError\n"
        f"try:\n    nodes_yaml.parse({opening!r} * 30_000, Path('f'))\nexcept DocumentError:\n    print('refused')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE_ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr[-500:]


def test_a_message_stays_short_when_a_value_is_large() -> None:
    """Ten lines of YAML aliases can stand for a value of gigabytes; the message must not spell it out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 5)]
    (fault,) = [
        fault
        for fault in faults_of("\n".join([*lines, "pools: {d: [{name: *a4, url: 'udp:h:1'}]}\n"]))
        if ".name" in fault
    ]
    assert len(fault) < 2000


LINES = """\
settings:
pools:
  default:
    - {name: a, url: 'udp:h:1'}
    - name: b
      url: udp:h:2
      weight: -1
version: 1
nodes:
  a: {state: disabled}
  b: {state: x, until: 3}
  <<: *a
    then: {state: draining}
# x
---
  ? [x]
&a
...""".splitlines()
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("ab:-{}[]&*!?|>'\"#%,@` \n\t0.~<"), max_size=60),
    st.lists(st.sampled_from(LINES), max_size=12).map("\n".join),
)


def refusal(read: Callable[[], object]) -> DocumentError | None:
    try:
        read()
    except DocumentError as error:
        return error
    return None


@given(TEXTS)
@modest(150)
def test_no_text_makes_a_reader_raise_anything_but_document_error(content: str) -> None:
    for parse in (nodes_yaml.parse, registry_yaml.parse):
        error = refusal(partial(parse, content, FILE))
        if error is not None:
            assert error.faults
            assert all(fault.file == "some.yaml" and fault.valid for fault in error.faults)


@given(st.binary(max_size=60))
@modest(60)
def test_no_bytes_make_a_reader_raise_anything_but_document_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)
    error = refusal(partial(nodes_yaml.load, path))
    assert str(path) in str(error)


@pytest.mark.parametrize("value", ["", " ", "a\nb", "a\x07", 3, None, ["a"]])
def test_text_is_one_line_of_printable_characters(value: object) -> None:
    with pytest.raises(ValueError, match="must be a word"):
        text("a word")(value)


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, -1, 11])
def test_an_integer_is_a_whole_number_in_its_range_and_no_truth_value(value: object) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 0 to 10"):
        integer(0, 10)(value)
    assert [integer(0, 10)(edge) for edge in (0, 10)] == [0, 10]


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_goes_on_after_reading_as_it_was_before(enabled: bool) -> None:
    """Also when the file is faulty: it is Kamailio's interpreter."""
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
        with pytest.raises(DocumentError), collector_paused():
            Document(FILE, "{")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
