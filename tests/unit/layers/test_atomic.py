"""Files that are there whole or not at all, with and without the kernel's files that have no name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelcrate_layers import atomic
from modelcrate_layers.atomic import incoming, write_file


@pytest.fixture(params=["unnamed", "hidden"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`hidden`: as on a file system that knows no unnamed files."""
    if request.param == "hidden":
        monkeypatch.setattr(atomic, "_UNNAMED", 0)
    return tmp_path


def test_a_file_that_is_kept_is_whole(folder: Path) -> None:
    with incoming(folder) as file:
        file.write(b"some ")
        file.write(b"bytes")
        assert not (folder / "name").exists()
        file.keep(folder / "name")
    assert (folder / "name").read_bytes() == b"some bytes"
    assert (folder / "name").stat().st_mode & 0o777 == 0o644
    assert os.listdir(folder) == ["name"]


def test_a_file_that_is_not_kept_was_never_there(folder: Path) -> None:
    with incoming(folder) as file:
        file.write(b"some bytes")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, OSError])
def test_a_fault_leaves_nothing(folder: Path, fault: type[BaseException]) -> None:
    with pytest.raises(fault), incoming(folder) as file:
        file.write(b"some bytes")
        raise fault
    assert os.listdir(folder) == []


def test_an_old_file_is_replaced_at_once_or_stays(folder: Path) -> None:
    (folder / "name").write_bytes(b"old")
    with pytest.raises(ValueError), incoming(folder) as file:
        file.write(b"new")
        raise ValueError
    assert (folder / "name").read_bytes() == b"old"
    write_file(folder / "name", b"new")
    assert (folder / "name").read_bytes() == b"new"
    assert os.listdir(folder) == ["name"]


def test_a_folder_that_is_not_there(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(folder / "no" / "name", b"")


def test_an_unfinished_file_has_no_name(tmp_path: Path) -> None:
    """Where the file system can do it, as this one can: so not even a kill leaves anything."""
    with incoming(tmp_path) as file:
        file.write(b"x")
        if not hasattr(os, "O_TMPFILE"):
            pytest.skip("this system has no O_TMPFILE")
        assert os.listdir(tmp_path) == []
