"""A folder that can't be left: every path is resolved within it, as the kernel would after chroot, whatever links it holds.

Paths come from layers, so they are hostile. Each part is opened relative to the part before it and never followed
(openat with O_NOFOLLOW); links are read and walked by us, `..` in a link's target ends at the root, and no more than LINKS of them are
followed for one path. The kernel never gets more of a foreign path than one part at a time.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from modelcrate.images import at
from modelcrate.images.removal import remove_tree
from modelcrate_layers.errors import IntegrityError, MachineError
from modelcrate_layers.frozen import dataclass

LINKS = 40
"""Symlinks that are followed for one path: Linux's own limit (path_resolution(7))."""

DEPTH = 512
"""Folders within folders; also after links were followed."""

_OPEN_FOLDERS = 32
_NEAR = 4
"""Folders that are opened below one that is held open."""

READ, NEW = at.READ, at.NEW
"""How a file in a root is opened to be read, and made."""

MOUNT_POINTS = ((b"proc",), (b"sys",), (b"dev",))
"""What every engine mounts: the image's own contents are hidden. Where one was a link, runc would follow it on the machine."""

Parts = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PathInRoot:
    """A name in an open folder, and where that really is. `folder` belongs to the Root and is good until its next `place`."""

    folder: int
    name: bytes
    path: Parts


def parts_of(name: bytes) -> Parts:
    """A member's name as parts. A leading `/` means the root of the image, as all engines read it; `..` is refused."""
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in parts or b"\0" in name:
        raise IntegrityError("a path in a layer leads out of the image", where=repr(name)[1:])
    if len(parts) > DEPTH or any(len(part) > 255 for part in parts):
        raise IntegrityError("a path in a layer is too long or too deep", where=repr(name[:120])[1:])
    return parts


