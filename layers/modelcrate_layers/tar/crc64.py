"""CRC-64 with the polynomial of ISO 3309, which tar-split asks of every file. No library of ours has it.

A whole number of Python is a polynomial over two elements, however long it is. That of the sum says x^64 = x^4 + x^3 + x + 1, and squaring both sides
j times gives x^(64m) = x^4m + x^3m + x^m + 1 = (x^3m + 1)(x^m + 1) with m = 2^j. So half of a long number goes into its other half by a few shifts of
all of it: some 200 MB/s, where a loop over bytes does five.
"""

from __future__ import annotations

_ONES = (1 << 64) - 1
_BLOCK = 1 << 14
"""Bytes at once: several numbers of this length fit into a processor's own memory."""
_LONG = 8 * _BLOCK
_MASK = (1 << _LONG) - 1

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""The sum takes the lowest bit of a byte first, and in a number the first bit is the highest."""


def crc64(data: bytes | memoryview, before: int = 0) -> int:
    """Computes the sum of some bytes; `before` is the sum of those before them."""
    number = _mirrored(before ^ _ONES)
    for start in range(0, len(data), _BLOCK):
        block = bytes(data[start : start + _BLOCK])
        number = _raised(number) if len(block) == _BLOCK else number << 8 * len(block)
        number ^= int.from_bytes(block.translate(_REVERSED), "big") << 64
    return _mirrored(_reduced(number)) ^ _ONES


def _raised(number: int) -> int:
    """A number that has the same remainder as this one times x^_LONG, and about _LONG bits."""
    number = _times(number, _LONG // 64)
    return number & _MASK ^ _times(number >> _LONG, _LONG // 64)


def _reduced(number: int) -> int:
    """The remainder, which has 64 bits."""
    half = 1 << (number.bit_length() >> 7).bit_length()
    while half:
        while high := number >> 64 * half:
            number ^= high << 64 * half ^ _times(high, half)
        half >>= 1
    return number


def _times(number: int, power: int) -> int:
    """A number times x^(64 power), where the power is one of two."""
    number ^= number << power
    return number ^ number << 3 * power


def _mirrored(value: int) -> int:
    """The 64 bits in the other order."""
    return int.from_bytes(value.to_bytes(8, "little").translate(_REVERSED), "big")
