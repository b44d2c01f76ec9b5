"""The tar policy: the only place that decides a byte of a layer's tar. Headers are packed by hand, for it is the hot path.

| field            | value                       | why                                                                             |
|------------------|-----------------------------|---------------------------------------------------------------------------------|
| format           | ustar                       | the least that every reader has known since 1988                                |
| PAX records      | only where ustar can't say  | path and link target that are long or not ASCII, sizes of 8 GiB and more        |
| size of 8 GiB    | in the header as well       | in GNU's base-256: scanners that don't read PAX records must not read 0         |
| hdrcharset       | BINARY, where not UTF-8     | POSIX's word for "bytes as they are"; readers that don't know it skip it        |
| mtime            | 1980-01-01T00:00:01Z        | no clock; 0 upsets programs, zip can't go below 1980. Never SOURCE_DATE_EPOCH:  |
|                  |                             | a layer would differ from commit to commit, and a wheel from project to project |
| uid, gid         | the entry's, nearly all 0   | group 0 has the owner's rights, so that any uid of group 0 works (OpenShift)    |
| uname, gname     | empty                       | names are looked up on the reader's machine, and mean another user there        |
| devices          | 0                           | none are packed                                                                 |
| order            | path bytes                  | the tree's; no locale, no directory order                                       |
| end              | two blocks of zeros         | POSIX; no padding to 10 KiB, tapes are gone                                     |

POLICY is part of every layer key: who changes a byte here raises it, moves the golden digests and says so in the changelog.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from zlib import adler32

from modelcrate_layers.frozen import NamedTuple, dataclass
from modelcrate_layers.tar.checksum import byte_sum
from modelcrate_layers.tar.codec import gather
from modelcrate_layers.tar.tree import Entry, Kind

POLICY = 1
MTIME = 315532801
_TIME = b"%011o\0" % MTIME
BLOCK = 512
END = bytes(2 * BLOCK)
_ZEROS = bytes(BLOCK)

_NAMELESS = bytes(64) + b"0000000\0" * 2
"""The owner's and the group's name, and the device's numbers."""

OCTAL_LIMIT = 8 << 30
"""Eleven octal digits: the first size that a ustar header can't hold."""


@dataclass(frozen=True, slots=True)
class Tar:
    """A tar of entries, as something that can be iterated again and again: every time a pass of its own."""

    entries: Sequence[Entry]

    def __iter__(self) -> Iterator[bytes]:
        return stream(self.entries)

    @property
    def size(self) -> int:
        """The length in bytes, from the entries alone."""
        return sum(_span(entry) for entry in self.entries) + len(END)


def stream(entries: Iterable[Entry], start: int = 0) -> Iterator[bytes]:
    """Yields a tar of these entries from byte `start` on, in pieces of about CHUNK; entries before `start` are not read."""
    return gather(_pieces(entries, start))


class Member(NamedTuple):
    """An entry at its place in a tar: the header blocks, and the byte at which its contents begin."""

    entry: Entry
    header: bytes
    at: int


def lay_out(entries: Iterable[Entry]) -> tuple[list[Member], int]:
    """Returns the members of a tar of these entries, and its length. All other bytes of the tar are zeros."""
    members, at = list[Member](), 0
    for entry in entries:
        head = header(entry)
        members.append(Member(entry, head, at + len(head)))
        at += len(head) + _padded(entry.size)
    return members, at + len(END)