class ContainerRoot:
    """An open root folder. Not a value: it holds file descriptors, so use it in a `with`."""

    def __init__(self, path: Path) -> None:
        self._fd = at.open_top(path)  # where the root is, is ours to say
        self._open: OrderedDict[Parts, tuple[int, Parts]] = OrderedDict()

    def __enter__(self) -> ContainerRoot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()
        at.close(self._fd)

    def forget(self, keep: int = -1) -> None:
        """Closes what is held open, but not the folder `keep`. Call it when something that may be part of a path was removed."""
        kept = {parts: found for parts, found in self._open.items() if found[0] == keep}
        for fd, _ in self._open.values():
            if fd != keep:
                at.close(fd)
        self._open = OrderedDict(kept)

    def place(self, parts: Parts, make: bool = False) -> PathInRoot:
        """The place that `parts` name: parents are followed through links, the last part is not. Never called with no parts.

        Missing parents are made (0755) where `make` says so; else, or where a parent is no folder, it is an IntegrityError.
        """
        folder, real = self._folder(parts[:-1], make)
        return PathInRoot(folder, parts[-1], (*real, parts[-1]))

    def folder(self, parts: Parts, make: bool = False) -> int:
        """A descriptor of the folder `parts`, links followed; the caller closes it. It sees what was mounted meanwhile."""
        fd, _ = self._walk(parts, make)
        return fd

    def make_folder(self, parts: Parts) -> Parts:
        """Makes the folder `parts` and those above it where they are missing, links followed. Returns the real path."""
        return self._folder(parts, make=True)[1]

    def open_path(self, parts: Parts) -> int:
        """Returns a descriptor that names what is at `parts` (open(2), O_PATH), links above it followed; the caller closes it."""
        self.forget()  # something may be mounted on it since
        place = self.place(parts)
        return at.open(place.name, at.NAMED, dir_fd=place.folder)

    def read(self, parts: Parts, limit: int) -> bytes | None:
        """Returns the bytes of the regular file `parts`, links followed, or None where there is no such file.

        Raises:
            IntegrityError: there is something else than a regular file, or more than `limit` bytes, or a link into a folder that an
                engine will mount. A program that opens it in the container could wait or read for ever.
        """
        shown = "/" + _shown(parts)
        for links in range(LINKS):
            try:
                place = self.place(parts)
                fd = at.open(place.name, READ, dir_fd=place.folder)
            except IntegrityError:
                if not links:
                    return None
                raise IntegrityError(f"{shown} of the image is a link that leads nowhere in it") from None
            except OSError as fault:
                if fault.errno == errno.ENOENT:
                    return None
                if fault.errno != errno.ELOOP:
                    raise IntegrityError(f"{shown} of the image is not a regular file") from None
                parts = _joined(place.path[:-1], at.readlink(place.name, dir_fd=place.folder))
                if parts[:1] in MOUNT_POINTS or not parts:
                    raise IntegrityError(f"{shown} of the image is a link into /{_shown(parts[:1])}") from None
                continue
            held = at.fstat(fd)
            if not stat.S_ISREG(held.st_mode) or held.st_size > limit:
                at.close(fd)
                what = f"larger than {limit} bytes" if stat.S_ISREG(held.st_mode) else "not a regular file"
                raise IntegrityError(f"{shown} of the image is {what}")
            with os.fdopen(fd, "rb") as file:
                return file.read(limit)
        raise IntegrityError(f"{shown} of the image is a link in a circle")

    def mount_point(self, parts: Parts, is_file: bool = False) -> tuple[Parts, bool]:
        """Makes `parts` a real, plain folder (or file) of the root, so that a mount on it can't be led elsewhere.

        The folders above are followed through the image's links; a link or anything else in the place itself is removed.

        Returns:
            The real path, in which no part is a link, and whether something was removed.
        """
        place = self.place(parts, make=True)
        wanted = stat.S_ISREG if is_file else stat.S_ISDIR
        replaced = False
        with suppress(FileNotFoundError):
            if wanted(at.lstat(place.name, dir_fd=place.folder).st_mode):
                return place.path, False
            remove_tree(place.folder, place.name)
            self.forget(keep=place.folder)
            replaced = True
        if is_file:
            at.close(at.open(place.name, NEW, 0o644, dir_fd=place.folder))
        else:
            at.mkdir(place.name, dir_fd=place.folder)
            at.set_mode(place.name, 0o755, dir_fd=place.folder)  # whatever our umask is
        return place.path, replaced

    def _folder(self, parts: Parts, make: bool) -> tuple[int, Parts]:
        if (found := self._open.get(parts)) is not None:
            self._open.move_to_end(parts)
            return found
        opened = self._near(parts, make) or self._walk(parts, make)
        while len(self._open) >= _OPEN_FOLDERS:
            at.close(self._open.popitem(last=False)[1][0])
        self._open[parts] = opened
        return opened

    def _near(self, parts: Parts, make: bool) -> tuple[int, Parts] | None:
        """The folder `parts` from one above it that is held open, where no link lies between: else each file would cost its depth."""
        if len(parts) <= _NEAR:
            return None
        for up in range(1, _NEAR):
            if parts[:-up] in self._open:
                break
        else:
            up = _NEAR
        folder, real = self._folder(parts[:-up], make)
        stack = [at.dup(folder)]
        try:
            if len(real) + up <= DEPTH and all(_enter(stack, part, make) is None for part in parts[-up:]):
                return stack.pop(), (*real, *parts[-up:])
            return None
        finally:
            for fd in stack:
                at.close(fd)

    def _walk(self, parts: Parts, make: bool) -> tuple[int, Parts]:
        """Opens the folder `parts`: a stack of open folders, and the parts still ahead (last first)."""
        ahead, real, stack, links = [*reversed(parts)], list[bytes](), [at.dup(self._fd)], 0
        try:
            while ahead:
                part = ahead.pop()
                if part == b"..":
                    if real:
                        real.pop()
                        at.close(stack.pop())
                    continue
                target = _enter(stack, part, make)
                if target is None:
                    real.append(part)
                    if len(real) > DEPTH:
                        raise IntegrityError("folders in a layer are nested too deep", where=_shown(parts))
                    continue
                links += 1
                if links > LINKS:
                    raise IntegrityError(f"a path in a layer goes through more than {LINKS} links", where=_shown(parts))
                if target.startswith(b"/"):
                    real.clear()
                    while len(stack) > 1:
                        at.close(stack.pop())
                ahead += [step for step in reversed(target.split(b"/")) if step not in (b"", b".")]
            return stack.pop(), tuple(real)
        finally:
            for fd in stack:
                at.close(fd)


def _enter(stack: list[int], part: bytes, make: bool) -> bytes | None:
    """Opens `part` in the last folder of the stack and pushes it; where it is a link, gives the link's target instead."""
    for attempt in range(2):
        try:
            stack.append(at.open(part, at.FOLDER, dir_fd=stack[-1]))
            return None
        except FileNotFoundError:
            if not make or attempt:
                raise IntegrityError("a folder that a layer speaks of doesn't exist", where=_shown((part,))) from None
            at.mkdir(part, dir_fd=stack[-1])
            at.set_mode(part, 0o755, dir_fd=stack[-1])  # whatever our umask is; it is new, so no link
        except OSError as fault:
            if fault.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise MachineError(f"can't open a folder: {fault.strerror}", where=_shown((part,))) from None
            try:
                return at.readlink(part, dir_fd=stack[-1])
            except OSError:
                raise IntegrityError("a path in a layer goes through a file", where=_shown((part,))) from None
    raise AssertionError


def _joined(folder: Parts, target: bytes) -> Parts:
    """The path of a link's target. A `..` drops the part before it; such paths are only read, never written."""
    steps = [] if target.startswith(b"/") else list(folder)
    for step in target.split(b"/"):
        if step == b"..":
            del steps[-1:]
        elif step not in (b"", b"."):
            steps.append(step)
    return tuple(steps)


def _shown(parts: Parts) -> str:
    return b"/".join(parts).decode("utf-8", "backslashreplace")
