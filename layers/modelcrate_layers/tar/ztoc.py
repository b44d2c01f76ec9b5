"""A table of contents for a layer, with the places where reading can begin: by it soci-snapshotter mounts a layer at once, and fetches what is opened.

The layer stays as it is; the table (zTOC) is a blob of its own. What is in it (soci-snapshotter, ztoc/fbs/ztoc.fbs, ztoc/compression):

| part         | what it is                                                                                                        |
|--------------|-------------------------------------------------------------------------------------------------------------------|
| metadata     | of each entry name, kind, mode, owner, time, and where its contents are in the tar                                |
| span digests | SHA-256 of each span of the stored bytes: a reader fetches spans, and checks each                                 |
| checkpoints  | where spans begin. A plain tar is cut every SPAN bytes; in gzip each has its place, stored and in the tar, and the |
|              | 32 KiB before it, which what follows may refer to                                                                 |

Where spans can begin is said in `spans`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from modelcrate_layers.tar.flatbuffer import Byte, Int, Long, Octets, Table, Vector, pack
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar
from modelcrate_layers.tar.spans import MAX_SPAN, GzipSpans, PlainSpans, Stored, UnsuitedLayerError
from modelcrate_layers.tar.table import KINDS
from modelcrate_layers.tar.tree import show

VERSION = b"0.9"
TOOL = "modelcrate ztoc-1"
"""What has made a table; the version is that of the rules here, which decide its bytes."""

_ALGORITHMS = {"gzip": 1, "none": 2}


def make_ztoc(stored: Iterable[bytes], name: str, *, rows: bool, largest: int = MAX_SPAN) -> bytes:
    """Returns the table of a layer. One pass over it, in flat memory but for the table.

    Args:
        stored: The bytes of the layer, as they are stored.
        name: How it is stored, `none` or `gzip`.
        rows: Whether spans may reach over several gzip members.
        largest: Bytes of the largest span.

    Raises:
        UnsuitedLayerError: It can't have one.
        IntegrityError: It is damaged, or holds what no two readers agree about.
    """
    if name not in _ALGORITHMS:
        raise UnsuitedLayerError(f"is stored in {name}, which soci-snapshotter does not read")
    source = Stored(stored)
    spans = GzipSpans(source, rows, largest) if name == "gzip" else PlainSpans(source)
    entries: list[Table] = []
    names: set[bytes] = set()
    for member in read_tar(spans.tar(), held=True):
        spans.body = range(member.offset, member.offset + member.size)
        names.add(_clean(member.name))
        if member.kind is MemberKind.HARD_LINK and _clean(member.link) not in names:
            raise UnsuitedLayerError(f"has a hard link to what is not before it: {show(member.name)}")
        entries.append(_entry(member))
    digests = [f"sha256:{each}".encode() for each in source.digests]
    info = Table((Byte(_ALGORITHMS[name]), Int(len(digests) - 1), Vector(digests), Octets(spans.checkpoints())))
    sizes = Long(source.position), Long(spans.size)
    return pack(Table((VERSION, TOOL.encode(), *sizes, Table((Vector(entries),)), info)))


def _entry(member: Member) -> Table:
    if b"g" in member.extended:
        raise UnsuitedLayerError("has PAX records for several files, which soci-snapshotter does not read")
    xattrs = [
        Table((f"SCHILY.xattr.{key}".encode(errors="surrogateescape"), member.xattrs[key]))
        for key in sorted(member.xattrs)
    ]
    owner = Int(member.uid), Int(member.gid), None, None  # names are of no use: a reader goes by the numbers
    return Table(
        (
            member.name,
            KINDS[member.kind.value].encode(),
            Long(member.offset),
            Long(member.size),
            member.link or None,
            Long(member.mode),
            *owner,
            _time(member.mtime),
            *map(Long, member.device),
            Vector(xattrs) if xattrs else None,
        )
    )


def _clean(name: bytes) -> bytes:
    return posixpath.normpath(b"/" + name.lstrip(b"/"))


@lru_cache(64)
def _time(nanoseconds: int) -> bytes:
    """A time as RFC 3339 writes it, in UTC."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    except (OverflowError, ValueError, OSError):
        raise UnsuitedLayerError("has a file of a year that has more than four digits") from None
    return (text + f".{rest:09d}".rstrip("0").rstrip(".") + "Z").encode()
