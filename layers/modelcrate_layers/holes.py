"""Reads files without reading their holes: what a file system has not stored is zeros, and there may be a hundred gigabytes of them.

A hole is handed over as pieces of `ZEROS`, the one object, so that who writes a file can leave a hole as well. The pieces begin where those of a
file without holes do: what is made of them can't tell.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from modelcrate_layers.content import CHUNK

ZEROS = bytes(CHUNK)
"""A piece of a hole."""

_UNIT = 512
"""What the blocks of a file are counted in (stat(2))."""


def read_pieces(handle: int, start: int, size: int) -> Iterator[bytes]:
    """Yields the bytes of an open file, in pieces of CHUNK and a rest. They end early where the file does.

    Args:
        handle: The open file. Its place for reading may be moved.
        start: The first byte.
        size: How many bytes.

    Raises:
        OSError: It can't be read.
    """
    status = os.fstat(handle)
    at, end = start, min(start + size, status.st_size)
    data = at  # where the next data begin
    asked = at if status.st_blocks * _UNIT < status.st_size else end  # up to where is known what is data
    while at < end:
        if at >= asked:
            data, asked = _next_data(handle, at, end)
        length = min(CHUNK, end - at)
        if at + length <= data:
            chunk = ZEROS if length == CHUNK else ZEROS[:length]
        elif not (chunk := os.pread(handle, length, at)):
            return
        at += len(chunk)
        yield chunk


def _next_data(handle: int, at: int, end: int) -> tuple[int, int]:
    """Returns where the next data begin, and where the hole behind them does."""
    try:
        data = os.lseek(handle, at, os.SEEK_DATA)
        return data, os.lseek(handle, data, os.SEEK_HOLE)
    except OSError as fault:
        return (end, end) if fault.errno == errno.ENXIO else (at, end)  # none is left, or it can't say
