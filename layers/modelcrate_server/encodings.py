"""Bodies in a content coding (RFC 9110, section 8.4): gzip, deflate, and zstd where the image has a library for it."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

MAX_UNPACKED = 1 << 28
"""The bytes that a packed body may have, where MODELCRATE_MAX_BODY_BYTES says nothing: deflate can pack 1000 bytes into one."""

_GZIP, _ZLIB, _RAW = 31, 15, -15
_WINDOW = 1 << 23
"""What zstd may need at most over HTTP (RFC 9659)."""
_PIECE = 512
"""The bytes that a library without a limit of its own gets at once: they unpack to 16 MiB at most."""

_Unpacking = Callable[[bytes, int], "tuple[bytes, bytes, bool]"]
"""From packed bytes and a limit: unpacked bytes, the rest, and whether the stream has ended."""


class EncodingError(Exception):
    """The body can't be unpacked; `status` is that of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def supported() -> tuple[str, ...]:
    """Returns the codings that can be unpacked here."""
    return ("gzip", "deflate") if zstd_module() is None else ("gzip", "deflate", "zstd")


def unpack(body: bytes, field: str, limit: int | None) -> bytes:
    """Unpacks a body.

    Args:
        body: The bytes as they came.
        field: The header field Content-Encoding, which may name several codings in the order in which they were applied.
        limit: The bytes that the result may have; None for `MAX_UNPACKED`.

    Raises:
        EncodingError: 415 for a coding that is not supported, 413 for too many bytes, 400 for damaged ones.
    """
    most = MAX_UNPACKED if limit is None else limit
    names = [name.strip().lower() for name in field.split(",") if name.strip()]
    for name in reversed(names):
        if name == "identity":
            continue
        body = _unpack_one(body, name, most)
    return body


def _unpack_one(body: bytes, name: str, most: int) -> bytes:
    if name in ("gzip", "x-gzip"):
        unpacking: _Unpacking = _gunzip
    elif name == "deflate":
        unpacking = _inflate
    elif name == "zstd" and zstd_module() is not None:
        unpacking = _unzstd
    else:
        known = ", ".join(supported())
        raise EncodingError(415, f"The content encoding {name!r} is not supported; these are: {known}")
    try:
        unpacked = _all_of(body, unpacking, most + 1)
    except Exception as fault:  # each library has an error of its own
        raise EncodingError(400, f"The body is not {name}, as its Content-Encoding says: {fault}") from None
    if len(unpacked) > most:
        raise EncodingError(
            413, f"the body is larger than {most} bytes when it is unpacked, the most this server takes"
        )
    return unpacked


def _all_of(body: bytes, unpacking: _Unpacking, most: int) -> bytes:
    """Unpacks one member or frame after the other; stops when there is more than allowed."""
    parts: list[bytes] = []
    size = 0
    while body and size < most:
        part, body, ended = unpacking(body, most - size)
        parts.append(part)
        size += len(part)
        if not ended and size < most:
            raise EOFError("it ends early")
    return b"".join(parts)


def _gunzip(body: bytes, most: int) -> tuple[bytes, bytes, bool]:
    return _decompressed(zlib.decompressobj(_GZIP), body, most)


def _inflate(body: bytes, most: int) -> tuple[bytes, bytes, bool]:
    """Unpacks zlib's format, or a bare deflate stream, which some clients send instead."""
    zlibs = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _decompressed(zlib.decompressobj(_ZLIB if zlibs else _RAW), body, most)


def _unzstd(body: bytes, most: int) -> tuple[bytes, bytes, bool]:
    module = zstd_module()
    if hasattr(module, "DecompressionParameter"):
        window = {module.DecompressionParameter.window_log_max: _WINDOW.bit_length() - 1}
        return _decompressed(module.ZstdDecompressor(options=window), body, most)
    stream = module.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    parts: list[bytes] = []
    place = size = 0
    while place < len(body) and size < most and not stream.eof:
        parts.append(stream.decompress(body[place : place + _PIECE]))
        place += _PIECE
        size += len(parts[-1])
    return b"".join(parts), stream.unused_data + body[place:], stream.eof


def _decompressed(stream: Any, body: bytes, most: int) -> tuple[bytes, bytes, bool]:
    """Returns what one stream has, at most so many bytes, what comes after it, and whether it has ended."""
    unpacked: bytes = stream.decompress(body, most)
    return unpacked, stream.unused_data, stream.eof


def pack_zstd(body: bytes) -> bytes:
    """Returns a body packed at the lowest level; `zstd_module` has to be there."""
    module = zstd_module()
    if hasattr(module, "compress"):
        return bytes(module.compress(body, 1))
    return bytes(module.ZstdCompressor(level=1).compress(body))


@cache
def zstd_module() -> Any:
    """Returns the module that unpacks zstd: Python's own since 3.14, else one that the image brings; None without one."""
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
