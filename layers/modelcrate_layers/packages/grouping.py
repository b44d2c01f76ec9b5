"""Which packages share a layer: a pure plan, the same on every machine.

A package alone is a blob that every project and registry shares, and that is pulled in parallel; but layers are not free (an
engine takes 127 of them, and each costs a request). So the heavy ones go alone and the long tail shares one layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds.conda import CondaLayer
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.packages.venv import PREFIX
from modelcrate_layers.packages.wheel import Wheel

HEAVY = 4 << 20
"""Bytes of a package's file from which on it has a layer of its own: below it, a request costs about as much as the bytes."""

MAX_LAYERS = 24
"""Layers for wheels, the tail's among them, and as many for conda packages: leaves three quarters of an engine's 127 to base, model
and entry."""


class _Package(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...


P = TypeVar("P", bound=_Package)

LARGEST = 2 << 30
"""Bytes of packages from which on they are cut into several layers: proxies limit bodies, and one layer is pulled and unpacked by one thread."""


def group(
    wheels: Iterable[Wheel], python: str, prefix: str = PREFIX, budget: int = MAX_LAYERS, largest: int = LARGEST
) -> tuple[WheelsLayer, ...]:
    """The layers of these wheels, heavy ones first (by name), then the tail. No wheels, no layers. What is larger than `largest` is cut,
    between files, into as many parts as its size says; these are beyond the budget.
    """
    return tuple(
        WheelsLayer(together, python, prefix, *part)
        for together in split(wheels, budget)
        for part in _parts(together, largest)
    )


def group_conda(
    packages: Iterable[CondaPackage],
    python: str,
    prefix: str = PREFIX,
    budget: int = MAX_LAYERS,
    largest: int = LARGEST,
) -> tuple[CondaLayer, ...]:
    """The layers of these conda packages, by the same rules."""
    return tuple(
        CondaLayer(together, python, prefix, *part)
        for together in split(packages, budget)
        for part in _parts(together, largest)
    )


def _parts(together: Sequence[_Package], largest: int) -> Iterator[tuple[int, int]]:
    """Each part's number, and how many there are."""
    parts = max(1, -(-sum(each.size for each in together) // largest))
    return ((part, parts) for part in range(parts))


def split(packages: Iterable[P], budget: int) -> tuple[tuple[P, ...], ...]:
    """Heavy packages alone (by name), then the rest together.

    Stable: another small package changes the tail only, another heavy one adds a layer. Over the budget, the lightest
    of the heavy join the tail.
    """
    if budget < 1:
        raise UserError(f"not a number of layers: {budget}", hint="at least one")
    by_size = sorted(set(packages), key=lambda each: (-each.size, each.name, each.sha256))
    alone = [each for each in by_size if each.size >= HEAVY]
    if len(alone) > budget or (len(alone) == budget and len(alone) < len(by_size)):
        alone = alone[: budget - 1]
    tail = by_size[len(alone) :]
    layers = tuple((each,) for each in sorted(alone, key=_order))
    return (*layers, tuple(sorted(tail, key=_order))) if tail else layers


def _order(each: _Package) -> tuple[str, str]:
    return each.name, each.sha256
