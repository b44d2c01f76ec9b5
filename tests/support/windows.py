"""What Windows has otherwise, laid over this Python before modelcrate is imported.

Modules and calls that are not there, files that are text unless O_BINARY is said, that have no modes, and that can't be renamed or removed while they
are open; folders that can't be opened; names in any case; locks of bytes, which keep others from reading those.

Run as a program, it is `modelcrate` on such a machine: the words after it are those of the command. Paths keep their slashes: that is what
Windows takes, too, and what it says itself is tried under Wine and on GitHub's machines.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
import platform
import shutil
import stat
import struct
import subprocess
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[1]))
from support import macos

MODULES = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "posix", "readline", "syslog")
LACKING = (
    *macos.LACKING,
    *("O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_SYNC", "O_DSYNC"),
    *("getuid", "geteuid", "getgid", "getegid", "getgroups", "setuid", "setgid", "setsid", "getpgid", "killpg", "uname"),
    *("chown", "lchown", "fchown", "fchmod", "fchdir", "chroot", "mkfifo", "mknod", "statvfs", "fstatvfs", "sysconf", "nice", "umask_"),
    *("fork", "forkpty", "wait4", "pread", "preadv", "pwrite", "readv", "writev", "sendfile", "fwalk", "sync", "posix_spawn"),
    *("getxattr", "setxattr", "listxattr", "register_at_fork_"),
)  # fmt: skip
"""Of `os`; what a Python on Windows does not have."""

SIGNALS = ("SIGHUP", "SIGQUIT", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "alarm", "pthread_sigmask")
O_BINARY, O_NOINHERIT = 1 << 28, 1 << 27
_GET, _SET, _FREE, _TAKEN, _START = 36, 37, fcntl.F_UNLCK, fcntl.F_WRLCK, os.SEEK_SET
"""Linux's locks of an open file (fcntl(2), F_OFD_GETLK and F_OFD_SETLK): they belong to the open file, as Windows' do."""


class Files:
    """The files that are open, by their numbers: Windows keeps their names, and the ends of lines where they are text."""

    def __init__(self) -> None:
        self.real: dict[str, Any] = {
            name: getattr(os, name) for name in ("open", "read", "write", "close", "dup2", "lseek", "stat")
        }
        self.text = set[int]()
        self.folders = os.path.isdir

    def held(self, path: Any) -> bool:
        """Returns whether this process has a file open."""
        try:
            wanted = self.real["stat"](path, follow_symlinks=False)
        except OSError:
            return False
        if stat.S_ISDIR(wanted.st_mode):
            return False
        for number in _listdir("/proc/self/fd"):
            try:
                found = os.fstat(int(number))
            except OSError:
                continue
            if os.path.samestat(found, wanted):
                return True
        return False

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """Opens a file."""
        _no_folder(dir_fd)
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        number: int = self.real["open"](path, flags & ~(O_BINARY | O_NOINHERIT), mode)
        (self.text.discard if flags & O_BINARY else self.text.add)(number)
        return number

    def read(self, number: int, size: int) -> bytes:
        """Reads; of a text, without the carriage returns."""
        data: bytes = self.real["read"](number, size)
        return data.replace(b"\r\n", b"\n") if number in self.text else data

    def write(self, number: int, data: Any) -> int:
        """Writes; to a text, with carriage returns."""
        if number not in self.text:
            done: int = self.real["write"](number, data)
            return done
        self.real["write"](number, bytes(data).replace(b"\n", b"\r\n"))
        return len(data)

    def dup2(self, number: int, other: int, inheritable: bool = True) -> int:
        """Puts a file in the place of another."""
        self.text.discard(other)
        again: int = self.real["dup2"](number, other, inheritable)
        return again


_listdir = os.listdir


def _no_folder(number: int | None) -> None:
    if number is not None:
        raise NotImplementedError("dir_fd unavailable on this platform")


def _without_folders(call: Any, files: Files | None = None) -> Any:
    """A call that takes no descriptors of folders; with `files`, none of a file that is open."""

    def plain(
        path: Any,
        *args: Any,
        dir_fd: int | None = None,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        **more: Any,
    ) -> Any:
        for each in (dir_fd, src_dir_fd, dst_dir_fd):
            _no_folder(each)
        if isinstance(path, int) and call.__name__ not in ("truncate",):
            raise TypeError("path should be string, bytes or os.PathLike, not int")
        if files is not None and (
            files.held(path) or any(files.held(each) for each in args if isinstance(each, str | os.PathLike))
        ):
            raise PermissionError(
                errno.EACCES,
                "The process cannot access the file because it is being used by another process",
                str(path),
            )
        return call(path, *args, **more)

    plain.__name__ = call.__name__
    return plain


def _plain_status(found: os.stat_result, by_name: bool) -> os.stat_result:
    """A status without modes and owners; by name, the time of the change is that of creation, which here is always the same."""
    kind = stat.S_IFMT(found.st_mode)
    words = list(found)
    words[0], words[4], words[5] = kind | (0o777 if stat.S_ISDIR(kind) else 0o666), 0, 0
    facts = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
    facts |= {"st_mode": words[0], "st_uid": 0, "st_gid": 0}
    if by_name:
        words[9], facts["st_ctime"], facts["st_ctime_ns"] = 1, 1.0, 1_000_000_000
    return os.stat_result(words, facts)


class Entry:
    """An entry of a folder; its status has neither device nor inode."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry, self.name, self.path = entry, entry.name, entry.path
        self.is_dir, self.is_file, self.is_symlink = entry.is_dir, entry.is_file, entry.is_symlink

    def __fspath__(self) -> str:
        return self.path

    def inode(self) -> int:
        """Returns the inode."""
        return self._entry.inode()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Returns what the listing says."""
        found = _plain_status(self._entry.stat(follow_symlinks=follow_symlinks), by_name=True)
        facts = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")} | {
            "st_ino": 0,
            "st_dev": 0,
        }
        words = list(found)
        words[1] = words[2] = 0
        return os.stat_result(words, facts)


def lay() -> None:
    """Changes this process."""
    files = Files()
    lock = fcntl.fcntl
    macos.lay()
    real_stat, real_lstat, real_fstat, scan, text_file = os.stat, os.lstat, os.fstat, os.scandir, io.open
    for name in LACKING:
        if hasattr(os, name):
            delattr(os, name)
    import signal

    for name in SIGNALS:
        if hasattr(signal, name):
            delattr(signal, name)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    import socket

    del socket.AF_UNIX
    os.O_BINARY, os.O_NOINHERIT = O_BINARY, O_NOINHERIT  # type: ignore[attr-defined]
    os.stat = lambda path, **more: _plain_status(real_stat(path, **more), not isinstance(path, int))  # type: ignore[assignment]
    os.lstat = lambda path: _plain_status(real_lstat(path), True)  # type: ignore[assignment]
    os.fstat = lambda number: _plain_status(real_fstat(number), False)  # type: ignore[assignment]
    os.open, os.read, os.write, os.dup2 = files.open, files.read, files.write, files.dup2  # type: ignore[assignment]
    for name in ("mkdir", "rmdir", "readlink", "symlink", "link", "utime", "chmod"):
        setattr(os, name, _without_folders(getattr(os, name)))
    for name in ("rename", "replace", "unlink", "remove"):
        setattr(os, name, _without_folders(getattr(os, name), files))

    class Listing:
        """A folder's entries, as Windows lists them."""

        def __init__(self, path: Any = ".") -> None:
            self._found = scan(path)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *fault: object) -> None:
            self._found.close()

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            return Entry(next(self._found))

        def close(self) -> None:
            """Closes it."""
            self._found.close()

    os.scandir = Listing  # type: ignore[assignment, misc]

    def open_file(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if "b" not in mode:  # what a Python on Windows does where nothing is said
            encoding = encoding or "cp1252"
            newline = "\r\n" if newline is None and set(mode) & set("wax+") else newline
        return text_file(file, mode, buffering, encoding, errors, newline, closefd, opener)

    builtins.open = io.open = open_file  # type: ignore[assignment]
    which = shutil.which

    def find(name: str, mode: int = os.F_OK | os.X_OK, path: str | None = None) -> str | None:
        """Finds programs of this machine, whose names have no `.exe`."""
        sys.platform = "linux"
        try:
            return which(name, mode, path)
        finally:
            sys.platform = "win32"

    shutil.which = find  # type: ignore[assignment]

    def locking(number: int, how: int, count: int) -> None:
        place = struct.pack("hhqqi4x", _TAKEN if how else _FREE, _START, os.lseek(number, 0, os.SEEK_CUR), count, 0)
        try:
            lock(number, _SET, place)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    system: Any = types.ModuleType("msvcrt")
    system.locking, system.LK_UNLCK, system.LK_NBLCK = locking, 0, 2
    sys.modules["msvcrt"] = system
    for name in ("LANG", "LC_ALL", "HOME"):
        os.environ.pop(name, None)
    subprocess._USE_VFORK = shutil._use_fd_functions = shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined]
    sysconfig.get_config_vars()
    platform.system, platform.machine = lambda: "Windows", lambda: "AMD64"
    sys.platform = "win32"


if __name__ == "__main__":
    lay()
    from modelcrate.cli import _open_standard_streams, main

    sys.stdout.reconfigure(encoding="cp1252", errors="strict")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="cp1252", errors="backslashreplace")  # type: ignore[union-attr]
    _open_standard_streams()
    raise SystemExit(main(sys.argv[1:]))
