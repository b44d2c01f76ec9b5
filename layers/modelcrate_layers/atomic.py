"""Files that are there whole or not at all, whatever ends us: an error, Ctrl-C, SIGKILL.

A file without a name (O_TMPFILE) is written and synced, and gets its name when it is complete; the kernel forgets it with the
process. Where a file system has no such files, a hidden one beside the target takes their place.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelcrate_layers import host
from modelcrate_layers.frozen import dataclass

MODE = 0o644

SCRATCH = "modelcrate-scratch-"
"""How the names of folders begin that we make in the system's folder for temporary files, and remove."""

_UNNAMED = getattr(os, "O_TMPFILE", 0)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that is being written in a folder. It has no name before `keep`."""

    handle: int
    folder: Path
    hidden: Path

    def write(self, data: bytes) -> None:
        """Writes all of the bytes at the end of the file."""
        write_all(self.handle, data)

    def skip(self, size: int) -> None:
        """Leaves a hole of so many zeros at the end of the file."""
        os.ftruncate(self.handle, os.lseek(self.handle, size, os.SEEK_CUR))

    def put(self, data: bytes, at: int) -> None:
        """Writes all of the bytes at byte `at`. Threads may do so at the same time; what nobody writes are zeros."""
        rest = memoryview(data)
        while rest:
            written = host.pwrite(self.handle, rest, at)
            rest, at = rest[written:], at + written

    def cut(self, size: int) -> None:
        """Makes the file so many bytes long."""
        os.ftruncate(self.handle, size)

    def keep(self, path: Path) -> None:
        """Gives the complete file its name, in the place of what had it.

        Raises:
            FileExistsError: A device, a pipe or a socket has it, or a link to one: nobody wants /dev/stdout replaced.
        """
        with suppress(FileNotFoundError):
            mode = os.stat(path).st_mode  # through links
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise FileExistsError(errno.EEXIST, "is no regular file, and is not replaced", str(path))
        self._complete()
        if not self.hidden.exists():
            os.link(f"/proc/self/fd/{self.handle}", self.hidden, src_dir_fd=self.handle)  # linkat(2), AT_SYMLINK_FOLLOW
        host.replace(self.hidden, path)

    def keep_first(self, path: Path) -> None:
        """Gives it its name, unless another process was faster: a build that uses that file already holds it to its stamp."""
        self._complete()
        with suppress(FileExistsError):
            if self.hidden.exists():  # after a link its stamp would change once more, when the other name goes
                if not os.path.lexists(path):
                    host.replace(self.hidden, path)
            else:
                os.link(f"/proc/self/fd/{self.handle}", path, src_dir_fd=self.handle)

    def _complete(self) -> None:
        host.set_mode(self.handle, MODE)
        os.fsync(self.handle)
        host.release(self.handle)


@contextmanager
def incoming(folder: Path) -> Iterator[Incoming]:
    """Opens a new file in a folder. Without `keep`, nothing of it is left after the block."""
    hidden = folder / f".incoming-{os.urandom(8).hex()}"
    handle = -1
    try:
        handle = _open(folder, hidden)
        yield Incoming(handle, folder, hidden)
    finally:
        if handle >= 0:
            os.close(handle)
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(hidden)  # named before it was made: there is no moment at which it could be forgotten


def write_file(path: Path, data: bytes) -> None:
    """Writes a small file, whole or not at all."""
    with incoming(path.parent) as file:
        file.write(data)
        file.keep(path)


def write_unsynced(path: Path, data: bytes) -> None:
    """Writes a small file that a crash may cut; readers hold it to a checksum. A link or a folder in its place is replaced."""
    try:
        handle = os.open(path, host.WRITE_ANEW, 0o666)
    except FileNotFoundError:
        raise
    except OSError:  # a link, a folder or a fifo; or any file, where links can't be told
        clear(path)
        handle = os.open(path, host.WRITE_ANEW, 0o666)
    try:
        write_all(handle, data)
    finally:
        os.close(handle)


def clear(path: Path) -> None:
    """Removes a link, a folder, a fifo or whatever else is in the place of a file."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        remove(path)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Holds a lock that one thread of one process has at a time. The file is empty, and stays."""
    # the umask decides which users may share the folder
    handle = host.open_lock(path, 0o666)
    try:
        host.lock(handle)
        yield
    finally:
        os.close(handle)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Holds such a lock on a folder, without a file in it."""
    place = os.path.realpath(folder)
    handle = host.open_folder_lock(place)
    try:
        host.lock(handle)
        yield
    finally:
        host.close_folder_lock(place, handle)


@contextmanager
def scratch_folder(parent: Path | None = None, prefix: str = SCRATCH) -> Iterator[Path]:
    """Makes a folder that is removed when the block ends. Folders of this kind that a killed process has left are removed first.

    Args:
        parent: Where it is made; by default the system's folder for temporary files. It is none of the user's.
        prefix: How the names of such folders begin. No other folder there may begin so.
    """
    import tempfile

    above = Path(tempfile.gettempdir()) if parent is None else parent
    with suppress(OSError):
        for left in above.glob(f"{prefix}*"):
            _remove_abandoned(left)
    with scratch_in(above, prefix) as path:
        yield path


@contextmanager
def scratch_in(parent: Path, prefix: str) -> Iterator[Path]:
    """Makes a folder in one of the user's, and removes it when the block ends. Nothing else there is touched, whatever it is called."""
    path, lock = _new_scratch(parent, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        host.close_folder_lock(path, lock)


def _new_scratch(above: Path, prefix: str) -> tuple[Path, int]:
    """A folder and the lock on it, which ends with the process."""
    import tempfile

    while True:
        path = Path(tempfile.mkdtemp(dir=above, prefix=prefix))
        with suppress(FileNotFoundError):
            handle = host.open_folder_lock(path)
            host.lock(handle)
            if path.is_dir():  # no other process has removed it before it was locked
                return path, handle
            host.close_folder_lock(path, handle)


def _remove_abandoned(path: Path) -> None:
    """Removes a folder of our user's that no process has locked."""
    if path.is_symlink() or not host.is_ours(path.lstat()):
        return
    handle = host.open_folder_lock(path)
    try:
        host.lock(handle, wait=False)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        pass  # its process lives
    finally:
        host.close_folder_lock(path, handle)


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder with all that is in it; what is missing is removed already."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):  # the latter is what other systems than Linux say of folders
        shutil.rmtree(path)


def write_all(handle: int, data: bytes) -> None:
    """Writes all of the bytes, for `os.write` may take only some of them."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _open(folder: Path, hidden: Path) -> int:
    if _UNNAMED and os.path.isdir("/proc/self/fd"):
        try:
            return os.open(folder, _UNNAMED | os.O_WRONLY, 0o600)
        except (IsADirectoryError, FileNotFoundError):
            pass  # what old kernels answer that have no files without a name
        except OSError as fault:
            if fault.errno != errno.EOPNOTSUPP:
                raise
    return os.open(hidden, host.WRITE | os.O_EXCL, 0o600)
