"""What stays out of an image: three names, two grammars, held to Git's and Docker's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from modelcrate.project.ignore_rules import read_ignore_rules
from modelcrate_layers.errors import UserError
from modelcrate_layers.tar.listing import list_inside

FILES = ["a.txt", "b.csv", "data/x.csv", "data/keep.txt", "src/data/y", "src/b.csv", "deep/er/z.log", "name with space"]


def kept(folder: Path, name: str, text: str) -> list[str]:
    """The files that are listed under such an ignore file."""
    for path in FILES:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    (folder / name).write_text(text)
    (rules,) = read_ignore_rules([folder])
    listed = list_inside(folder, b"", ignored=rules.leaves_out)
    found = [os.fsdecode(each.path).lstrip("/") for each in listed.entries if each.source is not None]
    return sorted(set(found) - {name})


GIT = [
    "data",
    "data/",
    "/data",
    "*.csv",
    "*.csv\n!src/b.csv",
    "data\n!data/keep.txt",
    "**/er",
    "deep/**",
    "# no\n\\#x",
    "name\\ with*",
    "src/*\n!src/b.csv",
]


@pytest.mark.parametrize("text", GIT)
def test_our_file_is_in_gits_grammar(tmp_path: Path, text: str) -> None:
    found = kept(tmp_path, ".modelcrateignore", text)
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([git, "init", "-q", tmp_path], check=True, env=environment)
    words = ["ls-files", "--others", "-z", "--exclude-from=.modelcrateignore"]
    done = subprocess.run([git, *words], cwd=tmp_path, capture_output=True, check=True, env=environment)
    assert found == sorted(set(os.fsdecode(done.stdout).split("\0")) - {"", ".modelcrateignore"})


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("data", {"data/x.csv", "data/keep.txt"}),
        ("*.csv", {"b.csv"}),
        ("**/*.csv", {"b.csv", "data/x.csv", "src/b.csv"}),
        ("data\n!data/keep.txt", {"data/x.csv"}),
        ("*\n!src", {"a.txt", "b.csv", "data/x.csv", "data/keep.txt", "deep/er/z.log", "name with space"}),
        ("/a.txt\n./b.csv\n\n# no", {"a.txt", "b.csv"}),
    ],
)
def test_dockers_file_begins_at_its_folder_and_takes_back(tmp_path: Path, text: str, out: set[str]) -> None:
    assert set(FILES) - set(kept(tmp_path, ".dockerignore", text)) == out


def test_one_name_counts_and_both_folders_of_a_project_may_have_it(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for path in (".amlignore", ".dockerignore", "src/.amlignore", ".gitignore"):
        (tmp_path / path).write_text("x")
    assert [rules.file for rules in read_ignore_rules([tmp_path / "src", tmp_path])] == [tmp_path / ".dockerignore"]
    (tmp_path / ".dockerignore").unlink()
    found = [rules.file.parent for rules in read_ignore_rules([tmp_path / "src", tmp_path])]
    assert found == [tmp_path / "src", tmp_path]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".amlignore").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_ignore_rules([tmp_path])
