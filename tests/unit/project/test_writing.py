"""The file that `init` writes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from modelcrate.project.reading import parse_project
from modelcrate.project.remembered import decode, encode
from modelcrate.project.values import Codecs, Conda, DebianBase, Dependencies, Entry, LayoutBase, Model, Project
from modelcrate.project.writing import project_text
from modelcrate_layers.content import Platform

SMALL = Project("x", Entry(Path("score.py")))

FULL = Project(
    "x",
    Entry(Path("score.py"), Path("src")),
    (Model(Path("a b.pkl"), "yes", 2),),
    "3.10",
    (Platform("linux", "amd64"), Platform("linux", "arm64")),
    DebianBase("trixie", "http://mirror.example/debian", ("libgomp1",), PurePosixPath("/usr/bin/python3")),
    Dependencies(
        ("numpy",), None, Path("../wheels"), "https://index.example/simple", ("https://more.example/simple",), layers=60
    ),
    {"A": "no", "B": "# x", "C": "\u2028\x85\ufeff\n\t\"\\'", "D": "1_0"},
    {"team": "research"},
    "app",
    Codecs("gzip", models="none"),
    datetime(2026, 1, 1, tzinfo=UTC),
    contracts=("oip", "azureml"),
    modelcar=True,
)


def test_a_small_project_is_a_page_with_help() -> None:
    lines = project_text(SMALL).splitlines()
    assert lines[1].startswith("# What goes into the image")
    assert [line.partition("#")[0].rstrip() for line in lines[2:]] == [
        "name: x",
        "platforms: [linux/amd64]",
        "base: debian",
        "entry: score.py",
        'user: "10001:0"',
    ]
    assert sum("  # " in line for line in lines) == 4


def test_a_full_project_reads_back_equal() -> None:
    assert parse_project(project_text(FULL).encode()) == FULL


def test_what_others_take_for_something_else_is_quoted() -> None:
    text = project_text(FULL)
    assert 'python: "3.10"' in text
    assert 'name: "yes"' in text
    assert 'A: "no"' in text
    assert 'created: "2026-01-01T00:00:00Z"' in text


def test_a_requirements_file_with_the_name_of_a_lock_stays_one() -> None:
    for needs in (Dependencies(Path("pylock.toml")), Dependencies(pylock=Path("lock.toml"))):
        project = Project("x", Entry(Path("score.py")), dependencies=needs)
        assert parse_project(project_text(project).encode()) == project


@pytest.mark.parametrize(
    "needs",
    [
        Dependencies(Path("pyproject.toml"), extras=("a", "b-c"), groups=("serve",), project=True),
        Dependencies(Path("uv.lock")),
        Dependencies(("torch",), torch="cpu"),
        Dependencies(Path("environment.yml"), conda=Conda(("numpy=1.26",), ("conda-forge",))),
    ],
)
def test_every_declaration_of_dependencies_reads_back(needs: Dependencies, tmp_path: Path) -> None:
    project = Project("x", Entry(Path("score.py")), dependencies=needs)
    assert parse_project(project_text(project).encode()) == project
    assert decode(encode(project)) == project


def test_a_layout_folder_with_a_colon_keeps_it() -> None:
    project = Project("x", Entry(Path("score.py")), base=LayoutBase(Path("a:b")))
    assert parse_project(project_text(project).encode()) == project
