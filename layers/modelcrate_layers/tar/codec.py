"""How the tar of a layer is stored: as it is, gzip, or zstd; which of them, by evidence; and back.

The only place that compresses. The same codec (name, version, level) gives the same bytes everywhere:

- zstd always runs with a worker thread: its bytes are then the same for any number of workers and any chunking. What `chunked` packs, it
  hands over in pieces that follow from the tar alone.
- gzip has a frame of our own (no time, no name, OS byte 255) round ISA-L's deflate, level 2: levels 1 and 2 gave equal bytes
  under Nehalem, Haswell and AVX-512 code paths, level 3 did not. It is fed in blocks of equal length.
- gzip at level 0 packs nothing, and no library decides its bytes: `stored` is stored blocks (RFC 1951, 3.2.4), for consumers that refuse a
  plain tar; `spliced` and `estargz` are made of streams that are deflated already (see `splice` and `estargz`).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from modelcrate_layers.content import CHUNK, MediaType
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from zstandard import ZstdCompressor

ZSTD_WINDOW = 1 << 27
"""The largest zstd window that is read (128 MiB): more is a memory bomb."""

MAX_UNPACKED = 1 << 40
"""Bytes that one stream may unpack to."""

UNPACKED_FREE = 4 << 30
"""Bytes that a stream of any length may unpack to: an honest layer may be a sparse file, all zeros."""

MAX_RATIO = 200
"""How many bytes, beyond UNPACKED_FREE, one stored byte may stand for. Weights and programs reach 2 to 10, texts 100; zstd can say 32,000."""

_GATHER = 1 << 17

_ZSTD_SLICE = 1 << 10
"""Bytes that are unpacked at once: even a bomb (four bytes that mean 128 KiB) stays at some 30 MiB a piece."""

_GZIP_SLICE = 1 << 16
"""The same. What follows a member is copied with each member that ends."""

FRAME_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
"""The beginning of a gzip member of ours (RFC 1952, 2.3): deflate, no time, no name, OS byte 255."""

FRAME_TAIL = 8
"""Bytes at the end of a gzip member: CRC and size."""

_GZIP_LEVEL, _ZSTD_LEVEL, _SMALL_LEVEL = 2, 3, 9
_STORED = 1 << 15
"""Bytes in a stored block: the largest power of two that its length of 16 bits can tell."""
_BLOCK_HEAD = 5
_CHUNKED = "+chunked-1"
"""What the rules of `chunked` add to zstd's version."""
ZSTD_SKIPPED = tuple(bytes([number]) + b"\x2a\x4d\x18" for number in range(0x50, 0x60))
"""How the frames of zstd begin that its readers pass over (RFC 8878, 3.1.2); one of them may come first."""

