"""Measure the layers that nobody knows yet, several at once, and say for every layer where its bytes are to be had.

A pass over a recipe has a sink. What cost a download or a compression to make is kept in the store; a user's own model
is not, for it is on the disk already and may be larger than the rest of the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from modelcrate.events import Emit, watched
from modelcrate.image import ImageLayer, Origin
from modelcrate.plan import Plan, Planned, choose
from modelcrate.settings import Settings
from modelcrate_layers.content import Blob, Descriptor
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.memo import settled
from modelcrate_layers.recipe import Layer, Measuring, Recipe, RecipeBlob
from modelcrate_layers.store import Layout

KEPT = frozenset({"base", "dependencies", "entry"})
"""Roles whose layers are kept in the store when they were made."""

Supply = Callable[[LayerKind], None]
"""Fetches what a kind needs before its tree can be made: packages that are not in the cache."""


@runtime_checkable
class Sink(Protocol):
    """Where the bytes of a pass go: nowhere, the store, or an output that takes bytes whose digest it learns at the end."""

    def take(self, measuring: Measuring, label: str) -> Layer: ...


@dataclass(frozen=True, slots=True)
class Nowhere:
    """For bytes that are only measured."""

    emit: Emit

    def take(self, measuring: Measuring, label: str) -> Layer:
        for _ in watched(measuring, label, measuring.length, self.emit):
            pass
        return measuring.layer


@dataclass(frozen=True, slots=True)
class Kept:
    """For bytes that are kept in the store."""

    store: Layout
    emit: Emit

    def take(self, measuring: Measuring, label: str) -> Layer:
        self.store.take(watched(measuring, label, measuring.length, self.emit), lambda: measuring.descriptor)
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
    plans: Sequence[Plan], settings: Settings, supply: Supply, emit: Emit, models: Sink | None = None
) -> list[tuple[ImageLayer, ...]]:
    """All layers of the images, lowest first; what several platforms share is made once.

    `models` takes model layers while they are measured; without it they are only measured.
    """
    wanted = {each.fact: each for plan in plans for each in plan.layers}
    sinks = {True: Kept(settings.store, emit), False: models or Nowhere(emit)}
    with ThreadPoolExecutor(settings.workers, "pack") as pool:
        waiting = {
            fact: pool.submit(_layer, each, settings, supply, sinks[each.role in KEPT]) for fact, each in wanted.items()
        }
        try:
            made = {fact: each.result() for fact, each in waiting.items()}
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [(*plan.base, *(made[each.fact] for each in plan.layers)) for plan in plans]


def _layer(planned: Planned, settings: Settings, supply: Supply, sink: Sink) -> ImageLayer:
    known = planned.known
    if isinstance(planned.kind, ReadyLayer):
        return ImageLayer(planned.role, planned.name, planned.kind.layer, planned.kind.blob, "reused", planned.why)
    if known is not None:
        return _placed(planned, known, _stored(known, settings) or DeferredBlob(known, planned.kind, supply))
    supply(planned.kind)
    begun = time.time_ns()
    tree = planned.tree or planned.kind.tree()
    recipe = Recipe(tree, choose(planned.policy, tree))
    measuring = Measuring.of(recipe)
    measuring.key = str(planned.fact)
    layer = sink.take(measuring, f"{planned.role}: {planned.name}")
    if planned.key is not None or settled(tree, begun):  # stamps that can't be trusted are not remembered
        settings.memo.put(planned.fact, layer)
    return _placed(planned, layer, _stored(layer, settings) or RecipeBlob(recipe, layer))


def _stored(layer: Layer, settings: Settings) -> Blob | None:
    store = settings.store
    return store.blob(layer.descriptor) if store.has(layer.descriptor) else None


def _placed(planned: Planned, layer: Layer, blob: Blob) -> ImageLayer:
    origin: Origin = "built" if planned.known is None else "known"
    return ImageLayer(planned.role, planned.name, layer, blob, origin, planned.why, planned.key)
