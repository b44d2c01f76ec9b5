"""The table of contents that some layers carry, so that their files are known without the whole layer: eStargz and zstd:chunked.

Both name the table in annotations of the layer's descriptor, with a digest, so the manifest vouches for it:

- eStargz (containerd/stargz-snapshotter, docs/estargz.md): the last 51 bytes of the blob have the offset of a gzip member with a tar, whose
  only file `stargz.index.json` is the table. `containerd.io/snapshot/stargz/toc.digest` is the SHA-256 of that file.
- zstd:chunked (containers/storage, pkg/chunked): `io.github.containers.zstd-chunked.manifest-position` is OFFSET:LENGTH:UNPACKED:TYPE of a zstd
  frame with the table, and `...manifest-checksum` the SHA-256 of the frame.

A table is used to pass a layer over, never to believe what a file of it contains.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from modelcrate.images.image import ImageLayer
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.tar.codec import decode
from modelcrate_layers.tar.reader import read_tar

MAX_TABLE = 64 << 20
"""Bytes of a table: a layer with 100,000 files has some 30 MiB."""

_ESTARGZ = "containerd.io/snapshot/stargz/toc.digest"
_CHUNKED = ("io.github.containers.zstd-chunked.manifest-", "io.containers.zstd-chunked.manifest-")
"""How the names of the annotations begin; those of Debian 12's skopeo, podman and buildah in the second way."""
_FOOTER = 51
_OFFSET = re.compile(rb"\x1f\x8b.{10}SG\x16\x00([0-9a-f]{16})STARGZ", re.DOTALL)
"""The footer of an eStargz blob: an empty gzip member with an extra field of 22 bytes (RFC 1952, 2.3.1.1)."""


def listed_paths(layer: ImageLayer) -> tuple[tuple[str, str], ...] | None:
    """Returns the path and the type (`reg`, `dir`, `symlink`, ...) of every file of a layer by its table; None where there is no good one.

    Only the table is fetched. A whiteout is a file of its own name.
    """
    notes = layer.layer.descriptor.annotations
    try:
        if _ESTARGZ in notes:
            table = _estargz(layer, notes[_ESTARGZ])
        elif prefix := next((each for each in _CHUNKED if f"{each}position" in notes), ""):
            table = _chunked(layer, notes[f"{prefix}position"], notes.get(f"{prefix}checksum", ""))
        else:
            return None
        entries = parse_object(table)["entries"]
        return tuple((str(each["name"]).removeprefix("./").strip("/"), str(each["type"])) for each in entries)
    except (CrateError, KeyError, TypeError, ValueError, AttributeError):  # the layer itself is read then
        return None


def _estargz(layer: ImageLayer, digest: str) -> bytes:
    size = layer.layer.descriptor.size
    footer = _range(layer, size - _FOOTER, _FOOTER)
    found = _OFFSET.match(footer)
    if found is None:
        raise ValueError("no footer")
    offset = int(found[1], 16)
    stored = _range(layer, offset, size - _FOOTER - offset)
    for member in read_tar(decode([stored]), held=True):
        if member.name == b"stargz.index.json" and member.size <= MAX_TABLE:
            return _checked(b"".join(member.body), digest)
    raise ValueError("no table")


def _chunked(layer: ImageLayer, position: str, checksum: str) -> bytes:
    offset, length, unpacked, _ = (int(part) for part in position.split(":"))
    if unpacked > MAX_TABLE:
        raise ValueError("a table that is too large")
    return b"".join(decode([_checked(_range(layer, offset, length), checksum)]))


def _checked(data: bytes, digest: str) -> bytes:
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise ValueError("another digest")
    return data


def _range(layer: ImageLayer, start: int, length: int) -> bytes:
    """Reads a part of the stored layer. What is behind it is not fetched."""
    if not 0 <= start <= start + length <= layer.layer.descriptor.size or length > MAX_TABLE:
        raise ValueError("outside of the layer")
    return b"".join(_first(layer.blob.chunks(start), length)) if length else b""


def _first(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:length]
        length -= len(chunk)
        if length <= 0:
            return
