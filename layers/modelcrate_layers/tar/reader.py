"""Untrusted tar archives as values: a stream of bytes in, members out. Nothing here touches a file.

Read are ustar, GNU's long names and base-256 numbers, and PAX records (path, linkpath, size, uid, gid, mtime, SCHILY.xattr.*), as
POSIX pax and GNU tar document them; where the two leave room, it is read as Go's archive/tar reads it, for engines are written in
Go. Refused, as an IntegrityError: what no two readers agree about (sparse files, against which the image specification advises in
layer.md, names and sizes for several members at once, files with the name of a folder), unknown types, negative or overlong numbers, a
wrong checksum, names with a NUL, an archive without an end, and whatever passes the limits below.

A member's name is what the archive says, byte for byte: whether it may be trusted as a path is the caller's question.
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import BinaryIO

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.checksum import byte_sum

BLOCK = 512
"""Everything in a tar begins at a multiple of this many bytes."""

_ZEROS = bytes(BLOCK)
_MAX_LINKS = 40
"""Links in a chain that are followed: Linux's own limit."""
_OCTAL = compile_later(rb"[ \0]*([0-7]*)(?:[ \0].*)?", re.DOTALL)
"""Blanks and NULs before a number are passed over, as Go and GNU tar do: who read a size behind a NUL as nothing would find members in a file."""
_DECIMAL = compile_later(rb"0*[0-9]{1,19}")
_SECONDS = compile_later(rb"(-?)0*([0-9]{1,18})(?:\.([0-9]{0,30}))?")
_XATTR = b"SCHILY.xattr."
_NONE: Mapping[str, bytes] = MappingProxyType({})
_NO_RECORDS: Mapping[bytes, bytes] = MappingProxyType({})
_NO_BODY: Generator[bytes, None, None] = (each for each in ())  # type: ignore[var-annotated]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for reading an archive. The defaults are far above every image we know and far below what hurts."""

    members: int = 4_000_000
    """Members of one archive; the largest public images have about half a million files."""
    path: int = 4096
    """Bytes of a name or link target: Linux's PATH_MAX."""
    records: int = 1 << 20
    """Bytes of one extended header; xattrs are at most 64 KiB each."""
    size: int = 1 << 46
    """Bytes of one member: 64 TiB."""
    trailer: int = 64 << 20
    """Bytes after the end of the archive; writers pad to 10 KiB, and to their tape's block size at most."""


LIMITS = Limits()


class MemberKind(Enum):
    """The type flag of a member (POSIX ustar); contiguous files and the flag of 1979 are files."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER = b"3"
    BLOCK = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


_KINDS = {kind.value: kind for kind in MemberKind} | {b"\0": MemberKind.FILE, b"7": MemberKind.FILE}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive.

    `body` gives the bytes of a file once, in order, and only until the next member is taken; what is left is skipped.
    `mtime` is in nanoseconds since 1970. `mode` holds the twelve permission bits.
    `offset` is where the body begins in the tar. `extended` are the flags of the extended headers before the member's own.
    """

    name: bytes
    kind: MemberKind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=lambda: _NONE, hash=False)
    offset: int = 0
    extended: bytes = b""
    body: Generator[bytes] = field(default_factory=lambda: _NO_BODY, compare=False)


