"""Images of strangers, unpacked and run by every engine: nothing of the machine changes, whatever they try."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcrate.containers import Volume
from modelcrate_layers.content import Literal
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from support.containers import Run, output
from support.hostile_images import ALL, Hostile
from support.rootfs import layer, member
from support.waiting import HANG

SETTINGS = (
    "kernel/core_pattern",
    "kernel/domainname",
    "kernel/hostname",
    "kernel/randomize_va_space",
    "vm/overcommit_memory",
)


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything that one could change of a folder: names, kinds, modes, owners, times, links, bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        held = path.lstat()
        data = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(held.st_mode) else ""
        found[str(path)] = (held.st_mode, held.st_uid, held.st_gid, held.st_mtime_ns, held.st_nlink, held.st_ino, data)
    return found


def mounts(own: Path) -> list[str]:
    """What is mounted, without what other tests mount at the same time: parts of containers, and folders of their own."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    others = (" - overlay ", " - nsfs ", " - tmpfs shm ", f" {tempfile.gettempdir()}/")
    return sorted(
        line.split(" ", 3)[3] for line in lines if str(own) in line or not any(each in line for each in others)
    )


def machine(own: Path) -> dict[str, object]:
    """What of the machine is looked at before and after: devices, mounts, settings, its name, our interpreter."""
    devices = {
        name: (held.st_mode, held.st_rdev)
        for name in sorted(os.listdir("/dev"))
        if (held := os.lstat(f"/dev/{name}")) and name != "pts"
    }
    interpreter = os.stat(sys.executable)
    return {
        "devices": devices,
        "mounts": mounts(own),
        "settings": {name: Path("/proc/sys", name).read_text() for name in SETTINGS},
        "name": socket.gethostname(),
        "interpreter": (interpreter.st_ino, interpreter.st_size, interpreter.st_mtime_ns),
    }


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder of the machine that images lead to, and a process that they may not end."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret\n")
    (folder / "below").mkdir()
    folder.chmod(0o777)
    before, around = snapshot(folder), machine(tmp_path)
    with subprocess.Popen(["sleep", "1000"]) as neighbour:
        yield folder
        assert neighbour.poll() is None
        neighbour.send_signal(signal.SIGKILL)
    assert snapshot(folder) == before
    assert machine(tmp_path) == around


def filled(value: Any, outside: Path) -> Any:
    """A value with the folder's name in it."""
    if isinstance(value, str):
        return value.replace("{outside}", str(outside))
    if isinstance(value, dict):
        return {key: filled(each, outside) for key, each in value.items()}
    return [filled(each, outside) for each in value] if isinstance(value, list) else value


def image(hostile: Hostile, outside: Path) -> Literal:
    return layer(
        *(member(filled(name, outside), data, **filled(dict(rest), outside)) for name, data, rest in hostile.entries)
    )


@pytest.mark.parametrize("name", ALL)
def test_nothing_of_the_machine_changes(run: Run, engine_name: str, name: str, outside: Path, tmp_path: Path) -> None:
    hostile = ALL[name]
    if engine_name in hostile.not_held_by:
        pytest.skip(f"{engine_name} is no container and says so")
    options = dict(hostile.options)
    if engine_name == "chroot" and options:
        pytest.skip("chroot mounts nothing and refuses such a start")
    if target := options.pop("volumes", None):
        (tmp_path / "mine").mkdir()
        options["volumes"] = (Volume(tmp_path / "mine", target),)
    command = filled(list(hostile.command), outside)
    refusal, container = None, None
    try:
        container = run(*command, config=dict(hostile.config), extra=image(hostile, outside), **options)
        container.wait(HANG)
    except CrateError as fault:
        refusal = fault
    if refusal is not None:
        assert isinstance(refusal, (IntegrityError, UserError)), refusal  # the image is to blame, and not this machine
        assert hostile.refused in str(refusal)
    if container is not None:
        assert not hostile.refused
        assert "ESCAPED" not in output(container)
        assert "tried" not in " ".join(command) or "tried" in output(container)


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 50


def test_what_was_replaced_is_said(run: Run, outside: Path) -> None:
    links = [member(name, kind=b"2", linkname=str(outside)) for name in ("dev", "proc")]
    container = run("sh", "-c", "[ -L /dev ] || [ -L /proc ] || echo real", extra=layer(*links))
    container.wait(HANG)
    assert output(container) == "real\n"
    notes = "\n".join(container.state().notes)
    assert "/dev of the image was no folder" in notes
    assert "/proc of the image was no folder" in notes
