"""Packages in the cache, checked against their pinned hashes, and what is unpacked of them beside them.

A cache may be damaged, or be one that others can write: bytes out of it decide a layer only if they have the hash of the lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from modelcrate_layers import host
from modelcrate_layers.atomic import clear, incoming, write_unsynced
from modelcrate_layers.content import canonical_json
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.sources import FileRange, Stamp, sha256

_HASHED: dict[str, tuple[Stamp, str]] = {}
"""The files that this process has hashed, with the stamps that they had then."""

_MAX_HASHED = 65536


def hash_file(path: str | os.PathLike[str]) -> tuple[Stamp, str]:
    """Returns the stamp and the SHA-256 of a file. It is hashed once in a process, as long as its stamp stays the same.

    Raises:
        SourceError: It is missing, no regular file, or can't be read.
    """
    whole = FileRange.of_file(os.fspath(path))
    known = _HASHED.get(whole.path)
    if known is None or known[0] != whole.stamp:
        if len(_HASHED) >= _MAX_HASHED:
            _HASHED.clear()
        known = _HASHED[whole.path] = whole.stamp, sha256(whole)
    return known


def check_hash(package: Package) -> Stamp:
    """Hashes a package, and returns the stamp of the file that was hashed: what is read of it later has to have the same.

    Raises:
        SourceError: The file is missing or can't be read.
        IntegrityError: It has another hash than the one that is pinned.
    """
    stamp, found = hash_file(package.path)
    if found != package.sha256:
        raise IntegrityError(
            f"the package {package.name} {package.version} is not what was pinned: "
            f"wanted sha256 {package.sha256}, found {found}",
            where=os.fspath(package.path),
            hint="remove this file; it will be fetched again",
        )
    return stamp


def is_damaged(path: str | os.PathLike[str], digest: str) -> bool:
    """Returns whether something is at a place and has another SHA-256."""
    try:
        return hash_file(path)[1] != digest
    except SourceError:
        return os.path.lexists(path)


def unpack(package: Package, parts: Mapping[Path, Iterable[bytes]]) -> None:
    """Writes parts of a package beside it, unless they are there since an earlier build.

    A part is valid as long as it has the stamp that it had when it was written, which a note beside it has. Neither can be made
    elsewhere, for the stamp has the inode and the change time.

    Args:
        package: The package, which is held to its hash in any case.
        parts: The bytes by the places where they go. They are read only where they are needed.
    """
    path = Path(package.path)
    check_hash(package)
    if all(_believed(package, place) for place in parts):
        return
    with as_machine_error(path.parent), open(path, "rb") as lock:
        host.lock(lock.fileno())  # another thread or process may do the same
        for place, chunks in parts.items():
            if not _believed(package, place):
                clear(place)
                with incoming(path.parent) as out:
                    for chunk in chunks:
                        out.write(chunk)
                    out.keep(place)
                write_unsynced(_note(place), _sealed(package, place))


def _believed(package: Package, place: Path) -> bool:
    with suppress(OSError, SourceError), open_named_file(_note(place)) as note:
        return note.read() == _sealed(package, place)
    return False


def _note(place: Path) -> Path:
    return place.with_name(place.name + ".stamp")


def _sealed(package: Package, place: Path) -> bytes:
    return canonical_json([package.sha256, *FileRange.of_file(str(place)).stamp])
