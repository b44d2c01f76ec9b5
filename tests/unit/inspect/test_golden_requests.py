"""Golden requests: read from a project, kept beside an image, and compared with answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.inspect.golden_requests import KIND, GoldenRequest, compare, load, make_artifact, parse
from modelcrate.project.reading import parse_project
from modelcrate.project.values import GoldenTest
from modelcrate.project.writing import project_text
from modelcrate_layers.content import Descriptor, Digest, MediaType
from modelcrate_layers.errors import IntegrityError, SourceError, UserError

SUBJECT = Descriptor(MediaType.MANIFEST, Digest.of(b"image"), 5)


def wrong(answer: object, came: object, **more: object) -> tuple[str, ...]:
    test = GoldenRequest("t", "{}", json.dumps(answer), **more)  # type: ignore[arg-type]
    return compare(test, 200, json.dumps(came).encode())


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        ({"a": [1.0, 2]}, {"a": [1.0000005, 2.0]}),
        (0, 5e-7),
        ({"a": 1, "b": None}, {"b": None, "a": 1}),
        (float("nan"), float("nan")),
        ("text", "text"),
        (True, True),
    ],
)
def test_equal_within_the_tolerance(answer: object, came: object) -> None:
    assert wrong(answer, came) == ()


@pytest.mark.parametrize(
    ("answer", "came", "what"),
    [
        ({"a": [1.0]}, {"a": [1.1]}, "$.a[0] is 1.1, not 1.0 (tolerance 1e-06)"),
        ({"a": 1}, {}, "$.a is missing"),
        ({}, {"b": 1}, "$.b was not expected"),
        ([1, 2], [1], "$ has 1 entries, not 2"),
        ("1", 1, "$ is a number, not a text"),
        (1, True, "$ is true or false, not a number"),
        (None, 0, "$ is a number, not null"),
        ("a", "b", '$ is "b", not "a"'),
        (1.0, float("nan"), "$ is nan, not 1.0 (tolerance 1e-06)"),
    ],
)
def test_a_difference_is_named_with_its_place(answer: object, came: object, what: str) -> None:
    assert wrong(answer, came) == (what,)


def test_only_the_first_differences_are_listed() -> None:
    assert wrong(list(range(100)), list(range(1, 101)))[-1] == "and more"


def test_the_status_counts_and_an_answer_may_be_left_open() -> None:
    assert compare(GoldenRequest("t", "{}"), 201, b"no JSON") == ()
    assert "the status is 500, not 200 to 299: broken" in compare(GoldenRequest("t", "{}"), 500, b"broken")
    assert compare(GoldenRequest("t", "{}", status=400), 400, b"") == ()
    assert compare(GoldenRequest("t", "{}", "1"), 200, b"<html>") == ("the answer is no JSON: <html>",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_every_answer_equals_itself(value: object) -> None:
    assert wrong(value, value, tolerance=0.0) == ()


def test_a_folder_of_pairs(tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.request.json").write_text("[1]")
    (folder / "a.response.json").write_text("[2]")
    (folder / "deep/b.request.json").write_text("{}")
    (folder / "notes.json").write_text("{}")
    one, two = load([GoldenTest("golden", tolerance=0.5)], tmp_path)
    assert one == GoldenRequest("golden/a", "[1]", "[2]", 0.5)
    assert two == GoldenRequest("golden/deep/b", "{}", None, 0.5)


@pytest.mark.parametrize(
    ("test", "kind", "what"),
    [
        (GoldenTest("absent.json"), SourceError, "can't be read"),
        (GoldenTest("empty"), UserError, "no file is called NAME.request.json"),
        (GoldenTest("alone"), UserError, "a.response.json has no request beside it"),
        (GoldenTest("text.json"), UserError, "is no JSON"),
        (GoldenTest("latin.json"), UserError, "is not UTF-8 at byte 1"),
        (GoldenTest("{}", "absent.json"), SourceError, "can't be read"),
    ],
)
def test_faults_in_a_projects_files(tmp_path: Path, test: GoldenTest, kind: type[Exception], what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/a.response.json").write_text("1")
    (tmp_path / "alone/b.request.json").write_text("1")
    (tmp_path / "text.json").write_text("text")
    (tmp_path / "latin.json").write_bytes(b'"\xe9"')
    with pytest.raises(kind, match=what):
        load([test], tmp_path)


def test_the_artifact_keeps_them() -> None:
    tests = (GoldenRequest("a", "[1]", "[2]", 0.25, "/x", 201), GoldenRequest("b", "{}"))
    artifact = make_artifact(SUBJECT, tests)
    assert (artifact.kind, artifact.subject) == (KIND, SUBJECT.digest)
    assert parse(b"".join(artifact.blobs[-1].chunks()), "x") == tests
    assert make_artifact(SUBJECT, tests).manifest.data == artifact.manifest.data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"tests": 1}',
        b'{"tests": [1]}',
        b'{"tests": [{"name": "a"}]}',
        b'{"tests": [{"name": "a", "request": 1, "tolerance": "1"}]}',
        b'{"tests": [{"name": "a", "request": "1", "tolerance": "many"}]}',
        b'{"tests": [{"name": "a", "request": "1", "tolerance": "0", "status": "200"}]}',
        b'{"tests": [' + b'{"name": "a", "request": "1", "tolerance": "0"},' * 10_000 + b'{"name": "a", "request": "1", "tolerance": "0"}]}',
    ],
)  # fmt: skip
def test_a_hostile_artifact_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse(data, "x")


FILE = """
name: g
entry: score.py
tests:
  - golden
  - request: '{"data": [[1]]}'
    expect: one.json
    tolerance: 1e-3
    path: /v1/models/m:predict
    status: 201
"""


def test_a_project_file_names_them_and_is_written_again() -> None:
    project = parse_project(FILE.encode())
    assert project.tests == (
        GoldenTest("golden"),
        GoldenTest('{"data": [[1]]}', "one.json", 1e-3, "/v1/models/m:predict", 201),
    )
    assert parse_project(project_text(project).encode()) == project
    assert parse_project(b"name: g\nentry: s.py\ntests: golden\n").tests == (GoldenTest("golden"),)


@pytest.mark.parametrize(
    ("written", "answer"), [("3", "3"), ("-1.5e3", "-1.5e3"), ("true", "true"), ("'null'", "null")]
)
def test_an_answer_may_be_a_number_or_a_word_of_json(tmp_path: Path, written: str, answer: str) -> None:
    project = parse_project(f"name: g\nentry: s.py\ntests: [{{request: 7, expect: {written}}}]\n".encode())
    (found,) = load(project.tests, tmp_path)
    assert (found.body, found.answer) == ("7", answer)
    assert parse_project(project_text(project).encode()) == project
    assert parse_project(b"name: g\nentry: s.py\ntests: ./3\n").tests == (GoldenTest("./3"),)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("request: '{'", "is no JSON"),
        ("request: ../x", "leads out of the project"),
        ("request: {data: 1}", "a text"),
        ("expect: x.json", "request"),
        ("request: x, tolerance: -1", "a number from 0 on"),
        ("request: x, status: 99", "a status from 100 to 599"),
        ("request: x, path: score", "a path such as /score"),
    ],
)
def test_faults_in_the_project_file(line: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_project(f"name: g\nentry: s.py\ntests:\n  - {{{line}}}\n".encode())
    assert what in str(caught.value)
