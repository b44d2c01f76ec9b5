"""Where blocks of a deflate stream begin. zlib knows, and Python's zlib does not tell; so it is asked about places that look like one.

A block with codes of its own begins with what few bits do (RFC 1951, 3.2.7): its kind, two counts, and the lengths of a code that is complete. Such a place is
proven by an end of ours behind it: a decompressor that takes it for the end of the stream has had a whole block just before.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

HEAD = 10
"""Bytes in which the beginning of a block is, the lengths of its first code included."""

_BEGINNINGS = compile_later(
    b"(?=[%b][%b])"
    % (
        b"".join(b"\\x%02x" % (4 | codes << 3) for codes in range(30)),
        b"".join(b"\\x%02x" % byte for byte in range(256) if byte & 31 < 30),
    )
)
"""Not the last block, of the kind with codes of its own; at most 286 codes for literals and lengths, at most 30 for distances."""

_KRAFT = [sum(128 >> length for shift in range(0, 12, 3) if (length := four >> shift & 7)) for four in range(1 << 12)]
"""What four lengths of three bits take of a code; a complete one has 128."""


@dataclass(frozen=True, slots=True)
class BlockStart:
    """A place at which a block begins: the bytes before it, how many bits of the last of them are of the block, and what the bytes before it give."""

    before: int
    bits: int
    given: int


def block_starts(unpack: zlib._Decompress, data: bytes, length: int) -> Iterator[BlockStart]:
    """Yields where blocks begin in the next bytes of a stream, in order. Blocks without codes of their own are not among them.

    Args:
        unpack: The decompressor that has had what is before. It is used up.
        data: The bytes, and HEAD more, where there are as many.
        length: How many bytes it is about.
    """
    fed = given = 0
    for place in _likely(data):
        at, bit = divmod(place, 8)
        if at >= length:
            return
        try:
            given += len(unpack.decompress(data[fed:at]))
            fed, ahead = at, unpack.copy()
            end = (data[at] & (1 << bit) - 1 | 1 << bit).to_bytes(1 + (bit > 5), "little")  # an empty block, the last
            rest = ahead.decompress(end + b"\0\0\xff\xff")
        except zlib.error:  # it is in the midst of a block
            continue
        if ahead.eof and not ahead.unused_data:
            yield BlockStart(at + (bit > 0), -bit % 8, given + len(rest))


def _likely(data: bytes) -> list[int]:
    """Returns the bits at which a block with codes of its own may begin, in order."""
    found, whole = [], int.from_bytes(data, "little")
    for bit in range(8):
        shifted = (whole >> bit).to_bytes(len(data), "little")
        for match in _BEGINNINGS.finditer(shifted, 0, max(len(data) - HEAD, 0)):
            head = int.from_bytes(shifted[match.start() + 1 : match.start() + HEAD], "little") >> 5
            lengths = head >> 4 & (1 << 3 * ((head & 15) + 4)) - 1
            taken = 0
            while lengths:
                taken += _KRAFT[lengths & 4095]
                lengths >>= 12
            if taken == 128:
                found.append(8 * match.start() + bit)
    return sorted(found)
