"""Our unpacking against umoci's, on the same layers: names, kinds, modes, owners, times, links, whiteouts."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from modelcrate.images.unpack import unpack
from modelcrate_layers.content import Descriptor, Literal, MediaType, canonical_json
from support.rootfs import layer, member

pytestmark = pytest.mark.interop

D, S, H = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.fixture(autouse=True)
def _umoci() -> None:
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    if os.geteuid() != 0:
        pytest.skip("umoci applies owners as root only")


def layout(folder: Path, layers: list[Literal]) -> None:
    """An OCI layout of one image with these layers, written by hand: the writer under test elsewhere has no part in it."""
    diff_ids = [str(blob.descriptor.digest) for blob in layers]
    config = Literal(
        canonical_json(
            {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        ),
        MediaType.CONFIG,
    )
    manifest = Literal(
        canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MediaType.MANIFEST,
                "config": config.descriptor.json(),
                "layers": [blob.descriptor.json() for blob in layers],
            }
        ),
        MediaType.MANIFEST,
    )
    for blob in (config, manifest, *layers):
        path = folder / "blobs" / "sha256" / blob.descriptor.digest.hex
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob.data)
    named = Descriptor(
        MediaType.MANIFEST,
        manifest.descriptor.digest,
        manifest.descriptor.size,
        {"org.opencontainers.image.ref.name": "t"},
    )
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named.json()]}))


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a root that the image specification speaks of. Folders' times are left out where nobody set them."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        held, name = path.lstat(), str(path.relative_to(root))
        same = first.setdefault(held.st_ino, name)
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if stat.S_ISREG(held.st_mode) else ""
        time = held.st_mtime if stat.S_ISREG(held.st_mode) else 0
        found[name] = (held.st_mode, held.st_uid, held.st_gid, time, content, same)
    return found


def compare(tmp_path: Path, layers: list[Literal]) -> int:
    layout(tmp_path / "oci", layers)
    subprocess.run(
        ["umoci", "unpack", "--image", f"{tmp_path}/oci:t", str(tmp_path / "theirs")], check=True, capture_output=True
    )
    (tmp_path / "ours").mkdir()
    unpack(layers, tmp_path / "ours")
    ours = listing(tmp_path / "ours")
    assert ours == listing(tmp_path / "theirs" / "rootfs")
    return len(ours)


def test_modes_owners_links_and_names(tmp_path: Path) -> None:
    members = [
        member("a", kind=D, mode=0o750, uid=3, gid=4),
        member("a/f", b"1", mode=0o640, uid=1, gid=2, mtime=99),
        member("a/h", kind=H, linkname="a/f", mode=0o640, uid=1, gid=2, mtime=99),
        member("a/s", kind=S, linkname="../nowhere", uid=5),
        member("t", kind=D, mode=0o1777),
        member("n" * 200, b"long", mtime=5),
        member("ü/" + "d" * 90 + "/" + "e" * 90, b"deep", mtime=6),
        member("p", kind=tarfile.FIFOTYPE, mode=0o600),
    ]
    assert compare(tmp_path, [layer(*members)]) == 10


def test_whiteouts_and_replacements(tmp_path: Path) -> None:
    lower = layer(
        member("usr/lib", kind=D),
        member("lib", kind=S, linkname="usr/lib"),
        member("a/x", b"1", mtime=1),
        member("a/y/z", b"1", mtime=1),
        member("b/x", b"1", mtime=1),
        member("b/y/z", b"1", mtime=1),
        member("c/x", b"1", mtime=1),
        member("f", b"1", mtime=1),
    )
    middle = layer(
        member("lib/new", b"2", mtime=2),
        member("a/.wh.x", mtime=2),
        member("b/.wh..wh..opq", mtime=2),
        member("b/own", b"2", mtime=2),
        member(".wh.c", mtime=2),
        member("f", kind=D),
        member("f/g", b"2", mtime=2),
    )
    upper = layer(member("c", b"3", mtime=3), member("a/y", kind=S, linkname="../f"), member("a/y/h", b"3", mtime=3))
    assert compare(tmp_path, [lower, middle, upper]) == 12


@pytest.mark.parametrize("seed", range(6))
def test_layers_by_chance(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = ["a", "b", "c"]

    def path() -> str:
        return "/".join(chance.choice(names) for _ in range(chance.randint(1, 3)))

    layers, kinds = [], dict[str, bytes]()
    for number in range(4):
        members, used = [], set[str]()
        for _ in range(6):
            name = path()
            above = {name[:at] for at in range(len(name)) if name[at] == "/"}
            if (
                name in used
                or any(kinds.get(folder, D) != D for folder in above)
                or any(used & {f"!{up}"} for up in (*above, name))
            ):
                continue
            if any(other.startswith(name + "/") for other in used):
                continue
            if chance.random() < 0.25 and number:
                folder, _, last = name.rpartition("/")
                members.append(member(f"{folder}/.wh.{last}" if folder else f".wh.{last}"))
                used |= {name, f"!{name}"}
                kinds = {
                    known: kind for known, kind in kinds.items() if known != name and not known.startswith(name + "/")
                }
                continue
            kind = chance.choice([D, tarfile.REGTYPE, S])
            data = chance.randbytes(10) if kind == tarfile.REGTYPE else b""
            members.append(
                member(
                    name,
                    data,
                    kind,
                    linkname="x" if kind == S else "",
                    mode=chance.choice([0o755, 0o700]),
                    mtime=number + 1,
                )
            )
            used |= {name, *above}
            if kind != D:
                kinds = {known: held for known, held in kinds.items() if not known.startswith(name + "/")}
            kinds[name] = kind
        layers.append(layer(*members))
    compare(tmp_path, layers)
