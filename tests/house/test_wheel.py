"""What `pip install` brings: two packages, the server's sources, the keys; and nothing that collides with a user's code."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.sources import REPOSITORY


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_there_are_three_packages_and_a_manual_page_and_nothing_else(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    (information,) = {top for top in tops if top.endswith(".dist-info")}
    data = information.replace(".dist-info", ".data")
    assert tops - {information} == {"modelcrate", "modelcrate_layers", "modelcrate_server", data}
    assert [name for name in names if name.startswith(data)] == [f"{data}/data/share/man/man1/modelcrate.1"]


def test_everything_that_is_needed_is_in_it(names: set[str]) -> None:
    assert {
        "modelcrate/py.typed",
        "modelcrate_layers/py.typed",
        "modelcrate/resolve/debian/keys.asc",
        "modelcrate_server/__main__.py",
    } <= names
    sources = {
        path.relative_to(REPOSITORY / root).as_posix()
        for root, package in (
            ("builder", "modelcrate"),
            ("layers", "modelcrate_layers"),
            ("layers", "modelcrate_server"),
        )
        for path in (REPOSITORY / root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names


def test_the_pages_that_messages_name_are_in_it(names: set[str]) -> None:
    assert {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").rglob("*.md")} <= {
        name.removeprefix("modelcrate/") for name in names
    }


def test_nothing_of_this_machine_is_in_it(names: set[str]) -> None:
    assert not [name for name in names if name.endswith((".pyc", ".orig", "~")) or "__pycache__" in name]
    assert all(
        Path(name).suffix in {".py", ".asc", ".css", ".html", ".js", ".typed", ".json", ".txt", ".md", ".1", ""}
        for name in names
        if ".dist-info/" not in name and ".data/" not in name
    )
