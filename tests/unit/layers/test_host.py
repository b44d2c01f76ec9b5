"""The one place that knows how hosts differ, as it is on this one, and locks of bytes as Windows has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelcrate_layers import host


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to("file")
    handle = host.open_unfollowed(tmp_path / "file")
    assert host.pread(handle, 2, 1) == b"at"
    os.close(handle)
    with pytest.raises(OSError, match="symbolic links"):
        host.open_unfollowed(tmp_path / "link")


def test_a_link_is_not_followed_where_the_system_can_not_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_NOT_FOLLOWED", 0)
    test_a_link_is_not_followed(tmp_path)


def test_locks(tmp_path: Path) -> None:
    one, other, third = (host.open_lock(tmp_path / "lock") for _ in range(3))
    host.lock(one, shared=True)
    host.lock(other, shared=True, wait=False)
    with pytest.raises(BlockingIOError):
        host.lock(third, wait=False)
    os.close(one)
    os.close(other)
    host.lock(third, wait=False)
    os.close(third)


def test_a_program_of_the_current_folder_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert host.find_program("git", ".") is None
    assert host.find_program("git", str(tmp_path)) == str(tmp_path / "git")


def test_paths_below_a_folder_have_slashes() -> None:
    assert host.inner_path("/a/b/c", "/a") == "b/c"
    assert host.inner_path("/b", "/a") == "../b"
