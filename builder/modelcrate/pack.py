"""Measure the layers that nobody knows yet, several at once, and say for every layer where its bytes are to be had.

A pass over a recipe has a sink. What cost a download or a compression to make is kept in the store; a user's own model
is not, for it is on the disk already and may be larger than the rest of the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from modelcrate.events import Emit, silent, watched
from modelcrate.image import ImageLayer, Origin
from modelcrate.plan import Plan, Planned, choose
from modelcrate.settings import Settings
from modelcrate_layers.content import Blob, Descriptor
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.memo import settled
from modelcrate_layers.recipe import Layer, Measuring, Recipe, RecipeBlob

KEPT = frozenset({"base", "dependencies", "entry"})
"""Roles whose layers are kept in the store when they were made."""

Supply = Callable[[LayerKind], None]
"""Fetches what a kind needs before its tree can be made: packages that are not in the cache."""


class Sink(Protocol):
    """Where the bytes of a pass go: the store, or an output that can take bytes whose digest it learns at the end."""

    def take(self, measuring: Measuring) -> Layer: ...


@dataclass(frozen=True, slots=True)
class Nowhere:
    """The sink of bytes that are only measured."""

    def take(self, measuring: Measuring) -> Layer:
        for _ in measuring:
            pass
        return measuring.layer


@dataclass(frozen=True, slots=True)
class DeferredBlob:
    """A known layer whose bytes are nowhere: its inputs are fetched and its recipe made when somebody asks for them."""

    layer: Layer
    kind: LayerKind = field(repr=False)
    supply: Supply = field(repr=False)

    @property
    def descriptor(self) -> Descriptor:
        return self.layer.descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        self.supply(self.kind)
        return RecipeBlob(Recipe(self.kind.tree(), self.layer.codec), self.layer).chunks(start)


def pack(
    plan: Plan, settings: Settings, supply: Supply, emit: Emit, models: Sink | None = None
) -> tuple[ImageLayer, ...]:
    """All layers of the image, lowest first. `models` is the sink of model layers; without one they are only measured."""
    with ThreadPoolExecutor(settings.workers, "pack") as pool:
        waiting = [pool.submit(_layer, each, settings, supply, emit, models or Nowhere()) for each in plan.layers]
        try:
            made = tuple(each.result() for each in waiting)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return (*plan.base, *made)


def _layer(planned: Planned, settings: Settings, supply: Supply, emit: Emit, models: Sink) -> ImageLayer:
    known = planned.known
    if known is not None:
        return _placed(planned, known, _stored(known, settings) or DeferredBlob(known, planned.kind, supply))
    supply(planned.kind)
    begun = time.time_ns()
    tree = planned.tree or planned.kind.tree()
    recipe = Recipe(tree, choose(planned.policy, tree))
    sink: Sink = settings.store if planned.role in KEPT else models
    measuring = _Watched.of(recipe)
    measuring.label, measuring.emit = f"{planned.role}: {planned.name}", emit
    layer = sink.take(measuring)
    if planned.key is not None or settled(tree, begun):  # stamps that can't be trusted are not remembered
        settings.memo.put(planned.fact, layer)
    return _placed(planned, layer, _stored(layer, settings) or RecipeBlob(recipe, layer))


def _stored(layer: Layer, settings: Settings) -> Blob | None:
    store = settings.store
    return store.blob(layer.descriptor) if store.has(layer.descriptor) else None


def _placed(planned: Planned, layer: Layer, blob: Blob) -> ImageLayer:
    origin: Origin = "built" if planned.known is None else "known"
    return ImageLayer(planned.role, planned.name, layer, blob, origin, planned.why, planned.key)


class _Watched(Measuring):
    """A pass that is told of."""

    label = ""
    emit: Emit = staticmethod(silent)

    def __iter__(self) -> Iterator[bytes]:
        return watched(super().__iter__(), self.label, self.length, self.emit)
