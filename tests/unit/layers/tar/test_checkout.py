"""What is asked of Git: which files are programs and links. A repository is another's work, and may be hostile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelcrate.pipeline.line_ends import line_end_notices
from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar import checkout
from modelcrate_layers.tar.checkout import read_checkout

WHO = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "protocol.file.allow=always")


def git(folder: Path, *words: str | Path) -> str:
    done = subprocess.run(["git", *WHO, *map(str, words)], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "lines.txt").write_bytes(b"a\nb\n")
    (folder / "tool").write_bytes(b"tool")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("tool")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def modes(folder: Path) -> dict[str, str]:
    return {str(Path(path).relative_to(folder)): mode for path, mode in read_checkout(str(folder)).modes.items()}


KNOWN = {"lines.txt": "100644", "tool": "100755", "link": "120000"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.sshCommand", "touch {mark}; false"),
        ("remote.origin.uploadpack", "touch {mark}; false"),
        ("remote.origin.url", "ext::sh -c touch% {mark}"),
        ("core.fsmonitor", "touch {mark}; false"),
    ],
)
def test_no_program_that_a_repository_names_is_started(tmp_path: Path, key: str, value: str) -> None:
    """An object that is missing would be fetched, if the settings say that there is a server that has it."""
    hostile = repository(tmp_path / "hostile")
    lacking = git(hostile, "rev-parse", ":lines.txt")
    (hostile / ".git" / "objects" / lacking[:2] / lacking[2:]).unlink()
    url = str(hostile) if key.endswith("uploadpack") else "ssh://example.org/it"
    for name, said in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("protocol.ext.allow", "always"),
        ("remote.origin.url", url),
        (key, value.format(mark=tmp_path / "mark")),
    ):
        git(hostile, "config", name, said)
    assert modes(hostile) == KNOWN
    assert not (tmp_path / "mark").exists()


def test_no_program_that_a_folder_of_a_clone_names_is_started(tmp_path: Path) -> None:
    """A folder that looks like `.git` comes with a clone, with its settings."""
    inner = repository(tmp_path / "outer") / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "--bare")
    for name, said in (("core.bare", "false"), ("core.worktree", str(inner)), ("core.fsmonitor", "touch mark")):
        git(tmp_path, "config", "--file", inner / "config", name, said)
    with pytest.raises(SourceError, match="bare"):
        read_checkout(str(inner))
    assert not (inner / "mark").exists()


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_INDEX_FILE"])
def test_the_variables_of_a_hook_name_no_other_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other, asked = repository(tmp_path / "other"), repository(tmp_path / "asked")
    git(other, "update-index", "--chmod=-x", "tool")
    monkeypatch.setenv(name, str(other / ".git" / ("index" if name == "GIT_INDEX_FILE" else "")))
    assert modes(asked) == KNOWN


def test_files_of_a_submodule_are_known(tmp_path: Path) -> None:
    inner, outer = repository(tmp_path / "inner"), repository(tmp_path / "outer")
    git(outer, "submodule", "-q", "add", inner, "under")
    git(outer / "under", "config", "core.fsmonitor", f"touch {tmp_path / 'mark'}")
    assert modes(outer) == {**KNOWN, ".gitmodules": "100644", **{f"under/{name}": mode for name, mode in KNOWN.items()}}
    assert modes(outer / "under") == KNOWN
    assert not (tmp_path / "mark").exists()


def test_a_worktree_and_other_forms_of_the_index(tmp_path: Path) -> None:
    first = repository(tmp_path / "first")
    git(first, "worktree", "add", "-q", tmp_path / "second")
    git(tmp_path / "second", "update-index", "--index-version", "4")
    git(tmp_path / "second", "update-index", "--split-index")
    assert modes(tmp_path / "second") == KNOWN


def test_a_checkout_that_git_does_not_read_is_refused(tmp_path: Path) -> None:
    """Without Git's word the image would be another one."""
    broken = repository(tmp_path / "broken")
    (broken / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(SourceError, match="a checkout that Git does not read") as caught:
        read_checkout(str(broken))
    assert "index file" in caught.value.why
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(SourceError, match="/nowhere"):
        read_checkout(str(moved))


def test_where_there_is_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said only of a checkout."""
    inner = repository(tmp_path / "first") / "inner"
    inner.mkdir()
    monkeypatch.setattr(checkout, "find_program", lambda name: None)
    assert ["Git was not found" in each for each in line_end_notices(inner, ())] == [True]
    assert list(line_end_notices(tmp_path, ())) == []


@pytest.mark.parametrize("text", [b"", b"a\0b", b"x" * 4096])
def test_what_is_no_target_of_a_link_is_refused(tmp_path: Path, text: bytes) -> None:
    first = repository(tmp_path / "first")
    found = read_checkout(str(first))
    (first / "link").unlink()
    (first / "link").write_bytes(text)
    with pytest.raises(SourceError, match="is a link to Git"):
        found.link(str(first / "link"))


def test_the_target_of_a_link_is_as_it_is(tmp_path: Path) -> None:
    first = repository(tmp_path / "first")
    found = read_checkout(str(first))
    (first / "link").unlink()
    (first / "link").write_bytes(b"a\r\nb")
    assert found.link(str(first / "link")) == "a\r\nb"
    assert found.link(str(first / "tool")) is None
