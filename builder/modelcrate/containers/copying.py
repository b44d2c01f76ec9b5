"""Files between this machine and a container. Both sides are roots that can't be left, whatever links a program of the container makes meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelcrate.containers.container import Container
from modelcrate.containers.processes import processes_in
from modelcrate.images.root_folder import MOUNT_POINTS, NEW, READ, ContainerRoot, Parts, parts_of
from modelcrate_layers.atomic import write_all
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError, MachineError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import as_machine_error

_BESIDE = b".modelcrate-copy-%d"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, and the number of devices, sockets and fifos that were left out."""

    files: int = 0
    size: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """A path of one side: an open root, the parts of the path in it, and how a message calls it."""

    root: ContainerRoot
    parts: Parts
    shown: str
    contents: bool = False
    """Whether the path ends with `/.`: what is in the folder is meant."""

    def mode(self) -> int:
        """Returns the mode of what is there, links followed above it but not the last; 0 where there is nothing."""
        if not self.parts:
            return stat.S_IFDIR
        try:
            place = self.root.place(self.parts)
            return os.lstat(place.name, dir_fd=place.folder).st_mode
        except (IntegrityError, FileNotFoundError):
            return 0


@contextmanager
def container_side(container: Container, path: str) -> Iterator[Side]:
    """Opens a path of a container: as its programs see it while it runs, else of its root folder where that was kept."""
    if not path.startswith("/"):
        raise UserError(f"not a path of a container: {path[:80]!r}", hint="expected an absolute path: CONTAINER:/PATH")
    with _container_root(container) as root:
        yield Side(root, _parts(path), f"{container.name}:{path}", path.endswith("/."))


@contextmanager
def machine_side(path: str) -> Iterator[Side]:
    """Opens a path of this machine. The folder that it lies in has to be there."""
    whole, contents = Path(os.path.abspath(path)), path == "." or path.endswith("/.")
    above = Path(os.path.realpath(whole.parent))
    try:
        root = ContainerRoot(above)
    except OSError as fault:
        raise UserError(f"can't open the folder: {fault.strerror}", where=str(above), hint="make it first") from None
    with root:
        last = os.fsencode(whole.name)
        if whole.is_dir() and whole.is_symlink():  # the user's own link
            with ContainerRoot(Path(os.path.realpath(whole))) as inner:
                yield Side(inner, (), path, contents)
            return
        yield Side(root, (last,) if last else (), path, contents)


def copy(source: Side, target: Side) -> Copied:
    """Copies a file, link or folder, as docker's `cp` does: into a folder that is there, else under the target's name.

    Links stay links. Files belong to the user of this process; set-user-id is dropped.

    Raises:
        UserError: there is no source, or a file and a folder stand in each other's place.
        MachineError: something can't be read or written.
    """
    mode, there = source.mode(), target.mode()
    if not mode:
        raise UserError("there is no such file or folder", where=source.shown, hint="name a path that is there")
    parts = target.parts
    if stat.S_ISLNK(there) and _is_folder(target):
        there = stat.S_IFDIR
    if stat.S_ISDIR(there) and not source.contents and source.parts:
        parts = (*parts, source.parts[-1])
    elif stat.S_ISDIR(mode) and there and not stat.S_ISDIR(there):
        raise UserError("a folder can't be copied to a file", where=target.shown, hint="name a folder, or a new name")
    elif not stat.S_ISDIR(mode) and target.shown.endswith("/"):
        raise UserError(
            "there is no such folder", where=target.shown, hint="make it first, or leave out the / at the end"
        )
    where = f"{source.shown} to {target.shown}"
    try:
        with as_machine_error(where, "can't copy"):
            return _copy(source.root, source.parts, target.root, parts)
    except IntegrityError as fault:
        raise UserError("can't copy", where=where, why=fault.what) from None


