"""A layer of packages that is too large for one, cut into several between its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelcrate_layers.tar.sources import ZipMember
from modelcrate_layers.tar.tree import Entry


def split_entries(entries: Sequence[Entry], part: int, parts: int) -> Iterator[Entry]:
    """Yields the files whose middle is in this part of all their bytes, as their package has packed them. Files are not cut.

    Parts are counted from 0. All of them together have every entry once.
    """
    weights = [each.source.packed if isinstance(each.source, ZipMember) else each.size for each in entries]
    total, before = max(1, sum(weights)), 0
    for entry, weight in zip(entries, weights, strict=True):
        if min(parts - 1, (2 * before + weight) * parts // (2 * total)) == part:
            yield entry
        before += weight


def part_title(name: str, part: int, parts: int) -> str:
    """Returns the name of a layer, which says that it is a part, if it is one."""
    return f"{name} part {part + 1} of {parts}" if parts > 1 else name
