"""Opens files that a user named. Only regular files: reading a fifo waits for ever, and /dev/zero has no end."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO, TypeVar

from modelcrate_layers import host
from modelcrate_layers.errors import unreadable

MAX_NAMED = 16 << 20
"""Bytes of a text that a person writes (a script, a list of packages), where its reader has no limit of its own."""

T = TypeVar("T")

_KINDS = {
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_named_file(path: Path) -> BinaryIO:
    """Opens a regular file, or /dev/null, for reading.

    Raises:
        OSError: It can't be opened, or is not a regular file; `strerror` says what it is.
    """
    _check(path, os.stat(path).st_mode)  # before it is opened: opening a device may act on it
    number = os.open(path, host.READ)
    try:
        _check(path, os.fstat(number).st_mode)  # another file may have taken its place
    except OSError:
        os.close(number)
        raise
    return io.BufferedReader(_ReadyFile(number, path))


def read_source(path: Path, what: str = "") -> bytes:
    """Returns the bytes of a text that a user named, at most `MAX_NAMED`.

    Args:
        path: The file.
        what: What it is, for the message.

    Raises:
        SourceError: It can't be read, or is not a regular file.
    """
    try:
        return read_named_file(path, MAX_NAMED)
    except OSError as fault:
        raise unreadable(fault, path, what) from None


class _ReadyFile(io.FileIO):
    """A file that never waits. Some files of /proc are regular ones, and have nothing to read before something happens."""

    def __init__(self, number: int, path: Path) -> None:
        super().__init__(number)
        self._path = path

    def readinto(self, buffer: object) -> int:
        """Reads into a buffer, and returns the number of bytes."""
        size: int | None = super().readinto(buffer)  # type: ignore[arg-type]  # a writable buffer, which typing can't say before 3.12
        return _answered(size, self._path)

    def readall(self) -> bytes:
        """Returns all that is left."""
        return _answered(super().readall(), self._path)


def _answered(found: T | None, path: Path) -> T:
    if found is None:
        raise OSError(errno.EAGAIN, "it has nothing to read, and may never have", str(path))
    return found


def read_named_file(path: Path, limit: int) -> bytes:
    """Returns the bytes of such a file.

    Raises:
        OSError: It can't be read, is not a regular file, or has more than `limit` bytes; `strerror` says which.
    """
    with open_named_file(path) as file:
        if os.fstat(file.fileno()).st_size <= limit and len(data := file.read(limit + 1)) <= limit:
            return data
    raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))


def _check(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode) or str(path) == os.devnull:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