_MAGIC = (
    *((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")),
    *((each, "zstd") for each in ZSTD_SKIPPED),
)


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to store a tar. `version` is that of the library that decides the bytes."""

    name: str
    version: str = ""
    level: int = 0

    def __str__(self) -> str:
        return f"{self.name}-{self.level}@{self.version}" if self.version else self.name

    @property
    def chunked(self) -> bool:
        """Whether it is zstd with a table of files."""
        return self.version.endswith(_CHUNKED)

    @property
    def media_type(self) -> str:
        """The media type of a layer in this codec (OCI image layer specification)."""
        return {"none": MediaType.LAYER, "gzip": MediaType.LAYER_GZIP, "zstd": MediaType.LAYER_ZSTD}[self.name]

    def encode(self, chunks: Iterable[bytes], size: int | None) -> Iterator[bytes]:
        """Yields a tar as it is stored; `size` is its length in bytes, where that is known: it goes into zstd's frame header."""
        if self.name == "zstd":
            return _zstd(chunks, size, self.level)
        if self.name == "gzip":
            return _gzip(chunks, _deflated(self.level) if self.level else _stored)
        return iter(chunks)


NONE = Codec("none")


@cache
def gzip() -> Codec:
    """Returns the gzip codec with the version of the library that is installed."""
    from isal import __version__

    return Codec("gzip", f"isal-{__version__}", _GZIP_LEVEL)


@cache
def zstd(level: int = _ZSTD_LEVEL) -> Codec:
    """Returns the zstd codec with the version of the library that is installed."""
    from zstandard import ZSTD_VERSION

    return Codec("zstd", ".".join(map(str, ZSTD_VERSION)), level)


@cache
def zstd_chunked() -> Codec:
    """Returns zstd with a table of files; `chunked` makes it from a tree. Its version is that of the library and of the rules."""
    plain = zstd()
    return Codec(plain.name, plain.version + _CHUNKED, plain.level)


STORED = Codec("gzip", "stored-1", 0)
"""gzip that packs nothing; the version is that of our blocks."""

SPLICED = Codec("gzip", "spliced-1", 0)
"""gzip of files that are deflated already, as they are; the version is that of the rules in `splice`, which makes it from a tree."""

ESTARGZ = Codec("gzip", "estargz-1", 0)
"""The same with a table of its files; the version is that of the rules in `estargz`, which makes it from a tree."""


INDEX = b"stargz.index.json"
"""The name of the file that is the table of an eStargz layer."""

INDEX_DIGEST = "containerd.io/snapshot/stargz/toc.digest"
TAR_SIZE = "io.containers.estargz.uncompressed-size"
TABLE_DIGEST = "io.github.containers.zstd-chunked.manifest-checksum"
TABLE_PLACE = "io.github.containers.zstd-chunked.manifest-position"
SPLIT_PLACE = "io.github.containers.zstd-chunked.tarsplit-position"
NOTES = (INDEX_DIGEST, TAR_SIZE, TABLE_DIGEST, TABLE_PLACE, SPLIT_PLACE)
"""Annotations of a descriptor without which others do not read the layer as what it is: those of `estargz`, and of `chunked`."""


def of_policy(policy: str, *, deflated: bool = False) -> tuple[Codec, ...]:
    """Returns the codecs between which a setting leaves the choice, the first for what compresses, the last for what doesn't; or the only one.

    Args:
        policy: The setting, `project.values.Codec`.
        deflated: Whether the files of the layer are deflated where they come from, as those of wheels are.
    """
    match policy:
        case "auto" | "auto-gzip" | "fast" if deflated:
            return (SPLICED,)
        case "estargz" if deflated:
            return (ESTARGZ,)
        case "auto":
            return (zstd(), NONE)
        case "small":
            return (zstd(_SMALL_LEVEL), NONE)
        case "fast":
            return (NONE,)
        case "auto-gzip" | "estargz":
            return (gzip(), STORED)
    return (named(policy),)


def named(name: str) -> Codec:
    """Returns the codec that this version of modelcrate has under a name."""
    match name:
        case "none":
            return NONE
        case "gzip":
            return gzip()
        case "stored":
            return STORED
        case "spliced":
            return SPLICED
        case "estargz":
            return ESTARGZ
        case "zstd":
            return zstd()
        case "zstd:chunked":
            return zstd_chunked()
    raise UserError(
        f"unknown codec {name!r}", hint="known are none, stored, spliced, estargz, gzip, zstd and zstd:chunked"
    )


def gain(sample: bytes) -> float:
    """Returns what share of some bytes zstd's fastest level would save, from 0 (nothing) to 1."""
    from zstandard import ZstdCompressor

    return 1 - len(ZstdCompressor(level=1).compress(sample)) / len(sample) if sample else 0.0


def zstd_packer(level: int) -> ZstdCompressor:
    """Returns what makes frames without a checksum: of bytes at hand, or of one text as it comes."""
    from zstandard import ZstdCompressor

    return ZstdCompressor(level=level)


def sniff(head: bytes) -> str:
    """Returns `gzip`, `zstd`, `xz`, `bzip2` or `none`, by the first bytes; the media type of a foreign layer may be wrong."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "none")


@dataclass(frozen=True, slots=True)
class UnpackLimit:
    """How much a compressed stream may unpack to: `free` bytes in any case, then `ratio` for each stored byte, never more than `total`."""

    free: int = UNPACKED_FREE
    ratio: int = MAX_RATIO
    total: int = MAX_UNPACKED

    def after(self, stored: int) -> int:
        """Returns how many bytes the first `stored` bytes of a stream may stand for."""
        return min(self.total, max(self.free, stored * self.ratio))


UNPACK_LIMIT = UnpackLimit()


def decode(chunks: Iterable[bytes], limit: UnpackLimit | None = None) -> Iterator[bytes]:
    """Yields the tar inside a stored layer, whatever its codec, in pieces of about CHUNK.

    Every frame or member is read, so that nothing can hide behind the first one, and a stream that is cut short never ends well.

    Args:
        chunks: The bytes of the stored layer.
        limit: By default UNPACK_LIMIT.

    Raises:
        IntegrityError: The stream is damaged, or unpacks to more than the limit.
    """
    chunks = iter(chunks)
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 6:
            break
    name = sniff(head)
    whole = _chain(head, chunks)
    if name == "none":
        return whole
    return _limited(
        {"gzip": _gunzip, "zstd": _unzstd, "xz": _unxz, "bzip2": _bunzip2}[name], whole, limit or UNPACK_LIMIT, name
    )


def _limited(
    unpack: Callable[[Iterator[bytes]], Iterator[bytes]], chunks: Iterator[bytes], limit: UnpackLimit, name: str
) -> Iterator[bytes]:
    stored = unpacked = 0

    def counted() -> Iterator[bytes]:
        nonlocal stored
        for chunk in chunks:
            stored += len(chunk)
            yield chunk

    for part in unpack(counted()):
        unpacked += len(part)
        if unpacked > (allowed := limit.after(stored)):
            raise IntegrityError(
                f"{name} data unpacks to more than {allowed} bytes",
                why=f"{stored} stored bytes may stand for {limit.free} bytes or {limit.ratio} times their number, at most {limit.total}",
                hint="it is a decompression bomb, or a sparse file: take the image from a place that you trust, or store such a file in parts",
            )
        yield part


def inflate(chunks: Iterable[bytes], what: str, where: str) -> Iterator[bytes]:
    """Decompresses raw deflate (RFC 1951), as a member of a zip has it. By ISA-L, in half of zlib's time.

    Raises:
        IntegrityError: The stream of `what` is damaged, or does not end with the last byte of `chunks`.
    """
    from isal import isal_zlib

    unpack, beyond = isal_zlib.decompressobj(-zlib.MAX_WBITS), False
    try:
        for chunk in chunks:
            beyond = beyond or unpack.eof
            while chunk and not unpack.eof:
                if part := unpack.decompress(chunk, CHUNK):
                    yield part
                chunk = unpack.unconsumed_tail
        if not unpack.eof and (rest := unpack.flush()):
            yield rest
    except isal_zlib.error as fault:  # type: ignore[misc]  # it is IsalError, which its stub doesn't say
        raise IntegrityError(f"{what} is damaged: {fault}", where=where) from None
    if beyond or unpack.unused_data or not unpack.eof:
        how = "is cut short" if not unpack.eof else "ends before the archive says"
        raise IntegrityError(f"{what} is damaged: its deflate stream {how}", where=where)


def crc32(data: bytes, start: int = 0) -> int:
    """Computes the CRC-32 of zips and gzip, at seven times zlib's rate."""
    from isal.isal_zlib import crc32

    return crc32(data, start)


def frame_tail(crc: int, size: int) -> bytes:
    """Returns the end of a gzip member: the CRC-32 and the size of what it unpacks to (RFC 1952, 2.3.1)."""
    return crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def stored_length(size: int) -> int:
    """Returns how long the member of so many bytes is under STORED: a block each begun 32 KiB, and an empty one."""
    return len(FRAME_HEAD) + size + (-(-size // _STORED) + 1) * _BLOCK_HEAD + FRAME_TAIL


def after(chunks: Iterable[bytes], start: int) -> Iterator[bytes]:
    """Yields what follows byte `start`."""
    for chunk in chunks:
        if start < len(chunk):
            yield chunk[start:] if start else chunk
        start = max(0, start - len(chunk))


def gather(pieces: Iterable[bytes], size: int = CHUNK) -> Iterator[bytes]:
    """Yields the same bytes in pieces of about `size` or more: one hash update and one write for many small files."""
    waiting: list[bytes] = []
    held = 0
    for piece in pieces:
        if piece:
            waiting.append(piece)
            held += len(piece)
        if held >= size:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, held = [], 0
    if held:
        yield b"".join(waiting)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _zstd(chunks: Iterable[bytes], size: int | None, level: int) -> Iterator[bytes]:
    from zstandard import ZstdCompressor

    workers = max(1, min(4, os.cpu_count() or 1))
    pack = ZstdCompressor(level=level, threads=workers, write_checksum=True, write_content_size=True).compressobj(
        -1 if size is None else size
    )
    for chunk in chunks:
        if part := pack.compress(chunk):
            yield part
    yield pack.flush()


def _gzip(chunks: Iterable[bytes], deflate: Callable[[Iterator[bytes]], Iterator[bytes]]) -> Iterator[bytes]:
    """One member, its frame by hand (RFC 1952)."""
    crc = length = 0

    def counted() -> Iterator[bytes]:
        nonlocal crc, length
        for block in _blocks(chunks):
            crc, length = crc32(block, crc), length + len(block)
            yield block

    yield FRAME_HEAD
    yield from deflate(counted())
    yield frame_tail(crc, length)


def _deflated(level: int) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    from isal import isal_zlib

    def deflate(blocks: Iterator[bytes]) -> Iterator[bytes]:
        pack = isal_zlib.compressobj(level=level, wbits=-15)
        for block in blocks:
            if part := pack.compress(block):
                yield part
        yield pack.flush()

    return deflate


def _stored(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Each block: its length, the length's complement, the bytes. An empty one ends them."""
    for block in blocks:
        parts = []
        for start in range(0, len(block), _STORED):
            piece = block[start : start + _STORED]
            parts += [b"\0", len(piece).to_bytes(2, "little"), (len(piece) ^ 0xFFFF).to_bytes(2, "little"), piece]
        yield b"".join(parts)
    yield b"\1\0\0\xff\xff"


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of exactly CHUNK (the last may be shorter): deflate's bytes depend on where input is cut."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            del held[:CHUNK]
    if held:
        yield bytes(held)


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A row has thousands of members, most of some kB."""
    return gather(_gunzipped(chunks), _GATHER)


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from isal import isal_zlib  # in half of zlib's time

    unpack = isal_zlib.decompressobj(31)
    begun = False
    try:
        for part in _slices(chunks, _GZIP_SLICE):
            while part:
                if unpack.eof:  # another member follows, or zeros that pad to a block
                    if not (part := part.lstrip(b"\0")):
                        break
                    unpack = isal_zlib.decompressobj(31)
                begun = True
                yield unpack.decompress(part, CHUNK)
                part = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
    except isal_zlib.error as fault:  # type: ignore[misc]  # it is IsalError, which its stub doesn't say
        raise IntegrityError(f"damaged gzip data: {fault}") from None
    if begun and not unpack.eof:
        raise IntegrityError("the gzip data is cut short")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from zstandard import ZstdDecompressor, ZstdError

    unpack = ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    frame = unpack.decompressobj()
    held: list[bytes] = []
    try:
        for part in _slices(chunks, _ZSTD_SLICE):
            while part:
                if frame.eof:
                    frame = unpack.decompressobj()
                held.append(frame.decompress(part))
                part = frame.unused_data if frame.eof else b""
            if sum(map(len, held)) >= _GATHER or len(held) > _GATHER >> 10:
                yield b"".join(held)
                held.clear()
    except ZstdError as fault:
        raise IntegrityError(f"damaged zstd data: {fault}") from None
    if not frame.eof:
        raise IntegrityError("the zstd data is cut short")
    yield b"".join(held)


def _slices(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _unxz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import lzma

    unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 28)
    try:
        for chunk in chunks:
            while chunk or not (unpack.needs_input or unpack.eof):
                if unpack.eof:
                    if not (chunk := chunk.lstrip(b"\0")):
                        break
                    unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 28)
                if part := unpack.decompress(chunk, CHUNK):
                    yield part
                chunk = unpack.unused_data if unpack.eof else b""
    except lzma.LZMAError as fault:
        raise IntegrityError(f"damaged xz data: {fault}") from None
    if not unpack.eof:
        raise IntegrityError("the xz data is cut short")


def _bunzip2(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import bz2

    unpack, begun = bz2.BZ2Decompressor(), False
    try:
        for chunk in chunks:
            while chunk or (begun and not (unpack.needs_input or unpack.eof)):
                if unpack.eof:
                    unpack, begun = bz2.BZ2Decompressor(), False
                begun = True
                if part := unpack.decompress(chunk, CHUNK):
                    yield part
                chunk = unpack.unused_data if unpack.eof else b""
    except (OSError, ValueError) as fault:
        raise IntegrityError(f"damaged bzip2 data: {fault}") from None
    if not unpack.eof:
        raise IntegrityError("the bzip2 data is cut short")
