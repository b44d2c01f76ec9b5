"""Decides which packages share a layer: a pure plan over names and sizes, the same on every machine.

A package in a layer of its own is a blob that every project and registry shares, and that is pulled in parallel. But layers are not free:
an engine takes 127 of them, and each costs a request. So heavy packages get a layer of their own, and all light ones share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from modelcrate_layers.errors import UserError
from modelcrate_layers.packages.pinned import Package

HEAVY = 4 << 20
"""Bytes of a package's file from which on it has a layer of its own: below it, a request costs about as much as the bytes."""

MAX_LAYERS = 24
"""Layers for packages of one kind. The kinds together leave more than half of an engine's 127 to base, model and entry."""

LARGEST = 2 << 30
"""Bytes of packages from which on a layer is split: proxies limit request bodies, and one layer is pulled and unpacked by one thread."""

P = TypeVar("P", bound=Package)


class Group(NamedTuple, Generic[P]):
    """Packages that share a layer; or one part of their files, where they are too large for one layer. Parts are counted from 0."""

    packages: tuple[P, ...]
    part: int = 0
    parts: int = 1


def group(
    packages: Iterable[P], budget: int = MAX_LAYERS, largest: int = LARGEST, heavy: int = HEAVY
) -> Iterator[Group[P]]:
    """Yields the groups, the heavy packages first, by name; then the light ones together.

    Args:
        packages: In any order, which decides nothing.
        budget: The most groups. Splitting adds parts beyond it.
        largest: Bytes of packages from which on a group is split into parts.
        heavy: Bytes of a package from which on it has a layer of its own.
    """
    for together in _budgeted(packages, budget, heavy):
        parts = max(1, -(-sum(each.size for each in together) // largest))
        yield from (Group(together, part, parts) for part in range(parts))


def _budgeted(packages: Iterable[P], budget: int, least: int) -> tuple[tuple[P, ...], ...]:
    """The same plan without parts.

    Stable: another light package changes the last group only, another heavy one adds a group. Over the budget, the lightest
    of the heavy join the light ones.
    """
    if budget < 1:
        raise UserError(f"not a number of layers: {budget}", hint="at least one")
    by_size = sorted(set(packages), key=lambda each: (-each.size, each.name, each.sha256))
    heavy = [each for each in by_size if each.size >= least]
    if len(heavy) > budget or (len(heavy) == budget and len(heavy) < len(by_size)):
        heavy = heavy[: budget - 1]
    light = by_size[len(heavy) :]
    groups = tuple((each,) for each in sorted(heavy, key=_order))
    return (*groups, tuple(sorted(light, key=_order))) if light else groups


def _order(each: Package) -> tuple[str, str]:
    return each.name, each.sha256
