"""Foreign folders removed: at any depth, and without following a link."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from modelcrate.images import at

_GONE = b".wh..gone."
"""Names of folders on their way out; no layer can make one, for names with `.wh.` are whiteouts."""


def remove_tree(folder: int, name: bytes) -> None:
    """Removes `name` from an open folder, with all below it, at any depth and without following a link.

    Subfolders are first moved up beside it, so that neither descriptors nor the call stack grow with the depth. Where the kernel moves
    none (an overlay, of a folder that lies in a layer below), they are removed in their place.
    """
    if not stat.S_ISDIR(at.lstat(name, dir_fd=folder).st_mode):
        at.unlink(name, dir_fd=folder)
        return
    queue, count = [name], 0
    while queue:
        top = queue.pop()
        fd = _opened(folder, top)
        try:
            for below in _without_files(fd):
                count += 1
                moved = _GONE + b"%d.%d" % (os.getpid(), count)
                try:
                    at.rename(below, moved, src_dir_fd=fd, dst_dir_fd=folder)
                    queue.append(moved)
                except OSError as fault:
                    if fault.errno != errno.EXDEV:
                        raise
                    _remove_in_place(fd, below)
        finally:
            at.close(fd)
        at.rmdir(top, dir_fd=folder)


def remove_path(path: Path) -> None:
    """Removes a file or folder of our own with all below it; nothing happens where there is none."""
    try:
        fd = at.open_top(path.parent)
    except FileNotFoundError:
        return
    try:
        with suppress(FileNotFoundError):
            remove_tree(fd, os.fsencode(path.name))
    finally:
        at.close(fd)


def _remove_in_place(folder: int, name: bytes) -> None:
    """The same with a descriptor for each folder on the way down: of layers, there are at most `root_folder.DEPTH`."""
    way = [(folder, name, (fd := _opened(folder, name)), _without_files(fd))]
    try:
        while way:
            above, own, fd, left = way[-1]
            if left:
                below = left.pop()
                inner = _opened(fd, below)
                way.append((fd, below, inner, []))
                way[-1][3].extend(_without_files(inner))
            else:
                way.pop()
                at.close(fd)
                at.rmdir(own, dir_fd=above)
    finally:
        for _, _, fd, _ in way:
            at.close(fd)


def _opened(folder: int, name: bytes) -> int:
    """A descriptor of a subfolder, whose mode may forbid what we are about to do."""
    at.set_mode(name, 0o700, dir_fd=folder)
    return at.open(name, at.FOLDER, dir_fd=folder)


def _without_files(fd: int) -> list[bytes]:
    """Removes all of a folder but its subfolders, and returns their names. Each can be moved then: that takes the right to write to it."""
    left = []
    for entry in at.listdir(fd):
        name = os.fsencode(entry)
        if stat.S_ISDIR(at.lstat(name, dir_fd=fd).st_mode):
            at.set_mode(name, 0o700, dir_fd=fd)
            left.append(name)
        else:
            at.unlink(name, dir_fd=fd)
    return left
