"""Calls of the system about a name in an open folder (openat(2)): nobody can lead a path elsewhere meanwhile.

Windows opens no folders, and has no modes, owners and pipes. There a number stands for a path, links are looked for before they could be
followed, and a name that Windows would take for something else (`a:b`, `NUL`, `name.`) is refused.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import sys

from modelcrate_layers.patterns import compile_later

_COMMON = getattr(os, "O_CLOEXEC", 0)

if sys.platform != "win32":
    close, dup, fstat, open = os.close, os.dup, os.fstat, os.open  # noqa: A001 - as of os
    link, listdir, lstat, mkdir = os.link, os.listdir, os.lstat, os.mkdir
    readlink, rename, rmdir, symlink, unlink = os.readlink, os.rename, os.rmdir, os.symlink, os.unlink

    FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | _COMMON
    READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | _COMMON
    NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | _COMMON
    NAMED = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | _COMMON
    """A descriptor that names what is there and opens nothing, where the system has such."""

    def open_top(path: str | os.PathLike[str]) -> int:
        """Opens a folder by its path, links followed."""
        return os.open(path, FOLDER & ~os.O_NOFOLLOW)

    def set_mode(name: bytes, mode: int, *, dir_fd: int) -> None:
        """Sets the mode of a folder that was just made, whatever our umask is."""
        os.chmod(name, mode, dir_fd=dir_fd)

    def make_pipe(name: bytes, mode: int, *, dir_fd: int) -> None:
        """Makes a pipe."""
        os.mkfifo(name, mode, dir_fd=dir_fd)

    def settle(fd: int, mode: int, uid: int, gid: int, mtime: int) -> None:
        """Gives an open file or folder its owner, where we may, its mode and its time."""
        if os.geteuid() == 0:
            os.fchown(fd, uid, gid)
        elif stat.S_ISDIR(os.fstat(fd).st_mode):
            mode |= 0o700  # else it could not be removed again
        os.fchmod(fd, mode)
        os.utime(fd, ns=(mtime, mtime))

    def settle_name(name: bytes, uid: int, gid: int, mtime: int, *, dir_fd: int) -> None:
        """Gives what can't be opened, a link or a pipe, its owner and its time."""
        if os.geteuid() == 0:
            os.chown(name, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
        os.utime(name, ns=(mtime, mtime), dir_fd=dir_fd, follow_symlinks=False)

else:
    _IS_FOLDER = 1 << 30
    FOLDER = _IS_FOLDER
    READ = os.O_RDONLY | os.O_BINARY
    NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_BINARY
    NAMED = READ

    _NUMBERS = itertools.count(1 << 20)
    _OPEN: dict[int, str] = {}
    _ANOTHER = compile_later(
        r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)', re.IGNORECASE
    )

    def _path(name: str | bytes | int, folder: int | None) -> str:
        if isinstance(name, int):
            return _OPEN[name]
        text = os.fsdecode(name)
        if _ANOTHER.search(text):
            raise OSError(errno.EINVAL, f"no file can be called {text!r} on Windows")
        return os.path.join(_OPEN[folder], text) if folder is not None else text

    def _opened(path: str) -> int:
        number = next(_NUMBERS)
        _OPEN[number] = path
        return number

    def open_top(path: str | os.PathLike[str]) -> int:
        """Opens a folder by its path, links followed."""
        return _opened(os.path.realpath(path, strict=True))

    def open(name: bytes, flags: int, mode: int = 0o777, *, dir_fd: int) -> int:  # noqa: A001 - as of os
        """Opens a file or, with FOLDER, a folder; a link is an OSError with ELOOP."""
        path = _path(name, dir_fd)
        if not flags & os.O_CREAT:
            kind = os.lstat(path).st_mode
            if stat.S_ISLNK(kind):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if bool(flags & _IS_FOLDER) != stat.S_ISDIR(kind):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return _opened(path) if flags & _IS_FOLDER else os.open(path, flags, mode)

    def close(fd: int) -> None:
        """Closes a file or folder."""
        if _OPEN.pop(fd, None) is None:
            os.close(fd)

    def dup(fd: int) -> int:
        """Opens a folder again."""
        return _opened(_OPEN[fd])

    def fstat(fd: int) -> os.stat_result:
        """Returns the status of an open file or folder."""
        return os.lstat(_OPEN[fd]) if fd in _OPEN else os.fstat(fd)

    def lstat(name: bytes, *, dir_fd: int) -> os.stat_result:
        """Returns the status of a name, links not followed."""
        return os.lstat(_path(name, dir_fd))

    def listdir(fd: int) -> list[str]:
        """Returns the names in an open folder."""
        return os.listdir(_OPEN[fd])

    def mkdir(name: bytes, mode: int = 0o777, *, dir_fd: int) -> None:
        """Makes a folder."""
        os.mkdir(_path(name, dir_fd))

    def readlink(name: bytes, *, dir_fd: int) -> bytes:
        """Returns the target of a link; an OSError for what is none."""
        return os.fsencode(os.readlink(_path(name, dir_fd)).replace("\\", "/"))

    def symlink(target: bytes, name: bytes, *, dir_fd: int) -> None:
        """Makes a link, which takes a right that Windows gives to administrators, and to all in its developer mode."""
        path, text = _path(name, dir_fd), os.fsdecode(target).replace("/", "\\")
        os.symlink(text, path, os.path.isdir(os.path.join(os.path.dirname(path), text)))

    def link(old: bytes, new: bytes, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool) -> None:
        """Gives a file a second name."""
        os.link(_path(old, src_dir_fd), _path(new, dst_dir_fd))

    def unlink(name: bytes, *, dir_fd: int) -> None:
        """Removes what is no folder."""
        os.unlink(_path(name, dir_fd))

    def rmdir(name: bytes, *, dir_fd: int) -> None:
        """Removes an empty folder."""
        os.rmdir(_path(name, dir_fd))

    def rename(old: bytes, new: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Gives a file or folder another name."""
        os.rename(_path(old, src_dir_fd), _path(new, dst_dir_fd))

    def set_mode(name: bytes, mode: int, *, dir_fd: int) -> None:
        """Nothing."""

    def make_pipe(name: bytes, mode: int, *, dir_fd: int) -> None:
        """Raises an OSError."""
        raise OSError(errno.EINVAL, "Windows has no pipes among its files")

    def settle(fd: int, mode: int, uid: int, gid: int, mtime: int) -> None:
        """Nothing."""

    def settle_name(name: bytes, uid: int, gid: int, mtime: int, *, dir_fd: int) -> None:
        """Nothing."""


def is_spelled_so(folder: int, name: bytes) -> bool:
    """Returns whether a name that is in a folder is written so there: some systems take two spellings for one name."""
    return sys.platform == "linux" or os.fsdecode(name) in listdir(folder)
