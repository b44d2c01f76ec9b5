"""Compares what tables say of layers with the layers. A runtime that knows a table mounts what that says, and not the tar of the diff id.

Where a chunk is stored is not compared: a runtime checks the digest of each chunk that it fetches.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from modelcrate_layers.content import Blob, Digest
from modelcrate_layers.frozen import NamedTuple
from modelcrate_layers.tar.codec import INDEX, sniff
from modelcrate_layers.tar.reader import Member, read_tar
from modelcrate_layers.tar.table import KINDS
from modelcrate_layers.tar.ztoc import make_ztoc

ZEROS = "zeros"
"""The type of a chunk that is a hole, and has no bytes in the layer."""


def compare_table(entries: Sequence[Mapping[str, Any]], tar: Iterable[bytes]) -> Iterator[str]:
    """Reads a tar to its end, and yields the first entry of which its table says something else, and in what.

    Args:
        entries: Those of the table (`layer_table.read_table`).
        tar: The bytes of the tar.
    """
    told: dict[str, list[Mapping[str, Any]]] = {}
    for line in entries:
        told.setdefault(_clean(line["name"]), []).append(line)
    found: dict[str, str] = {}
    for member in read_tar(tar, held=True):
        name = _clean(member.name.decode("utf-8", "surrogateescape"))
        if name != INDEX.decode() or name in told:
            found[name] = _difference(told.get(name), member)
    differing = [f"/{name}: {how}" for name, how in found.items() if how]
    differing += [f"/{name}: it is not in the tar" for name in told if name not in found]
    if differing:
        more = f"; {len(differing) - 1} more differ" if len(differing) > 1 else ""
        yield f"its table is not that of its tar: {ascii(differing[0])[1:-1]}{more}"


def make_ztoc_again(layer: Blob) -> Digest:
    """Returns the digest of the table that ours is for soci-snapshotter. Reads the layer once.

    Raises:
        UnsuitedLayerError: The layer can't have one.
        IntegrityError: The layer is damaged.
    """
    chunks = layer.chunks()
    first = next(chunks, b"")
    return Digest.of(make_ztoc(chain([first], chunks), sniff(first), rows=True))


def _clean(name: str) -> str:
    return name.removeprefix("./").strip("/")


def _difference(lines: Sequence[Mapping[str, Any]] | None, member: Member) -> str:
    """Returns what the lines of an entry say that is not so; nothing where all is. Reads the member's bytes."""
    if lines is None:
        return "it is not in the table"
    first, *others = lines
    if any(each["type"] != "chunk" for each in others):
        return "it stands in the table twice"
    try:
        pairs = {
            "type": (first["type"], KINDS[member.kind.value]),
            "mode": (first.get("mode", 0) & 0o7777, member.mode),
            "owner": ((first.get("uid", 0), first.get("gid", 0)), (member.uid, member.gid)),
            "target": (first.get("linkName", ""), member.link.decode("utf-8", "surrogateescape")),
            "device": ((first.get("devMajor", 0), first.get("devMinor", 0)), member.device),
            "extended attributes": (_xattrs(first), dict(member.xattrs)),
            "size": (first.get("size", 0), member.size),
        }
        chunks = list(_chunks(lines, member.size))
    except (KeyError, TypeError, ValueError, AttributeError):
        return "the table is malformed"
    how = next((what for what, (told, found) in pairs.items() if told != found), "")
    if not how and not _same(chunks, first.get("digest"), member):
        how = "content"
    return how and f"another {how}"


def _xattrs(line: Mapping[str, Any]) -> dict[str, bytes]:
    return {key: base64.b64decode(value, validate=True) for key, value in (line.get("xattrs") or {}).items()}


class _Chunk(NamedTuple):
    """A part of a file: how long it is, and its digest; an empty one where the table has none, and ZEROS for a hole."""

    size: int
    digest: str


def _chunks(lines: Sequence[Mapping[str, Any]], size: int) -> Iterator[_Chunk]:
    """The chunks of a file; a ValueError unless they lie one behind the other."""
    at = 0
    for line in lines:
        begin = line.get("chunkOffset", 0)
        length = line.get("chunkSize", 0) or size - begin
        if not isinstance(length, int) or begin != at or not 0 <= length <= size - at:
            raise ValueError("a chunk in another place")
        at += length
        digest = line.get("chunkDigest") or (line.get("digest", "") if len(lines) == 1 else "")
        yield _Chunk(length, ZEROS if line.get("chunkType") == ZEROS else digest)
    if at != size:
        raise ValueError("chunks of another length than the file")


def _same(chunks: Sequence[_Chunk], digest: str | None, member: Member) -> bool:
    """Whether a member has the bytes of these chunks, and of the digest where the table has one."""
    whole, same = hashlib.sha256(), True
    parts = iter(chunks)
    left, wanted, part = 0, "", hashlib.sha256()
    for piece in member.body:
        whole.update(piece)
        rest = memoryview(piece)
        while rest:
            if not left:
                (left, wanted), part = next(parts), hashlib.sha256()
            now, rest = rest[:left], rest[left:]
            left -= len(now)
            if wanted == ZEROS:
                same = same and now == bytes(len(now))
            else:
                part.update(now)
                same = same and (bool(left) or wanted == f"sha256:{part.hexdigest()}")
    return same and digest in (None, "", f"sha256:{whole.hexdigest()}")