def read_tar(chunks: Iterable[bytes], limits: Limits = LIMITS, *, held: bool = False) -> Iterator[Member]:
    """Yields the members of an uncompressed tar, in order. Memory is flat, and `chunks` is read to its very end.

    So a verified stream (`content.verified`, `codec.decode`) has been verified when this iterator ends, not before.

    Args:
        chunks: The archive.
        limits: The limits of what is read.
        held: Whether the stream is verified against a digest. The blocks that end an archive may then be missing, as some writers leave them out;
            otherwise their absence is the one sign of an archive that was cut between two members.
    """
    source = _Source(chunks)
    shared: dict[bytes, bytes] = {}
    count = 0
    while not (held and source.ended() and count) and (found := _next(source, shared, limits)) is not None:
        count += 1
        if count > limits.members:
            raise IntegrityError(f"a tar of more than {limits.members} members")
        member, length = found
        following = source.position + length + -length % BLOCK
        yield member
        if length:
            member.body.close()  # who holds it longer finds nothing more
            source.skip(following - source.position)
    source.drain(limits.trailer)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a file are in an archive."""

    offset: int
    size: int


def index_tar(archive: BinaryIO, limits: Limits = LIMITS) -> dict[bytes, Place]:
    """Returns the regular files of an uncompressed tar by name, `./` in front taken off. Bodies are passed over, not read.

    Of two files with one name the later counts, as it would if the archive were unpacked. A link to a file of the archive counts
    as that file: `docker save` writes equal layers as links.
    """
    found: dict[bytes, Place] = {}
    links: dict[bytes, bytes] = {}
    for member, place in _places(archive, limits):
        name = member.name.removeprefix(b"./")
        if member.kind is MemberKind.FILE:
            found[name] = place
            links.pop(name, None)
        elif member.kind in (MemberKind.SYMLINK, MemberKind.HARD_LINK):
            found.pop(name, None)
            above = posixpath.dirname(name) if member.kind is MemberKind.SYMLINK else b""
            links[name] = posixpath.normpath(posixpath.join(above, member.link))
    for name in links:
        if followed := _follow(links, found, name):
            found[name] = followed
    return found


def list_tar(archive: BinaryIO, limits: Limits = LIMITS) -> Iterator[tuple[bytes, Place]]:
    """Yields every regular file of an uncompressed tar, in order, with its name as it is written. Bodies are passed over, not read.

    Afterwards the archive stands behind the block of zeros that ends it.
    """
    return ((member.name, place) for member, place in _places(archive, limits) if member.kind is MemberKind.FILE)


def _places(archive: BinaryIO, limits: Limits) -> Iterator[tuple[Member, Place]]:
    source = _Seekable(archive)
    shared: dict[bytes, bytes] = {}
    count = 0
    while (nearest := _next(source, shared, limits)) is not None:
        count += 1
        if count > limits.members:
            raise IntegrityError(f"a tar of more than {limits.members} members")
        member, length = nearest
        yield member, Place(source.position, length)
        archive.seek(source.position)
        source.skip(length + -length % BLOCK)


def _follow(links: Mapping[bytes, bytes], found: Mapping[bytes, Place], name: bytes) -> Place | None:
    """Returns the file at the end of a chain of links; None where it leads elsewhere, or on and on."""
    for _ in range(_MAX_LINKS):
        if name not in links:
            return found.get(name)
        name = links[name]
    return None


def _next(source: _Source, shared: dict[bytes, bytes], limits: Limits) -> tuple[Member, int] | None:
    """The next member and the length of its body; None at the end. `shared` are the PAX records for all that follow."""
    own: dict[bytes, bytes] = {}
    gnu: dict[bytes, bytes] = {}
    extended = b""
    for _ in range(8):
        block = source.take(BLOCK)
        if block == _ZEROS:
            if own or gnu:
                raise IntegrityError("a tar ends after an extended header that belongs to no member")
            return None
        _check(block)
        flag = block[156:157]
        if flag == b"x":
            own = _records(_extension(source, block, limits.records))  # the last of several counts, as in Go
        elif flag == b"g":
            shared.update(_for_all(_records(_extension(source, block, limits.records))))
        elif flag in (b"L", b"K"):
            gnu[flag] = _extension(source, block, limits.path + 1).rstrip(b"\0")
        else:
            pax = {**shared, **own} if shared or own else _NO_RECORDS
            return _member(source, block, gnu, pax, limits, extended)
        extended += flag
    raise IntegrityError("a tar member with more than eight extended headers")


def _extension(source: _Source, block: bytes, limit: int) -> bytes:
    size = _number(block[124:136], "size")
    if not 0 <= size <= limit:
        raise IntegrityError(f"an extended tar header of {size} bytes; the limit is {limit}")
    data = source.take(size)
    source.skip(-size % BLOCK)
    return data


def _member(
    source: _Source,
    block: bytes,
    gnu: Mapping[bytes, bytes],
    pax: Mapping[bytes, bytes],
    limits: Limits,
    extended: bytes,
) -> tuple[Member, int]:
    flag = block[156:157]
    kind = _KINDS.get(flag)
    if kind is None or (pax and any(key.startswith(b"GNU.sparse.") for key in pax)):
        what = "a sparse file" if flag == b"S" or kind is not None else f"a member of the unknown type {flag!r}"
        raise IntegrityError(f"{what} in a tar", where=repr(_text(block[:100]))[1:])
    name = gnu.get(b"L") or pax.get(b"path") or _ustar_name(block)  # of two the one that counts in Go
    link = gnu.get(b"K") or pax.get(b"linkpath") or _text(block[157:257])
    for path in (name, link):
        if len(path) > limits.path or b"\0" in path:
            raise IntegrityError(f"a tar member's name is longer than {limits.path} bytes or has a NUL: {path[:80]!r}")
    size = _decimal(pax[b"size"], "size") if pax.get(b"size") else _number(block[124:136], "size")
    if not 0 <= size <= limits.size:
        raise IntegrityError(f"a tar member of {size} bytes; the limit is {limits.size}", where=repr(name)[1:])
    if kind is MemberKind.FILE and name.endswith(b"/"):  # how the tar of 1979 says directory
        if size and flag != b"\0":  # a file to Go: what is in it would be members here
            raise IntegrityError("a file with the name of a folder in a tar", where=repr(name)[1:])
        kind = MemberKind.DIRECTORY
    length = (
        size if kind is MemberKind.FILE else 0
    )  # the others have no body, whatever their size says (as Go and Python read it)
    member = Member(
        name=name,
        kind=kind,
        mode=_number(block[100:108], "mode") & 0o7777,
        uid=_id(block[108:116], pax.get(b"uid"), "uid"),
        gid=_id(block[116:124], pax.get(b"gid"), "gid"),
        size=length,
        mtime=_nanoseconds(pax[b"mtime"]) if pax.get(b"mtime") else _number(block[136:148], "mtime") * 1_000_000_000,
        link=link if kind in (MemberKind.HARD_LINK, MemberKind.SYMLINK) else b"",
        device=_device(block) if kind in (MemberKind.CHARACTER, MemberKind.BLOCK) else (0, 0),
        xattrs=_xattrs(pax),
        offset=source.position,
        extended=extended,
        body=source.pieces(length) if length else _NO_BODY,
    )
    return member, length


def _check(block: bytes) -> None:
    """The checksum: the sum of the bytes, signed or not, with its own field as blanks."""
    claimed = _number(block[148:156], "checksum")
    total = byte_sum(block[:148]) + 8 * 32 + byte_sum(block[156:])
    if claimed != total:
        signed = total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
        if claimed != signed:
            raise IntegrityError("not a tar, or a damaged one: a header has the wrong checksum")


def _ustar_name(block: bytes) -> bytes:
    """Returns the name with its prefix.

    GNU headers have times in the place of the prefix. Where they hold text instead, an old writer in Go meant a prefix. Headers of Joerg
    Schilling's tar (`tar` at their end) have times behind a shorter prefix.
    """
    name, magic = _text(block[:100]), block[257:265]
    prefix = b""
    if magic[:6] == b"ustar\0":
        prefix = _text(block[345:476] if block[508:512] == b"tar\0" else block[345:500])
    elif magic == b"ustar  \0" and not (_is_time(block[345:357]) and _is_time(block[357:369])):
        prefix = _text(block[345:500])
        prefix = prefix if prefix.isascii() else b""
    return prefix + b"/" + name if prefix else name


def _is_time(raw: bytes) -> bool:
    """Whether a field is a number, or empty."""
    return bool(raw[0] & 0x80) or not raw[0] or re.fullmatch(rb"[ \0]*[0-7]*[ \0]*", raw) is not None


def _text(raw: bytes) -> bytes:
    return raw.split(b"\0", 1)[0]


@lru_cache(4096)
def _number(raw: bytes, what: str) -> int:
    """A number field: octal digits, or base-256 where the first bit is set (GNU); the second bit is then the sign."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big") & ((1 << 8 * len(raw) - 1) - 1)
        negative = raw[0] & 0x40
        value -= (1 << 8 * len(raw) - 1) if negative else 0
        if not -(1 << 63) <= value < 1 << 63:
            raise IntegrityError(f"a tar header's {what} doesn't fit into 64 bits")
        return value
    octal = _OCTAL.fullmatch(raw)
    if octal is None:
        raise IntegrityError(f"a tar header's {what} is not a number: {raw!r}")
    return int(octal[1] or b"0", 8)


