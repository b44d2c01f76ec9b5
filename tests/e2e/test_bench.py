"""The bench itself, in a size that measures nothing: that it runs, counts, and prints and writes what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.sources import REPOSITORY
from support.waiting import HANG

pytestmark = pytest.mark.slow


def bench(command: Path, folder: Path, only: str) -> str:
    roots = os.pathsep.join(str(REPOSITORY / name) for name in ("builder", "layers", "tests"))
    sizes = ["--scale", "0.01", "--runs", "1", "--only", only]
    places = ["--modelcrate", command, "--folder", folder, "--cache", folder / "cache", "--write", folder]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *sizes, *map(str, places)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """`modelcrate` and, beside it, the interpreter that it runs on: what the bench takes an installation for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    roots = os.pathsep.join(str(REPOSITORY / name) for name in ("builder", "layers"))
    for name, words in (("python", ""), ("modelcrate", " -m modelcrate")):
        file = folder / name
        file.write_text(f'#!/bin/sh\nPYTHONPATH={roots} exec {sys.executable}{words} "$@"\n')
        file.chmod(0o755)
    return folder / "modelcrate"


def test_it_prints_and_writes_a_row_with_its_bars(command: Path, tmp_path: Path) -> None:
    said = bench(command, tmp_path, "tar,again,simulation")
    assert "tar: 10,000 small files" in said
    assert "time of modelcrate / tarfile" in said
    rows = json.loads((tmp_path / "performance.json").read_text())["rows"]
    assert list(rows) == ["tar", "again"]
    assert rows["again"]["outcomes"]["again"]["read"] > 0
    page = (tmp_path / "performance.md").read_text()
    assert "### again: the same layout again" in page
    assert "## A fleet on paper" in page


def test_an_unknown_scenario_is_refused(command: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such scenario: nonsense"):
        bench(command, tmp_path, "nonsense")