def _copy(source: ContainerRoot, start: Parts, target: ContainerRoot, end: Parts) -> Copied:
    files = size = left_out = 0
    ahead = [(start, end)]
    while ahead:
        here, there = ahead.pop()
        if here[:1] in MOUNT_POINTS:  # files without an end
            left_out += 1
        elif not here or stat.S_ISDIR((mode := _lstat(source, here)).st_mode):
            _make_folder(target, there)
            fd = source.folder(here)
            try:
                names = sorted(map(os.fsencode, os.listdir(fd)), reverse=True)
            finally:
                os.close(fd)
            ahead += [((*here, name), (*there, name)) for name in names]
        elif stat.S_ISLNK(mode.st_mode):
            _write_link(source, here, target, there)
            files += 1
        elif stat.S_ISREG(mode.st_mode):
            size += _write_file(source, here, target, there)
            files += 1
        else:
            left_out += 1
    return Copied(files, size, left_out)


def _write_file(source: ContainerRoot, here: Parts, target: ContainerRoot, there: Parts) -> int:
    place = source.place(here)
    read = os.open(place.name, READ, dir_fd=place.folder)
    try:
        held, done = os.fstat(read), 0
        if not stat.S_ISREG(held.st_mode):
            return 0  # it was replaced meanwhile
        with _beside(target, there) as (folder, name):
            write = os.open(name, NEW, 0o600, dir_fd=folder)
            try:
                while piece := os.read(read, CHUNK):
                    done += len(piece)
                    write_all(write, piece)
                os.fchmod(write, held.st_mode & 0o777)
                os.utime(write, ns=(held.st_mtime_ns, held.st_mtime_ns))
            finally:
                os.close(write)
        return done
    finally:
        os.close(read)


def _write_link(source: ContainerRoot, here: Parts, target: ContainerRoot, there: Parts) -> None:
    place = source.place(here)
    link = os.readlink(place.name, dir_fd=place.folder)
    with _beside(target, there) as (folder, name):
        os.symlink(link, name, dir_fd=folder)


@contextmanager
def _beside(target: ContainerRoot, there: Parts) -> Iterator[tuple[int, bytes]]:
    """Gives an open folder and a free name in it. What is made under that name takes the place in the end, in which no folder may be."""
    place = target.place(there)
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(place.name, dir_fd=place.folder).st_mode):
            raise IntegrityError("a folder is in the place of a file", where=os.fsdecode(b"/".join(there)))
    name = _BESIDE % os.getpid()
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=place.folder)
    try:
        yield place.folder, name
        os.rename(name, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=place.folder)
        raise


def _make_folder(target: ContainerRoot, there: Parts) -> None:
    if not there:
        return
    place = target.place(there)
    try:
        os.mkdir(place.name, 0o755, dir_fd=place.folder)
    except FileExistsError:
        os.close(target.folder(there))  # a folder, or a link of the target's own that leads to one


def _lstat(root: ContainerRoot, parts: Parts) -> os.stat_result:
    place = root.place(parts)
    return os.lstat(place.name, dir_fd=place.folder)


def _is_folder(side: Side) -> bool:
    try:
        os.close(side.root.folder(side.parts))
    except IntegrityError:
        return False
    return True


def _parts(path: str) -> Parts:
    try:
        return parts_of(os.fsencode(path))
    except IntegrityError as fault:
        raise UserError(f"not a path of a container: {path[:80]!r}", why=fault.what) from None


def _container_root(container: Container) -> ContainerRoot:
    """The root as the container's programs see it, with what is mounted there; without a process that can be looked into, its folder."""
    rootfs = container.folder / "rootfs"
    for process in processes_in(rootfs):
        with suppress(OSError):
            root = ContainerRoot(Path(f"/proc/{process.pid}/root"))
            if process.alive():
                return root
            root.__exit__(None, None, None)
    try:
        return ContainerRoot(rootfs)
    except OSError as fault:
        if fault.errno != errno.ENOENT:
            raise MachineError(f"can't open the container's root folder: {fault.strerror}", where=str(rootfs)) from None
    raise UserError(
        f"the container {container.name} has ended, and its files are gone", hint="start it, or run it with --keep"
    )
