"""What a user names is a regular file of a limited size, or is refused with its kind: nothing waits, and nothing fills memory."""

from __future__ import annotations

import io
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.environment import Environment
from modelcrate.cli.container_options import _lines
from modelcrate.config import Config
from modelcrate.pipeline.batch import read_list
from modelcrate.pipeline.detection.entry_candidates import read_some
from modelcrate.project.dockerfile import LISTING, edited_project
from modelcrate.project.ignore_rules import NAMES, read_ignore_rules
from modelcrate.project.opening import open_project
from modelcrate.project.reading import read_project
from modelcrate.project.registries import read_registries
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.lock import read_lock
from modelcrate.resolve.pylock import read_pylock
from modelcrate.resolve.requirement_lines import read_text
from modelcrate.resolve.rootfs import read_rootfs
from modelcrate.security.signing.keys import load_public, load_signer
from modelcrate.security.signing.policy import read_policy
from modelcrate.transports.archive import Archive
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.named_file import _ReadyFile, open_named_file, read_named_file


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD = {"a fifo": fifo, "a socket": unix_socket, "a device": zeros}

READERS: dict[str, Callable[[Path], object]] = {
    "project": read_project,
    "remembered project": lambda path: open_project(path, path.parent / "home"),
    "lock": read_lock,
    "requirements": read_text,
    "pylock": read_pylock,
    "pylock's digest": digest_of,
    "registries": read_registries,
    "policy": read_policy,
    "public key": load_public,
    "private key": lambda path: load_signer(str(path), None),
    "list of projects": read_list,
    "variables": lambda path: list(_lines(str(path))),
    "entry script": lambda path: read_some(path, 100),
    "archive": Archive.open,
    "root file system": lambda path: read_rootfs(path, Config(path.parent / "home")),
    "azureml's conda file": lambda path: CondaDependencies(str(path)),
    "azureml's requirements": lambda path: Environment.from_pip_requirements("x", str(path)),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_regular_file_is_refused_with_its_kind(tmp_path: Path, kind: str) -> None:
    ODD[kind](tmp_path / "x")
    before = len(os.listdir("/proc/self/fd"))
    for read in (open_named_file, lambda path: read_named_file(path, 10)):
        with pytest.raises(OSError, match=f"it is {kind}, not a regular file"):
            read(tmp_path / "x")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_named_file(tmp_path)


def test_size_comes_before_reading(tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_named_file(tmp_path / "large", 10)
    (tmp_path / "fits").write_bytes(b"0123456789")
    assert read_named_file(tmp_path / "fits", 10) == b"0123456789"
    with pytest.raises(OSError, match="more than 9 bytes"):
        read_named_file(tmp_path / "fits", 9)


def test_a_file_of_proc_has_no_size_and_is_read_to_the_limit() -> None:
    assert os.stat("/proc/self/status").st_size == 0
    with pytest.raises(OSError, match="more than 20 bytes"):
        read_named_file(Path("/proc/self/status"), 20)


def test_dev_null_is_an_empty_file() -> None:
    assert read_named_file(Path(os.devnull), 10) == b""


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_the_path_and_what_it_is(tmp_path: Path, reader: str, kind: str) -> None:
    path = tmp_path / "named"
    ODD[kind](path)
    with pytest.raises(CrateError) as fault:
        READERS[reader](path)
    assert str(path) in str(fault.value)
    assert re.search(r"not a regular file|not a file with variables", str(fault.value))


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", NAMES)
def test_an_ignore_file_that_is_no_file_is_not_passed_over(tmp_path: Path, name: str, kind: str) -> None:
    ODD[kind](tmp_path / name)
    with pytest.raises(CrateError, match=f"it is {kind}, not a regular file"):
        read_ignore_rules([tmp_path])


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["Dockerfile", LISTING])
def test_a_saved_dockerfile_that_is_no_file_is_not_taken_over(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / LISTING).write_text('{"dockerfile": "FROM scratch"}')
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    (tmp_path / name).unlink()
    ODD[kind](tmp_path / name)
    with pytest.raises(UserError, match="is not a folder that -o dockerfile:DIR has written"):
        edited_project(tmp_path)


def test_a_regular_file_that_would_wait_is_refused() -> None:
    """Such as /proc/kmsg, which only root may open; here a pipe stands in its place."""
    end, other = os.pipe()
    os.set_blocking(end, False)
    readers: list[Callable[[io.BufferedReader], bytes]] = [
        lambda f: f.read(),
        lambda f: f.read(9),
        lambda f: f.readline(),
    ]
    for read in readers:
        with (
            io.BufferedReader(_ReadyFile(os.dup(end), Path("x"))) as file,
            pytest.raises(OSError, match="nothing to read"),
        ):
            read(file)
    os.close(end)
    os.close(other)
