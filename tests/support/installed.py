"""A tree as files on disk, the way an engine would unpack its layers, and folders as values to compare."""

from __future__ import annotations

import stat
from pathlib import Path

from modelcrate_layers.tar import sources
from modelcrate_layers.tar.tree import Kind, Tree


def unpack(tree: Tree, root: Path) -> None:
    """Our own trees only: nothing here defends itself."""
    for entry in tree.entries:
        path = root / entry.path.decode()
        if entry.kind is Kind.DIRECTORY:
            path.mkdir(parents=True, exist_ok=True)
        elif entry.kind is Kind.SYMLINK:
            path.symlink_to(entry.link.decode())
        else:
            assert entry.source is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sources.read(entry.source))
        if entry.kind is not Kind.SYMLINK:
            path.chmod(entry.mode)


def contents(tree: Tree) -> dict[str, tuple[bytes, bool]]:
    """Path to bytes and whether they are executable, of the files of a tree."""
    return {
        entry.path.decode(): (sources.read(entry.source), bool(entry.mode & 0o100))
        for entry in tree.entries
        if entry.source is not None
    }


def listed(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """The same of a folder on disk; links are left out."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
