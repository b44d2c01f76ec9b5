"""The table of contents that some layers carry, so that their files are known without the whole layer: eStargz and zstd:chunked.

Both name the table in annotations of the layer's descriptor, with a digest, so the manifest vouches for it:

- eStargz (containerd/stargz-snapshotter, docs/estargz.md): the last 51 bytes of the blob have the offset of a gzip member with a tar, whose
  only file INDEX is the table. `containerd.io/snapshot/stargz/toc.digest` is the SHA-256 of that file.
- zstd:chunked (containers/storage, pkg/chunked): `io.github.containers.zstd-chunked.manifest-position` is OFFSET:LENGTH:UNPACKED:TYPE of a zstd
  frame with the table, and `...manifest-checksum` the SHA-256 of the frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelcrate_layers.content import Blob, Digest, parse_json
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.codec import INDEX, INDEX_DIGEST, TABLE_DIGEST, TABLE_PLACE, decode
from modelcrate_layers.tar.reader import read_tar

MAX_TABLE = 64 << 20
"""Bytes of a table: a layer with 100,000 files has some 30 MiB."""

_CHUNKED = (
    (TABLE_PLACE, TABLE_DIGEST),
    ("io.containers.zstd-chunked.manifest-position", "io.containers.zstd-chunked.manifest-checksum"),
)
"""The names of the annotations; Debian 12's skopeo, podman and buildah write the second ones."""
_FOOTER = 51
_OFFSET = compile_later(rb"\x1f\x8b.{10}SG\x16\x00([0-9a-f]{16})STARGZ", re.DOTALL)
"""The footer of an eStargz blob: an empty gzip member with an extra field of 22 bytes (RFC 1952, 2.3.1.1)."""


def read_table(blob: Blob, notes: Mapping[str, str]) -> list[dict[str, Any]] | None:
    """Returns the entries of a layer's table; None where it has none. Only the table is fetched.

    Args:
        blob: The stored layer.
        notes: The annotations of its descriptor.

    Raises:
        IntegrityError: The table is not there, not the one that is named, malformed, or larger than MAX_TABLE.
    """
    try:
        if INDEX_DIGEST in notes:
            table = _estargz(blob, notes[INDEX_DIGEST])
        elif named := next((each for each in _CHUNKED if each[0] in notes), None):
            place, digest = named
            table = _chunked(blob, notes[place], notes.get(digest, ""))
        else:
            return None
        entries = parse_json(table, limit=MAX_TABLE)["entries"]
        if all(isinstance(each["name"], str) and isinstance(each["type"], str) for each in entries):
            return list(entries)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    except CrateError as fault:
        raise IntegrityError(f"its table can't be read: {fault.what}") from None
    raise IntegrityError("its table can't be read: it is malformed")


def _estargz(blob: Blob, digest: str) -> bytes:
    size = blob.descriptor.size
    found = _OFFSET.match(_range(blob, size - _FOOTER, _FOOTER))
    if found is None:
        raise IntegrityError("there is no footer that says where it is")
    offset = int(found[1], 16)
    stored = _range(blob, offset, size - _FOOTER - offset)
    for member in read_tar(decode([stored]), held=True):
        if member.name == INDEX and member.size <= MAX_TABLE:
            return _checked(b"".join(member.body), digest)
    raise IntegrityError("it is not where the footer says")


def _chunked(blob: Blob, position: str, checksum: str) -> bytes:
    offset, length, unpacked, _ = (int(part) for part in position.split(":"))
    if unpacked > MAX_TABLE:
        raise IntegrityError(f"it has more than {MAX_TABLE} bytes")
    return b"".join(decode([_checked(_range(blob, offset, length), checksum)]))


def _checked(data: bytes, digest: str) -> bytes:
    if str(Digest.of(data)) != digest:
        raise IntegrityError(f"the manifest names {digest:.80}, and it is {Digest.of(data)}")
    return data


def _range(blob: Blob, start: int, length: int) -> bytes:
    """Reads a part of the stored layer. What is behind it is not fetched."""
    if not 0 <= start <= start + length <= blob.descriptor.size or length > MAX_TABLE:
        raise IntegrityError("it is said to be outside of the layer")
    return b"".join(_first(blob.chunks(start), length)) if length else b""


def _first(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:length]
        length -= len(chunk)
        if length <= 0:
            return
