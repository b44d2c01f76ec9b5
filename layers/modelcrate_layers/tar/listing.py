"""A folder or file of the user's as entries: the tree as it is, with our modes, and nothing that does not belong in an image."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate_layers import host
from modelcrate_layers.errors import SourceError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.host import entry_status
from modelcrate_layers.tar.sources import FileRange, Stamp
from modelcrate_layers.tar.tree import FILE_MODE, PROGRAM_MODE, Entry, Kind, directory, symlink

if TYPE_CHECKING:
    from modelcrate_layers.tar.checkout import Checkout

MAX_ENTRIES = 1_000_000
"""More files than any model or project has; a loop or a mistake does."""

CLUTTER = frozenset(
    {"__pycache__", ".git", ".hg", ".svn", ".venv", ".ipynb_checkpoints", ".DS_Store", ".mypy_cache", ".pytest_cache"}
)
"""Names that are left out of source folders: made by tools on this machine, of no use in an image."""


Ignored = Callable[[str, bool], bool]
"""Returns whether a path of the host is passed over; the second argument is whether it is a folder."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries below `under`, from a host's folder or file, by their places on the host."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """The size of all entries, in bytes."""
        return sum(entry.size for entry in self.entries)


def list_path(
    path: Path,
    under: bytes,
    leave_out: frozenset[str] = frozenset(),
    skip: frozenset[str] = frozenset(),
    ignored: Ignored | None = None,
    follow: frozenset[str] = frozenset(),
) -> Listing:
    """Lists a file as `under/NAME`, or a folder as `under/NAME/...`.

    Links inside a folder stay links, if they lead to something inside it. In a snapshot of a Hugging Face cache, the links to the
    cache's blobs are the files that they lead to.

    Args:
        path: The file or folder to list.
        under: The folder of the layer that it goes into; empty for the top.
        leave_out: Names that are passed over wherever they are.
        skip: Paths of the host that are passed over.
        ignored: Returns whether a path of the host is passed over; its second argument is whether it is a folder.
        follow: Real paths of files outside: a link to one of them is the file.

    Raises:
        SourceError: It holds a link to outside, a device, a socket or a pipe, or can't be read.
    """
    name = os.fsencode(path.name)
    place = under + b"/" + name if under else name
    return Listing(tuple(_walk(str(path), place, leave_out, skip, ignored, follow)))


def list_inside(
    folder: Path,
    under: bytes,
    leave_out: frozenset[str] = frozenset(),
    skip: frozenset[str] = frozenset(),
    ignored: Ignored | None = None,
) -> Listing:
    """Lists what a folder holds, as `under/...`; rules as in `list_path`."""
    return Listing(tuple(_walk(str(folder), under, leave_out, skip, ignored)))


def hub_blobs(folder: Path) -> str:
    """Returns the folder of a Hugging Face cache that has the files of a snapshot; empty where the folder is no snapshot.

    A snapshot is `models--ORG--NAME/snapshots/REVISION`; its files are links to `models--ORG--NAME/blobs/HASH`.
    """
    place = Path(os.path.realpath(folder))
    blobs = place.parent.parent / "blobs"
    return str(blobs) if place.parent.name == "snapshots" and blobs.is_dir() else ""


def _walk(
    top: str,
    under: bytes,
    leave_out: frozenset[str],
    skip: frozenset[str],
    ignored: Ignored | None,
    follow: frozenset[str] = frozenset(),
) -> Iterator[Entry]:
    root = os.path.realpath(top)
    try:
        status = host.file_status(top)
    except OSError as fault:
        raise unreadable(fault, top) from None
    checkout = _checkout(top, status)
    if not stat.S_ISDIR(status.st_mode):
        yield _file(top, under, status, checkout)
        return
    yield directory(under)
    # as the items below are spelled: those of `.` begin with `./`, and what a folder is called decides nothing
    skip = frozenset(os.path.join(top, os.path.relpath(each, top)) for each in skip)
    folders = [(top, under)]
    count = 0
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    while folders:
        folder, path = folders.pop()
        items = _items(folder)
        count += len(items)
        if count > MAX_ENTRIES:
            raise SourceError(f"has more than {MAX_ENTRIES} files", where=top)
        above = path + b"/"
        for item in items:
            name = item.name
            if name in leave_out or (skip and item.path in skip):
                continue
            if ignored is not None and ignored(item.path, item.is_dir(follow_symlinks=False)):
                continue
            inner = above + name.encode(encoding, errors)  # as os.fsencode does, which looks all of this up each time
            if item.is_dir(follow_symlinks=False):
                yield directory(inner)
                folders.append((item.path, inner))
            else:
                yield _item(item, inner, root, follow, checkout)


def _item(item: os.DirEntry[str], path: bytes, root: str, follow: frozenset[str], checkout: Checkout | None) -> Entry:
    if item.is_symlink():
        return _link(item.path, path, root, follow, checkout)
    target = checkout.link(item.path) if checkout is not None else None
    if target is not None:
        return _text_link(item.path, path, target, root)
    return _file(item.path, path, entry_status(item), checkout)


def _items(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as fault:
        raise unreadable(fault, folder) from None


def _checkout(top: str, status: os.stat_result) -> Checkout | None:
    """Returns what Git knows of the files; None where the file system knows it."""
    if not host.WINDOWS:
        return None
    from modelcrate_layers.tar.checkout import read_checkout

    return read_checkout(top if stat.S_ISDIR(status.st_mode) else os.path.dirname(os.path.abspath(top)))


def _file(where: str, path: bytes, status: os.stat_result, checkout: Checkout | None) -> Entry:
    kind = status.st_mode
    if not stat.S_ISREG(kind):
        what = next(
            (word for test, word in _KINDS if test(kind)),
            "something that is neither file nor folder",
        )
        raise SourceError(f"is {what}, which can't go into an image", where=where)
    source = FileRange(where, Stamp.of(status), 0, status.st_size)
    program = kind & 0o111 if checkout is None else checkout.is_program(where)
    return Entry(path, Kind.FILE, PROGRAM_MODE if program else FILE_MODE, source)


def _text_link(where: str, path: bytes, target: str, root: str) -> Entry:
    """Returns a link that Git has written as a text."""
    reached = os.path.normpath(os.path.join(os.path.dirname(os.path.realpath(where)), target))
    return _symlink(where, path, target, inside=reached == root or reached.startswith(root + os.sep))


def _link(where: str, path: bytes, root: str, follow: frozenset[str], checkout: Checkout | None) -> Entry:
    target = os.readlink(where)
    reached = os.path.realpath(where)
    inside = reached == root or reached.startswith(root + os.sep)
    if reached in follow:
        return _file(reached, path, host.file_status(reached), checkout)
    if (
        not inside
        and (blobs := hub_blobs(Path(root)))
        and reached.startswith(blobs + os.sep)
        and os.path.isfile(reached)
    ):
        return _file(reached, path, host.file_status(reached), checkout)
    return _symlink(where, path, target.replace(os.sep, "/"), inside)


def _symlink(where: str, path: bytes, target: str, inside: bool) -> Entry:
    if target.startswith("/") or os.path.isabs(target) or not inside:
        raise SourceError(
            f"is a link to {target}, outside of what is packed",
            where=where,
            hint="copy the file there, or pack the folder above",
        )
    return symlink(path, os.fsencode(target))


_KINDS = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
)
