"""Records are believed under their own name, in their own folder, on the machine that wrote them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate_layers.records import MARKER, claim_folder, read_record, write_record


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_record(tmp_path, "a/b.json") is None
    write_record(tmp_path, "a/b.json", b"two\nlines")
    assert read_record(tmp_path, "a/b.json") == b"two\nlines"
    write_record(tmp_path, "a/b.json", b"")
    assert read_record(tmp_path, "a/b.json") == b""


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "one").write_bytes(b""),
        lambda folder: (folder / "one").write_bytes((folder / "one").read_bytes()[:-1]),
        lambda folder: (folder / "one").write_bytes((folder / "one").read_bytes() + b"!"),
        lambda folder: shutil.copy(folder / "other", folder / "one"),
        lambda folder: (folder / MARKER).unlink(),
        lambda folder: os.replace(shutil.copy2(folder / MARKER, folder / "new"), folder / MARKER),
    ],
    ids=["empty", "cut", "longer", "another's", "without a marker", "another marker"],
)
def test_a_record_that_was_changed_is_none(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    write_record(tmp_path, "one", b"1")
    write_record(tmp_path, "other", b"2")
    damage(tmp_path)
    assert read_record(tmp_path, "one") is None


def test_a_copy_of_the_folder_is_not_believed_and_a_renamed_folder_is(tmp_path: Path) -> None:
    write_record(tmp_path / "home", "one", b"1")
    shutil.copytree(tmp_path / "home", tmp_path / "copy", copy_function=shutil.copy2)
    (tmp_path / "home").rename(tmp_path / "moved")
    assert read_record(tmp_path / "copy", "one") is None
    assert read_record(tmp_path / "moved", "one") == b"1"


def test_a_folder_of_another_machine_is_emptied(tmp_path: Path) -> None:
    claim_folder(tmp_path / "home")
    (tmp_path / "home" / "kept").write_bytes(b"1")
    claim_folder(tmp_path / "home")
    assert (tmp_path / "home" / "kept").exists()
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    claim_folder(tmp_path / "copy")
    assert not (tmp_path / "copy" / "kept").exists()


@pytest.mark.parametrize("name", ["a/one", MARKER])
@pytest.mark.parametrize(
    "put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")], ids=["folder", "fifo", "link"]
)
def test_what_is_in_the_place_of_a_record_or_of_the_marker_is_replaced(
    tmp_path: Path, name: str, put: Callable[[Path], object]
) -> None:
    """And a link is not written through. A record that another marker vouched for is none any more."""
    write_record(tmp_path, "a/one", b"1")
    (tmp_path / name).unlink()
    put(tmp_path / name)
    assert read_record(tmp_path, "a/one") is None
    write_record(tmp_path, "a/one", b"2")
    assert read_record(tmp_path, "a/one") == b"2"
    assert (tmp_path / name).is_file()
    assert not (tmp_path / name).is_symlink()
