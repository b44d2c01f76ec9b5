"""Files that are there whole or not at all, with and without the kernel's files that have no name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelcrate_layers import atomic
from modelcrate_layers.atomic import SCRATCH, incoming, scratch_folder, write_file


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


def test_bytes_go_to_their_places_in_any_order(folder: Path) -> None:
    with incoming(folder) as file:
        file.put(b"two", 4096)
        file.put(b"one", 0)
        file.cut(8192)
        file.keep(folder / "name")
    assert (folder / "name").read_bytes() == b"one".ljust(4096, b"\0") + b"two".ljust(4096, b"\0")


def test_a_file_that_is_cut_has_zeros_where_bytes_were(folder: Path) -> None:
    with incoming(folder) as file:
        file.put(b"old", 0)
        file.cut(0)
        file.put(b"new", 3)
        file.keep(folder / "name")
    assert (folder / "name").read_bytes() == b"\0\0\0new"


def test_the_first_of_two_equal_files_stays_and_its_stamp_does_not_change(folder: Path) -> None:
    """Builds beside each other fetch the same package, and the first one is packing it already."""
    with incoming(folder) as one, incoming(folder) as other:
        one.write(b"same")
        other.write(b"same")
        one.keep_first(folder / "name")
        before = os.stat(folder / "name")
        other.keep_first(folder / "name")
    after = os.stat(folder / "name")
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert os.listdir(folder) == ["name"]


def test_no_file_takes_the_place_of_a_device_or_a_pipe(folder: Path) -> None:
    """`--html /dev/stdout`, run as root, once replaced that link for the whole machine."""
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(FileExistsError, match="no regular file"):
            write_file(folder / name, b"bytes")
    assert (folder / "pipe").is_fifo()
    assert os.readlink(folder / "link") == "/dev/null"
    assert sorted(os.listdir(folder)) == ["link", "pipe"]


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


KILLED = """
import os, signal, sys
from pathlib import Path
from modelcrate_layers.atomic import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "half").mkdir()
    (folder / "half" / "done").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_has_left_is_removed_by_the_next_one_and_nothing_else(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=environment, check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "half" / "done").exists()
    (tmp_path / "modelcrate-data").mkdir()
    (tmp_path / f"{SCRATCH}link").symlink_to(tmp_path / "modelcrate-data")
    with scratch_folder(tmp_path) as one, scratch_folder(tmp_path) as other:
        assert not left.exists()
        assert one.is_dir()
        assert other.is_dir()
        assert one != other
    assert {path.name for path in tmp_path.iterdir()} == {"modelcrate-data", f"{SCRATCH}link"}


def test_a_fault_inside_is_raised_and_the_folder_goes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), scratch_folder(tmp_path):
        raise FileNotFoundError
    assert list(tmp_path.iterdir()) == []
