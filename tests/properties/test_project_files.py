"""What holds for every project file: written and read again it is the same, the schema agrees, and garbage is an error of ours."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.project.reading import parse_project
from modelcrate.project.schema import schema
from modelcrate.project.values import Project
from modelcrate.project.writing import project_text
from modelcrate_layers.errors import UserError
from support.projects import as_editors_read, projects

KEYS = [
    "name",
    "python",
    "platforms",
    "base",
    "dependencies",
    "models",
    "entry",
    "env",
    "user",
    "codec",
    "contracts",
    "created",
    "gates",
    "unsafe-pickle",
    "secrets",
    "allow",
    "path",
    "from",
]
PLAIN = [
    "debian",
    "scratch",
    "3.11",
    "1",
    "true",
    "1e3",
    "no",
    "~",
    "a/b.pkl",
    "score.py",
    "gzip",
    "oip",
    "linux/arm64",
    "../x",
    "0x1f",
    "''",
]
parse_project(b"name: x\nbase: scratch\n")  # what is loaded late takes longer than one example may


@cache
def checker() -> Any:
    return jsonschema.Draft202012Validator(schema())


@given(projects())
def test_a_written_project_reads_back_equal(project: Project) -> None:
    assert parse_project(project_text(project).encode()) == project


@given(projects())
def test_the_schema_accepts_every_written_project(project: Project) -> None:
    assert list(checker().iter_errors(as_editors_read(project_text(project)))) == []


flow = st.recursive(
    st.sampled_from(PLAIN) | st.from_regex(r"[a-z0-9.]{1,5}", fullmatch=True),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"
        )
    ),
    max_leaves=8,
)


SCALARS = {
    "name": ["x", "1", "1e3", "true", "no", "0x1f"],
    "python": ["3.11", "3.10", "'3.9'", "03.11"],
    "base": [
        "1",
        "true",
        "{from: 1}",
        "{from: debian, packages: [1e5, '7zip']}",
        "oci:1",
        "{from: 1.5, interpreter: /1}",
    ],
    "dependencies": ["1", "[1]", "{requirements: [1, 'a'], pylock: 1.0}", "{wheelhouse: 1, requirements: 2}", "true"],
    "models": ["[1, {path: 2, name: 3, version: 4}]", "[{path: true, version: '5'}]", "[{path: a, version: +1}]", "[]"],
    "env": ["{A: 1, B: 1.5, C: true, D: ''}", "{}"],
    "labels": ["{1: 2, true: 3, 'a b': c}"],
    "user": ["1", "1:0", "root", "true", "1e3"],
    "codec": ["none", "'auto'", "{models: gzip}", "{}"],
    "created": ["2026-01-01T00:00:00Z", "2026-01-01"],
}


@given(
    st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in SCALARS.items()})
    | st.dictionaries(st.sampled_from(KEYS), flow, max_size=3)
)
def test_what_the_reader_accepts_the_schema_accepts(pairs: dict[str, str]) -> None:
    whole = {"name": "x", "entry": "score.py", **pairs}
    text = "".join(f"{key}: {value}\n" for key, value in whole.items())
    with contextlib.suppress(UserError):
        parse_project(text.encode())
        assert list(checker().iter_errors(as_editors_read(text))) == []


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_project_or_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(UserError):
        parse_project(data)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`\t\n \\,?~", max_size=40))
def test_any_yaml_is_a_project_or_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(UserError):
        parse_project(text.encode())
