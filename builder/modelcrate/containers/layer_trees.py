"""Unpacked layers that are kept, and the overlay file system that makes a container's root folder of them.

A tree is what one layer changes in the layers below it. It is kept by the digests of both, so images with equal lower layers share trees,
and a second start unpacks nothing. The layer is unpacked into an overlay over the trees below, so that the kernel itself records what it
removes. Only root may mount an overlay. Elsewhere, and where the kernel or the file system refuses, every container's root is unpacked.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.containers import linux
from modelcrate.containers.processes import is_leftover, own_name
from modelcrate.home.prune import MADE, read_mounts
from modelcrate.images.removal import remove_path
from modelcrate.images.unpack import unpack
from modelcrate_layers.content import Blob, Descriptor, verified
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.records import read_record, write_record

_CHANGES = "changes"
_NEW = ".new"
_SPECIAL = compile_later(r"[,:\\]")
"""What mount(2) reads as the end of a path in the options of an overlay."""

_MAX_OPTIONS = 4000
"""Bytes that the options of a mount may have: a page, with room to spare."""


def make_root(layers: Sequence[Blob], folder: Path, trees: Path | None) -> None:
    """Makes `rootfs` in a container's folder: an overlay over kept trees where this machine can, else unpacked.

    Args:
        layers: The image's layers, the lowest first.
        folder: The container's folder.
        trees: The folder of the kept trees; None for a plain folder.

    Raises:
        IntegrityError: A layer is damaged, hostile or too large.
        MachineError: This machine can't hold it.
    """
    rootfs = folder / "rootfs"
    rootfs.mkdir()
    rootfs.chmod(0o755)
    if trees is None or os.geteuid() != 0 or not _mount_over_trees(layers, folder, trees):
        unpack(layers, rootfs)


def remove_root(folder: Path) -> None:
    """Unmounts and removes `rootfs` of a container's folder, and what the container wrote."""
    _unmount(folder / "rootfs")
    for name in ("rootfs", _CHANGES):
        remove_path(folder / name)


def _mount_over_trees(layers: Sequence[Blob], folder: Path, trees: Path) -> bool:
    trees.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear_leftovers(trees)
    below: list[Path] = []
    key = ""
    for blob in layers:
        key = hashlib.sha256(f"{key} {blob.descriptor.digest}".encode()).hexdigest()
        tree = trees / key
        if not _is_ours(tree) and (tree.exists() or not _unpack_tree(blob, below, tree)):
            return False
        os.utime(tree)  # the time of its last use
        below.insert(0, tree)
    return _mount(below, folder / _CHANGES, folder / "rootfs")


def _is_ours(tree: Path) -> bool:
    """Returns whether a tree was unpacked here. One that came with a copy of the folder is removed, unless it is mounted: its files are anybody's."""
    if tree.is_dir() and read_record(tree.parent, f"{tree.name}{MADE}") is not None:
        return True
    if str(tree).encode() not in read_mounts():
        remove_path(tree)
    return False


def _unpack_tree(blob: Blob, below: Sequence[Path], tree: Path) -> bool:
    """Unpacks one layer over the trees below it, and returns whether this machine could. Nobody sees an unfinished tree."""
    beside = tree.with_name(own_name(_NEW))
    root = beside / "root"
    root.mkdir(parents=True)
    root.chmod(0o755)
    try:
        if below and not _mount(below, beside, root):
            return False
        checked = _Checked(blob.descriptor, verified(blob.chunks(), blob.descriptor))
        unpack([checked], root)
        deque(checked.passing, maxlen=0)  # what follows the end of the archive counts for the digest
        _unmount(root)
        linux.sync_file_system(str(tree.parent))  # or a tree without its bytes would be believed after a crash
        write_record(tree.parent, f"{tree.name}{MADE}", b"")
        try:
            (beside / "upper" if below else root).rename(tree)
        except OSError:  # another process has made the same tree
            return _is_ours(tree)
        return True
    finally:
        _unmount(root)
        remove_path(beside)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A blob whose bytes are held to its digest: what is kept by a digest has to be what the digest says."""

    descriptor: Descriptor
    passing: Iterator[bytes]

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        return self.passing


def _mount(below: Sequence[Path], changes: Path, target: Path) -> bool:
    """Mounts an overlay, with the topmost of `below` first, and returns whether this machine could."""
    upper, work = changes / "upper", changes / "work"
    for each in (upper, work):
        each.mkdir(parents=True)
        each.chmod(0o755)
    paths = [*map(str, below), str(upper), str(work)]
    options = f"lowerdir={':'.join(paths[:-2])},upperdir={upper},workdir={work}"
    if not below or len(options) > _MAX_OPTIONS or any(map(_SPECIAL.search, paths)):
        return False
    for more in (",volatile", ""):  # without volatile, which Linux has since 5.10, an unmount waits for the disk
        with suppress(OSError):
            linux.mount("overlay", str(target), "overlay", 0, options + more)
            return True
    return False


def _unmount(path: Path) -> None:
    with suppress(OSError):  # it is no mount point
        linux.unmount(str(path))


def _clear_leftovers(trees: Path) -> None:
    """Removes what a killed process was unpacking."""
    for path in trees.iterdir():
        if is_leftover(path.name, _NEW):
            _unmount(path / "root")
            remove_path(path)