def header(entry: Entry) -> bytes:
    """Returns the header blocks of one entry: 512 bytes, or three blocks and more where PAX records are needed (POSIX pax)."""
    path, kind, mode, source, link, uid, gid = entry
    name = path + b"/" if kind is Kind.DIRECTORY else path
    length = source.size if source is not None else 0
    if len(name) <= 100 and name.isascii() and not link and length < OCTAL_LIMIT:
        return _plain(name, _owner(mode, uid, gid), length, kind)  # nearly all of them
    short, prefix = _split(name)
    records = []
    if not short:
        records.append((b"path", name))
        short = name[:100]
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
        link = link[:100]
    if length >= OCTAL_LIMIT:
        records.append((b"size", b"%d" % length))
    block = _block(short, prefix, mode, uid, gid, length, kind.value, link)
    if not records:
        return block
    if not all(_is_utf8(value) for _, value in records):
        records.insert(0, (b"hdrcharset", b"BINARY"))
    body = b"".join(_record(key, value) for key, value in records)
    return _block(b"PaxHeader", b"", 0o644, 0, 0, len(body), b"x", b"") + body.ljust(_padded(len(body)), b"\0") + block


def _pieces(entries: Iterable[Entry], start: int) -> Iterator[bytes]:
    """Headers, contents, padding and the end; the first piece begins at byte `start` of the tar."""
    skip = start
    for entry in entries:
        if not skip:
            yield from _entry(entry)
            continue
        span = _span(entry)
        if skip < span:
            yield from _drop(_entry(entry), skip)
        skip = max(0, skip - span)
    if skip < len(END):
        yield END[skip:]


def _entry(entry: Entry) -> Iterable[bytes]:
    source = entry.source
    if source is None:
        return (header(entry),)
    return chain((header(entry),), source.chunks(), (_ZEROS[: -source.size % BLOCK],))


def _span(entry: Entry) -> int:
    """How many bytes an entry takes, header and padding included."""
    length, plain = entry.size, len(entry.path) < 100 and len(entry.link) <= 100
    if plain and length < OCTAL_LIMIT and entry.path.isascii() and entry.link.isascii():
        return BLOCK + _padded(length)
    return len(header(entry)) + _padded(length)


def _drop(pieces: Iterable[bytes], skip: int) -> Iterator[bytes]:
    for piece in pieces:
        if skip < len(piece):
            yield piece[skip:]
        skip = max(0, skip - len(piece))


def _padded(length: int) -> int:
    return length + -length % BLOCK


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Name and prefix as ustar holds them, or two empty ones where it can't."""
    if not name.isascii():
        return b"", b""
    if len(name) <= 100:
        return name, b""
    cut = name.find(b"/", len(name) - 101, -1)
    if not 0 < cut <= 155:
        return b"", b""
    return name[cut + 1 :], name[:cut]


def _block(name: bytes, prefix: bytes, mode: int, uid: int, gid: int, length: int, kind: bytes, link: bytes) -> bytes:
    size = b"%011o\0" % length if length < OCTAL_LIMIT else b"\x80" + length.to_bytes(11, "big")
    front = b"%b%07o\0%07o\0%07o\0%b%b" % (name.ljust(100, b"\0"), mode, uid, gid, size, _TIME)
    back = _back(kind, link, prefix)
    return b"%b%06o\0 %b" % (front, byte_sum(front) + byte_sum(back) + 8 * 32, back)


def _back(kind: bytes, link: bytes, prefix: bytes) -> bytes:
    return b"%b%bustar\00000%b%b" % (kind, link.ljust(100, b"\0"), _NAMELESS, prefix.ljust(167, b"\0"))


def _plain(name: bytes, owner: bytes, length: int, kind: Kind) -> bytes:
    """The header of what has a short name and no link: the same block, put together from parts that seldom change."""
    front = name.ljust(100, b"\0") + owner + b"%011o\0" % length + _TIME
    back, total = _BACKS[kind]
    return front + b"%06o\0 " % ((adler32(front) & 0xFFFF) - 1 + total) + back


@cache
def _owner(mode: int, uid: int, gid: int) -> bytes:
    return b"%07o\0%07o\0%07o\0" % (mode, uid, gid)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH key=value newline`, where the length counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %b=%b\n" % (length, key, value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


_BACKS = {kind: (back, byte_sum(back) + 8 * 32) for kind in Kind for back in [_back(kind.value, b"", b"")]}
"""What follows the checksum of a header without a link, and what it adds to it, eight spaces included."""
