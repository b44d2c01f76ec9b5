"""A full disk, by small file systems that the test mounts: an error of class 6, and not one byte left on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from modelcrate_layers.content import MediaType
from support.bases import documents, small
from support.command import Crate, half_made, in_this_process, names
from support.images_by_hand import write_layout
from support.index import PackageIndex, serve
from support.rootfs import layer, member
from support.scripted import scripted
from support.small_projects import model_only, served
from support.wheels import filename, wheel_bytes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")

MACHINE = 6


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    with in_this_process(monkeypatch, capfd):
        yield


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


def fill(disk: Path) -> Path:
    """Leaves no room at all, and returns the file that has it."""
    filler = disk / "filler"
    with suppress(OSError), open(filler, "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def written(disk: Path) -> list[Path]:
    """All files with something in them."""
    return sorted(path for path in disk.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize(
    "words",
    [
        ("lock", "{disk}/project"),
        ("init", "{disk}/new"),
        ("keygen", "{disk}/key"),
        ("build", "{disk}/project", "-o", "dockerfile:{disk}/saved"),
        ("build", "{disk}/project", "-o", "oci:{disk}/image:1"),
        ("copy", "oci:{elsewhere}:1", "oci-archive:{disk}/image.tar"),
        ("model", "register", "m", "{elsewhere}/blobs", "--workspace", "{disk}/workspace"),
    ],
    ids=lambda words: words[0],
)
def test_for_what_a_command_writes_where_it_is_told(tmp_path: Path, disk: Path, words: tuple[str, ...]) -> None:
    served(disk / "project")
    (disk / "new").mkdir()
    (disk / "new/score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    write_layout(tmp_path / "elsewhere", [small()], {})
    filler = fill(disk)
    before = written(disk)
    filled = [word.format(disk=disk, elsewhere=tmp_path / "elsewhere") for word in words]
    crate = Crate.at(tmp_path / "home", MODELCRATE_KEY_PASSWORD="")
    crate(*filled).failed(MACHINE, "No space left on device", str(disk), "free some space")
    assert written(disk) == before
    filler.unlink()
    crate(*filled).succeeded()


@pytest.mark.parametrize("verb", ["pull", "run", "home"])
def test_for_a_home_that_gets_an_image(tmp_path: Path, disk: Path, verb: str) -> None:
    big = layer(member("big", os.urandom(3 << 20)))
    config, manifest = documents([big])
    address = write_layout(tmp_path / "image", [big], {"Cmd": ["/big"]}, machine=os.uname().machine)
    with scripted() as registry:
        registry.blobs |= {("a/b", str(blob.descriptor.digest)): blob.data for blob in (big, config)}
        registry.manifests["a/b", "1"] = registry.manifests["a/b", str(manifest.descriptor.digest)] = (
            MediaType.MANIFEST,
            manifest.data,
        )
        words = ("pull", f"{registry.host}/a/b:1") if verb == "pull" else ("run", address)
        if verb == "home":
            fill(disk)
        Crate.at(disk)(*words).failed(MACHINE, "No space left on device", str(disk), "free some space")
    assert names(disk / "store") == []
    assert half_made(disk) == []
    assert list((disk / "containers").glob("*")) == []
    assert list((disk / "unpacked").glob("*")) == []


def test_for_a_rootfs_that_is_stored_anew(tmp_path: Path, disk: Path) -> None:
    import lzma

    project = served(tmp_path / "project", base="{from: 'rootfs:base.tar.xz', interpreter: /usr/bin/python3.11}")
    data = layer(member("big", os.urandom(3 << 20))).data
    (project / "base.tar.xz").write_bytes(lzma.compress(data, preset=0))
    Crate.at(disk)("build", project).failed(MACHINE, "No space left on device", "free some space")
    assert half_made(disk) == []
    assert small().descriptor.size < 1 << 20


@pytest.mark.parametrize("kind", ["read-only", "file", "fifo", "device", "below a file"])
def test_a_home_that_can_not_be_used(tmp_path: Path, disk: Path, kind: str) -> None:
    home = tmp_path / "home"
    project = model_only(tmp_path / "project")
    if kind == "read-only":
        home = disk
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    elif kind == "fifo":
        os.mkfifo(home)
    elif kind == "device":
        home = Path("/dev/null")
    else:
        home.write_text("")
        home = home / "below" if kind == "below a file" else home
    crate = Crate.at(home)
    for words in (
        ("build", project),
        ("lock", project),
        ("pull", "127.0.0.1:1/a/b:1"),
        ("run", project),
        ("model", "register", "m", project / "model.bin", "--workspace", tmp_path / "workspace"),
    ):
        crate(*words).failed(MACHINE, str(home), "MODELCRATE_HOME")
    assert not (project / "modelcrate.lock").exists()
