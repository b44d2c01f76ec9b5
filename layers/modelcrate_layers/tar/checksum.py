"""The sum of the bytes of a tar header, for those who write headers and those who read them."""

from zlib import adler32


def byte_sum(part: bytes) -> int:
    """Returns the sum of at most 512 bytes, in a tenth of the time of `sum`.

    Adler-32's low half is one more than the sum, as long as that stays below 65521. 256 bytes can't reach that.
    """
    if len(part) <= 256:
        return (adler32(part) & 0xFFFF) - 1
    return (adler32(part[:256]) & 0xFFFF) + (adler32(part[256:]) & 0xFFFF) - 2
