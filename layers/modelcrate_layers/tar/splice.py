"""A tar of deflated files as a row of gzip members, in which nothing is compressed.

A member of a zip is a deflate stream with a CRC and a size beside it: that is what a gzip member is (RFC 1952, 2.3), and a gzip file is a
row of members (2.2). So the row of a wheel's files is made of ranges of the wheel and of a few bytes of ours:

| piece of the tar                       | member                                                                                     |
|----------------------------------------|--------------------------------------------------------------------------------------------|
| a deflated file                        | frame, the stream as it stands in the zip, its CRC and size                                |
| any other file                         | frame, stored blocks (codec `stored`): scripts with a new first line, RECORD, stored files |
| headers and padding up to the next file| frame, one block of fixed Huffman codes (RFC 1951, 3.2.6): see `pack`                      |
| the same, where a path is not ASCII    | frame, stored blocks                                                                       |

Where a run of headers without a file reaches LITERAL bytes, a member ends. All of it is decided here and by the wheel: no library, version
or level has a say, so that a digest of today is a digest in ten years. SPLICED's version is that of these rules: who changes a byte
raises it, moves the golden digests and says so in the changelog.

The row is made from a tree. Nothing is inflated for it, so that the streams are checked in the pass that hashes the tar
(`sources.ZipMember.chunks`): one that does not end where the zip says is refused there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar import codec, writer
from modelcrate_layers.tar.codec import FRAME_HEAD, FRAME_TAIL, STORED, frame_tail, gather
from modelcrate_layers.tar.sources import Source, ZipMember
from modelcrate_layers.tar.tree import Entry

LITERAL = 1 << 15
"""Bytes of headers after which a member ends: numbers of some kB are added quickly, and a stored block holds them."""

Piece = bytes | Source
"""Headers and padding, or the contents of a file."""


def stream(entries: Iterable[Entry], start: int = 0) -> Iterator[bytes]:
    """Yields the row of these entries from byte `start` on, in pieces of about CHUNK. Files before it are not read."""
    return gather(members(pieces(entries), start))


def pieces(entries: Iterable[Entry], end: bytes = writer.END) -> Iterator[Piece]:
    """Yields the tar of these entries as the row divides it. `end` is what ends it, for a tar that goes on: nothing."""
    literal, held, padding = [], 0, b""
    for entry in entries:
        head = padding + writer.header(entry)
        literal.append(head)
        held += len(head)
        source, padding = entry.source, b""
        filled = source is not None and source.size > 0
        if filled or held >= LITERAL:
            yield b"".join(literal)
            literal, held = [], 0
        if source is not None and filled:
            yield source
            padding = bytes(-source.size % writer.BLOCK)
    if rest := b"".join([*literal, padding, end]):
        yield rest


def pack(literal: bytes) -> bytes:
    """Returns ASCII as one deflate block of fixed Huffman codes. Runs of 4 to 259 zeros are a zero and a match of distance 1; the rest are literals."""
    codes, bits, count, at = _codes(), 0b011, 3, 0  # the last block (1), and its type (01), from the lowest bit on
    for zeros in _ZEROS.finditer(literal):
        begin, end = zeros.span()
        bits |= int.from_bytes(literal[at:begin].translate(codes), "little") << count
        count += 8 * (begin - at)
        run, length = _run(end - begin)
        bits |= run << count
        count, at = count + length, end
    bits |= int.from_bytes(literal[at:].translate(codes), "little") << count
    count += 8 * (len(literal) - at) + 7  # the end of the block is seven zeros
    return bits.to_bytes(-(-count // 8), "little")


def members(row: Iterable[Piece], start: int = 0) -> Iterator[bytes]:
    """Yields the members' bytes; those before byte `start` are left out, and so is the reading that they would take."""
    for piece in row:
        if not start:
            yield from _member(piece)
        elif start < (size := length(piece)):
            yield from codec.after(_member(piece), start)
            start = 0
        else:
            start -= size


def length(piece: Piece) -> int:
    """Returns the bytes of a member. A file is not read for it."""
    if isinstance(piece, bytes):
        return len(_literal(piece))
    if isinstance(piece, ZipMember) and piece.deflated:
        return len(FRAME_HEAD) + piece.packed + FRAME_TAIL
    return codec.stored_length(piece.size)


def _member(piece: Piece) -> Iterable[bytes]:
    if isinstance(piece, bytes):
        return (_literal(piece),)
    if isinstance(piece, ZipMember) and piece.deflated:
        return _raw(piece)
    return STORED.encode(piece.chunks(), piece.size)


def _literal(data: bytes) -> bytes:
    if not data.isascii():
        return b"".join(STORED.encode([data], len(data)))
    return b"%b%b%b" % (FRAME_HEAD, pack(data), frame_tail(codec.crc32(data), len(data)))


def _raw(member: ZipMember) -> Iterator[bytes]:
    yield FRAME_HEAD
    yield from member.packed_chunks()
    yield frame_tail(member.crc, member.size)


def _reversed(code: int, length: int) -> int:
    """Huffman codes are written from their highest bit on, into bytes that are filled from their lowest (RFC 1951, 3.1.1)."""
    return int(f"{code:0{length}b}"[::-1], 2)


@cache
def _codes() -> bytes:
    """Returns the codes of literals below 144: each has eight bits."""
    return bytes(_reversed(0b00110000 + byte, 8) if byte < 144 else 0 for byte in range(256))


@cache
def _run(zeros: int) -> tuple[int, int]:
    """A literal zero and a match of the others, as bits and their number. Lengths are those of RFC 1951, 3.2.5."""
    length, symbol, extra, base = zeros - 1, 257, 0, 3
    while length >= base + (1 << extra) and symbol < 284:
        base, symbol = base + (1 << extra), symbol + 1
        extra = max(0, (symbol - 261) // 4)
    if length == 258:
        symbol, extra, base = 285, 0, 258
    size = 7 if symbol < 280 else 8
    code = _reversed(symbol - 256 if size == 7 else symbol - 280 + 0b11000000, size)
    bits = _codes()[0] | code << 8 | (length - base) << 8 + size
    return bits, 8 + size + extra + 5  # five zeros: distance 1


_ZEROS = compile_later(rb"\0{4,259}")
