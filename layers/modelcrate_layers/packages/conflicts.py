"""Files that several packages of one image own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from modelcrate_layers.errors import UserError
from modelcrate_layers.tar.sources import ZipMember, sha256
from modelcrate_layers.tar.tree import Entry, Kind, show


class Owned(NamedTuple):
    """An entry and the package that installs it, by name and version."""

    owner: str
    entry: Entry


def merge(installed: Iterable[Owned]) -> dict[bytes, Owned]:
    """Returns what is installed, by path. The same bytes from two packages are one file, executable if it is in one of them.

    Raises:
        UserError: Two packages own one path with different bytes.
    """
    found: dict[bytes, Owned] = {}
    for each in installed:
        first = found.setdefault(each.entry.path, each)
        if first is each:
            continue
        if not _same(first.entry, each.entry):
            raise _conflict(each.entry.path, first.owner, each.owner, "and not with the same bytes")
        found[each.entry.path] = Owned(first.owner, first.entry._replace(mode=first.entry.mode | each.entry.mode))
    return found


def check(installed: Iterable[Owned]) -> None:
    """Checks all packages of an image, whatever layers they are in: a layer would silently cover a file of another.

    Raises:
        UserError: Two packages own one path with different bytes, or a file of the one is a folder of the other.
    """
    found = merge(installed)
    for path, (owner, _) in found.items():
        parent = path.rpartition(b"/")[0]
        while parent:
            if parent in found and found[parent].entry.kind is not Kind.DIRECTORY:
                raise _conflict(parent, found[parent].owner, owner, "a file of the one is a folder of the other")
            parent = parent.rpartition(b"/")[0]


def _same(one: Entry, other: Entry) -> bool:
    a, b = one.source, other.source
    if a is None or b is None:
        return one == other
    if a.size != b.size or (isinstance(a, ZipMember) and isinstance(b, ZipMember) and a.crc != b.crc):
        return False
    return sha256(a) == sha256(b)


def _conflict(path: bytes, one: str, other: str, why: str) -> UserError:
    return UserError(
        f"{one} and {other} both own /{show(path)}" if one != other else f"{one} has /{show(path)} twice",
        why=why,
        hint="leave one of the two out, or take a version that doesn't bring the file",
    )
