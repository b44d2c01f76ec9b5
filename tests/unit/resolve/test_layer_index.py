"""Tables of contents of layers: read by two or one small requests, and believed only with the digest that the manifest names."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from modelcrate.images.image import ImageLayer
from modelcrate.resolve.find_python import Wanted, find_python, look_at_remote
from modelcrate.resolve.layer_index import listed_paths
from modelcrate.resolve.scan import says_nothing
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType
from support.foreign_bases import GLIBC, base, program
from support.rootfs import layer, member

FILES = [{"name": "etc/", "type": "dir"}, {"name": "./etc/x", "type": "reg"}, {"name": "etc/l", "type": "symlink"}]
PATHS = (("etc", "dir"), ("etc/x", "reg"), ("etc/l", "symlink"))


class Stored:
    """A blob that notes the bytes that were taken of it."""

    def __init__(self, data: bytes, annotations: dict[str, str]) -> None:
        self.data, self.taken = data, 0
        self.descriptor = Descriptor(MediaType.LAYER_GZIP, Digest.of(data), len(data), annotations)

    def chunks(self, start: int = 0):  # type: ignore[no-untyped-def]  # a generator, so that what is not taken counts
        for at in range(start, len(self.data), 64):
            piece = self.data[at : at + 64]
            self.taken += len(piece)
            yield piece


def estargz(tar: bytes, files: list[dict[str, str]] = FILES) -> Stored:
    """As docs/estargz.md of the stargz-snapshotter says: members of the layer, the table's member, and a footer of 51 bytes."""
    table = json.dumps({"version": 1, "entries": files}).encode()
    payload = gzip.compress(tar[:-1024], mtime=0)
    toc = gzip.compress(layer(member("stargz.index.json", table)).data, mtime=0)
    extra = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % len(payload)
    footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra + b"\x01\0\0\xff\xff" + bytes(8)
    assert len(footer) == 51
    digest = f"sha256:{hashlib.sha256(table).hexdigest()}"
    return Stored(payload + toc + footer, {"containerd.io/snapshot/stargz/toc.digest": digest})


def chunked(
    tar: bytes, files: list[dict[str, str]] = FILES, name: str = "io.github.containers.zstd-chunked.manifest-"
) -> Stored:
    """As pkg/chunked of containers/storage writes it: frames, the table in a skippable frame, and its place in annotations."""
    table = zstandard.compress(json.dumps({"version": 1, "entries": files}).encode())
    payload = zstandard.compress(tar)
    skipped = struct.pack("<II", 0x184D2A50, len(table)) + table
    notes = {
        f"{name}position": f"{len(payload) + 8}:{len(table)}:4096:1",
        f"{name}checksum": f"sha256:{hashlib.sha256(table).hexdigest()}",
    }
    return Stored(payload + skipped, notes)


def chunked_before(tar: bytes, files: list[dict[str, str]] = FILES) -> Stored:
    """As skopeo 1.9 and podman 4.3, those of Debian 12, name the annotations."""
    return chunked(tar, files, "io.containers.zstd-chunked.manifest-")


def placed(stored: Stored) -> ImageLayer:
    (one,) = base(layer(member("etc/x"))).layers
    return replace(one, blob=stored, layer=replace(one.layer, descriptor=stored.descriptor))


LARGE = layer(member("etc/x", bytes(range(256)) * 4000)).data


@pytest.mark.parametrize("make", [estargz, chunked, chunked_before])
def test_only_the_table_is_fetched(make) -> None:  # type: ignore[no-untyped-def]
    stored = make(LARGE)
    assert listed_paths(placed(stored)) == PATHS
    assert stored.taken < 2000


@pytest.mark.parametrize("make", [estargz, chunked, chunked_before])
def test_a_table_that_is_not_what_the_manifest_names_is_not_believed(make) -> None:  # type: ignore[no-untyped-def]
    good = make(LARGE)
    for notes in (
        {name: value.replace("sha256:", "sha256:0", 1) for name, value in good.descriptor.annotations.items()},
        {name: "9999999:100:100:1" if "position" in name else value for name, value in good.descriptor.annotations.items()},
        dict.fromkeys(good.descriptor.annotations, "x"),
    ):  # fmt: skip
        if notes != dict(good.descriptor.annotations):
            assert listed_paths(placed(Stored(good.data, notes))) is None
    assert listed_paths(placed(Stored(good.data[:40], dict(good.descriptor.annotations)))) is None
    assert listed_paths(placed(Stored(good.data, {}))) is None


@pytest.mark.parametrize(
    ("path", "kind", "nothing"),
    [
        ("etc/x", "reg", True),
        ("usr/local/bin/python3.11", "reg", False),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", "reg", False),
        ("lib", "symlink", False),
        ("lib", "dir", True),
        ("opt/.wh.python", "reg", False),
        ("opt/.wh..wh..opq", "reg", False),
    ],
)
def test_a_layer_is_passed_over_only_where_it_says_nothing(path: str, kind: str, nothing: bool) -> None:
    assert says_nothing([(path, kind)]) is nothing


@pytest.mark.parametrize("make", [estargz, chunked, chunked_before])
def test_a_base_with_tables_is_looked_at_without_its_other_layers(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    system = layer(member("usr/lib/x86_64-linux-gnu/libc.so.6", GLIBC), member("usr/bin/python3.11", program()))
    below = base(system, layer(member("etc/x")))
    stored = make(LARGE)
    below = replace(below, layers=(below.layers[0], placed(stored)))
    look = look_at_remote(below, Wanted(), tmp_path, lambda event: None, dict)
    found = find_python(below, Wanted(), look, lambda event: None)
    assert (found.interpreter, found.glibc) == ("/usr/bin/python3.11", (2, 36))
    assert stored.taken < 2000
    assert Literal(LARGE, MediaType.LAYER).descriptor.size > 1_000_000