def _decimal(raw: bytes, what: str) -> int:
    if not _DECIMAL.fullmatch(raw):
        raise IntegrityError(f"a tar's {what} record is not a number: {raw[:40]!r}")
    return int(raw)


def _id(raw: bytes, record: bytes | None, what: str) -> int:
    value = _decimal(record, what) if record else _number(raw, what)
    if not 0 <= value < (1 << 32) - 1:
        raise IntegrityError(f"a tar member's {what} is out of range: {value}")
    return value


def _nanoseconds(raw: bytes) -> int:
    found = _SECONDS.fullmatch(raw)
    if found is None:
        raise IntegrityError(f"a tar's mtime record is not a time: {raw[:40]!r}")
    sign, seconds, fraction = found.groups()
    value = int(seconds) * 1_000_000_000 + int(((fraction or b"") + b"0" * 9)[:9])
    return -value if sign else value


def _device(block: bytes) -> tuple[int, int]:
    return _number(block[329:337], "device"), _number(block[337:345], "device")


def _records(data: bytes) -> dict[bytes, bytes]:
    r"""Returns PAX records, each `LENGTH KEY=VALUE\n` with LENGTH counting itself; an empty value takes the record back (POSIX pax)."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = int(data[at:space]) if space > at and _DECIMAL.fullmatch(data[at:space]) else 0
        key, equals, value = data[space + 1 : at + length - 1].partition(b"=")
        whole = space > at and space + 1 < at + length <= len(data)  # a length of nothing would be read for ever
        if not whole or data[at + length - 1] != 0x0A or not (key and equals):
            raise IntegrityError("a damaged PAX header in a tar")
        found[key] = value
        at += length
    return found


def _for_all(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Returns the records for all that follow. Go reads none of them, so they must not decide what members there are."""
    if found := records.keys() & {b"path", b"linkpath", b"size"}:
        raise IntegrityError(f"a PAX header for several members of a tar, with their {_text(min(found)).decode()}")
    return records


