"""A full disk, by small file systems that the test mounts: an error of class 6, and not one byte left on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bases import small
from support.command import Crate, half_made, names
from support.index import PackageIndex, serve
from support.small_projects import model_only, served
from support.wheels import filename, wheel_bytes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")

MACHINE = 6


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def used(disk: Path) -> int:
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_for_an_output(tmp_path: Path, disk: Path, kind: str) -> None:
    crate = Crate.at(tmp_path / "home")
    project = model_only(tmp_path / "project", os.urandom(3 << 20))
    crate("build", project, "-o", f"{kind}:{disk / 'image'}").failed(
        MACHINE, "No space left on device", str(disk), "free some space"
    )
    assert list(disk.iterdir()) == []
    assert used(disk) == 0


def test_for_the_store(tmp_path: Path, disk: Path) -> None:
    crate = Crate.at(disk)
    project = model_only(tmp_path / "project", os.urandom(3 << 20))
    crate("build", project).failed(MACHINE, "No space left on device", str(disk / "store"), "free some space")
    assert names(disk / "store") == []
    assert half_made(disk) == []
    assert used(disk) < 100_000


def test_for_layers_that_are_kept(tmp_path: Path, disk: Path) -> None:
    crate = Crate.at(disk)
    project = served(tmp_path / "project")
    (project / "src" / "large.bin").write_bytes(os.urandom(3 << 20))
    crate("build", project).failed(MACHINE, "No space left on device", "free some space")
    assert half_made(disk) == []


def test_for_a_download(tmp_path: Path, disk: Path) -> None:
    """It is this machine's fault, and not told as a connection that broke."""
    project = served(tmp_path / "project", requires="big-lib")
    big = wheel_bytes("big-lib", "1.0", {"big.bin": os.urandom(3 << 20)})
    with serve(
        PackageIndex({filename("big-lib", "1.0"): big, filename("gunicorn", "23.0"): wheel_bytes("gunicorn", "23.0")})
    ) as index:
        text = (project / "modelcrate.yaml").read_text()
        (project / "modelcrate.yaml").write_text(text.replace("wheelhouse: wheels", f'index-url: "{index.url}"'))
        crate = Crate.at(tmp_path / "home")
        crate("plan", project).succeeded()  # uv's own cache is not what is tested here
        (tmp_path / "home" / "cache" / "wheels").mkdir(parents=True, exist_ok=True)
        for found in (tmp_path / "home" / "cache" / "wheels").rglob("*.whl"):
            found.unlink()
        subprocess.run(["mount", "--bind", str(disk), str(tmp_path / "home" / "cache" / "wheels")], check=True)
        try:
            crate("build", project).failed(MACHINE, "No space left on device", "free some space")
            assert half_made(disk) == []
        finally:
            subprocess.run(["umount", "-l", str(tmp_path / "home" / "cache" / "wheels")], check=True)


def test_for_a_rootfs_that_is_stored_anew(tmp_path: Path, disk: Path) -> None:
    import lzma

    from support.rootfs import layer, member

    project = served(tmp_path / "project", base="{from: 'rootfs:base.tar.xz', interpreter: /usr/bin/python3.11}")
    data = layer(member("big", os.urandom(3 << 20))).data
    (project / "base.tar.xz").write_bytes(lzma.compress(data, preset=0))
    Crate.at(disk)("build", project).failed(MACHINE, "No space left on device", "free some space")
    assert half_made(disk) == []
    assert small().descriptor.size < 1 << 20
