"""How the system of this machine differs: opening, reading, locking and naming files, in one place. What is above is the same everywhere.

Windows has neither modes nor user ids, opens no folders, changes line ends unless it is told not to, renames and removes no file that is
open, and its locks keep others from reading. What decides the bytes of an image is the same all the same (docs/hosts.md).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import suppress

WINDOWS = sys.platform == "win32"

_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _COMMON
"""How a file is opened to be read. What was replaced by a pipe doesn't hang us."""

WRITE = os.O_WRONLY | os.O_CREAT | _COMMON
"""How a file is opened to be written; it is made where it is missing."""

_NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0)

WRITE_ANEW = WRITE | (os.O_TRUNC | getattr(os, "O_NONBLOCK", 0) | _NOT_FOLLOWED if _NOT_FOLLOWED else os.O_EXCL)
"""How a file is opened to be written from its beginning. Neither a link nor a pipe is opened; nor is any file, where links can't be told."""

_LOCK = os.O_RDWR | os.O_CREAT | _COMMON


def open_unfollowed(path: str | os.PathLike[str]) -> int:
    """Opens a file for reading that is no link. Where the system can't be asked for that, it is looked before and after."""
    if _NOT_FOLLOWED:
        return os.open(path, READ | _NOT_FOLLOWED)
    before = os.lstat(path)
    handle = os.open(path, READ)
    if stat.S_ISLNK(before.st_mode) or not os.path.samestat(before, os.fstat(handle)):
        os.close(handle)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    return handle


def open_lock(path: str | os.PathLike[str], mode: int = 0o600) -> int:
    """Opens the file of a lock, and makes it where it is missing."""
    return os.open(path, _LOCK, mode)


def inner_path(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """Returns a path relative to a folder, as all systems but Windows write it; one on another drive as it is."""
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return f"../{os.fspath(path)}"


def find_program(name: str, search: str | None = None) -> str | None:
    """Returns the place of a program on the PATH, or on `search`; never one in the current folder, where Windows looks first."""
    import shutil

    found = shutil.which(name, path=search)
    return found if found is not None and os.path.isabs(found) else None


if sys.platform == "win32":
    import msvcrt
    import threading

    _AT, _PLACES = 1 << 30, 64
    """A lock is on bytes far behind the end of the file, for locked bytes can't be read: those that share it have one each, who has it alone all."""

    _PATIENCE = 2.0
    """Seconds for which a file is named again and again, while another program has the one open that it replaces."""

    def lock(handle: int, *, shared: bool = False, wait: bool = True) -> None:
        """Locks an open file until it is closed, alone or together with others that share it; a BlockingIOError where it is not to wait."""
        while not any(_lock_bytes(handle, *part) for part in (_shares() if shared else ((0, _PLACES),))):
            if not wait:
                raise BlockingIOError(errno.EAGAIN, "another process has it")
            time.sleep(0.02)

    def _shares() -> list[tuple[int, int]]:
        first = os.getpid() // 4
        return [((first + place) % _PLACES, 1) for place in range(_PLACES)]

    def _lock_bytes(handle: int, start: int, count: int) -> bool:
        os.lseek(handle, _AT + start, os.SEEK_SET)
        with suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_NBLCK, count)
            return True
        return False

    def open_folder_lock(path: str | os.PathLike[str]) -> int:
        """Opens what is locked for a folder: a file beside it, for folders can't be opened."""
        return open_lock(_beside(path))

    def close_folder_lock(path: str | os.PathLike[str], handle: int) -> None:
        """Ends a lock on a folder."""
        os.close(handle)
        with suppress(OSError):  # another process has it open
            os.unlink(_beside(path))

    def _beside(path: str | os.PathLike[str]) -> str:
        return os.path.join(os.path.dirname(os.path.abspath(path)), f".{os.path.basename(path)}.lock")

    def pread(handle: int, size: int, offset: int) -> bytes:
        """Reads at a place of a file that no other thread reads."""
        os.lseek(handle, offset, os.SEEK_SET)
        return os.read(handle, size)

    _WRITING = threading.Lock()

    def pwrite(handle: int, data: bytes | memoryview, offset: int) -> int:
        """Writes at a place of a file that threads write together and nobody reads. Returns how many bytes were written."""
        with _WRITING:
            os.lseek(handle, offset, os.SEEK_SET)
            return os.write(handle, data)

    def may_have_holes(status: os.stat_result) -> bool:
        """Returns False: where holes are can't be asked."""
        return False

    def next_data(handle: int, at: int, end: int) -> tuple[int, int]:
        """Returns the whole rest of a file."""
        return at, end

    def release(handle: int) -> None:
        """Closes a file and keeps its number, so that it can be renamed."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, handle, inheritable=False)
        os.close(nothing)

    def replace(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> None:
        """Names a file, in the place of what had the name. Programs that look through all files hold new ones open for a moment."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return os.replace(old, new)
            except PermissionError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def file_status(path: str | os.PathLike[str]) -> os.stat_result:
        """Returns the status of a file, links followed. Of an open one, which alone tells when it was changed; by name it is when it was made."""
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return found
        handle = os.open(path, READ)
        try:
            return os.fstat(handle)
        finally:
            os.close(handle)

    def entry_status(entry: os.DirEntry[str]) -> os.stat_result:
        """Returns the status of a folder's entry, which is no link; what the listing itself has is without device and inode."""
        return file_status(entry.path)

    def set_mode(handle: int, mode: int) -> None:
        """Nothing: files have no modes."""

    def is_ours(status: os.stat_result) -> bool:
        """Returns True: who may write where is decided by lists that Python does not show."""
        return True

else:
    import fcntl

    file_status = os.stat
    pread = os.pread
    pwrite = os.pwrite
    replace = os.replace
    set_mode = os.fchmod

    def lock(handle: int, *, shared: bool = False, wait: bool = True) -> None:
        """Locks an open file until it is closed, alone or together with others that share it; a BlockingIOError where it is not to wait."""
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))

    def open_folder_lock(path: str | os.PathLike[str]) -> int:
        """Opens what is locked for a folder: the folder itself."""
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | _COMMON)

    def close_folder_lock(path: str | os.PathLike[str], handle: int) -> None:
        """Ends a lock on a folder."""
        os.close(handle)

    def may_have_holes(status: os.stat_result) -> bool:
        """Returns whether a file has fewer blocks (stat(2): 512 bytes each) than its size takes."""
        return status.st_blocks * 512 < status.st_size

    def next_data(handle: int, at: int, end: int) -> tuple[int, int]:
        """Returns where the next data of a file begin, and where the hole behind them does."""
        try:
            data = os.lseek(handle, at, os.SEEK_DATA)
            return data, os.lseek(handle, data, os.SEEK_HOLE)
        except OSError as fault:
            return (end, end) if fault.errno == errno.ENXIO else (at, end)  # none is left, or it can't say

    def release(handle: int) -> None:
        """Nothing: a file can be renamed while it is open."""

    def entry_status(entry: os.DirEntry[str]) -> os.stat_result:
        """Returns the status of a folder's entry, which is no link."""
        return entry.stat(follow_symlinks=False)

    def is_ours(status: os.stat_result) -> bool:
        """Returns whether a file belongs to the user of this process."""
        return status.st_uid == os.geteuid()