def _xattrs(pax: Mapping[bytes, bytes]) -> Mapping[str, bytes]:
    if not pax:
        return _NONE
    found = {
        key[len(_XATTR) :].decode("utf-8", "surrogateescape"): v for key, v in pax.items() if key.startswith(_XATTR)
    }
    return MappingProxyType(found) if found else _NONE


class _Source:
    """Chunks of any size as exact reads. Not a value: it is a position in a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0
        self.position = 0

    def take(self, size: int) -> bytes:
        """Returns exactly `size` bytes."""
        if len(self._held) - self._at >= size:
            self._at += size
            self.position += size
            return self._held[self._at - size : self._at]
        return b"".join(self.pieces(size))

    def skip(self, size: int) -> None:
        """Passes over `size` bytes."""
        self.position += size
        while size > (held := len(self._held) - self._at):
            size -= held
            self._fill()
        self._at += size

    def pieces(self, size: int) -> Generator[bytes]:
        """Yields the next `size` bytes as they come, in pieces of at most CHUNK."""
        while size:
            if self._at == len(self._held):
                self._fill()
            part = self._held[self._at : self._at + min(size, CHUNK)]
            self._at += len(part)
            self.position += len(part)
            size -= len(part)
            yield part

    def ended(self) -> bool:
        """Returns whether nothing follows."""
        if self._at == len(self._held):
            self._at, self._held = 0, next((chunk for chunk in self._chunks if chunk), b"")
        return not self._held

    def drain(self, limit: int) -> None:
        """Reads the stream to its end, so that a verifier around it gets to the last byte."""
        left = limit - (len(self._held) - self._at)
        for chunk in self._chunks:
            left -= len(chunk)
            if left < 0:
                break
        if left < 0:
            raise IntegrityError(f"more than {limit} bytes follow the end of a tar")

    def _fill(self) -> None:
        for chunk in self._chunks:
            if chunk:
                self._held, self._at = chunk, 0
                return
        raise IntegrityError("a tar is cut short")


class _Seekable(_Source):
    """The same over a file, in which passing over costs nothing."""

    def __init__(self, archive: BinaryIO) -> None:
        super().__init__(())
        self._archive = archive
        self._end = archive.seek(0, io.SEEK_END)
        archive.seek(0)

    def take(self, size: int) -> bytes:
        data = self._archive.read(size)
        if len(data) != size:
            raise IntegrityError("a tar is cut short")
        self.position += size
        return data

    def skip(self, size: int) -> None:
        if self.position + size > self._end:
            raise IntegrityError("a tar is cut short")
        self.position = self._archive.seek(size, io.SEEK_CUR)
