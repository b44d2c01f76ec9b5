"""Measure the layers that nobody knows yet, several at once, and say for every layer where its bytes are to be had.

A pass over a recipe has a sink. What cost a download or a compression to make is kept in the store; a user's own model
is not, for it is on the disk already and may be larger than the rest of the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Protocol, runtime_checkable

from modelcrate.events import Emit, Watched
from modelcrate.hashes import Hashes
from modelcrate.image import ImageLayer, Origin
from modelcrate.plan import Plan, Planned, choose
from modelcrate.reuse import Previous, still_there
from modelcrate.settings import Settings
from modelcrate_layers.content import Blob, Descriptor, Digest
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.memo import Memo, settled
from modelcrate_layers.recipe import Layer, Measuring, Recipe, RecipeBlob
from modelcrate_layers.store import Layout
from modelcrate_layers.tar import Tar
from modelcrate_layers.value import dataclass

KEPT = frozenset({"base", "dependencies", "server", "entry"})
"""Roles whose layers are kept in the store when they were made."""

Supply = Callable[[LayerKind], None]
"""Fetches what a kind needs before its tree can be made: packages that are not in the cache."""


@runtime_checkable
class Sink(Protocol):
    """Where the bytes of a pass go: nowhere, the store, or an output that takes bytes whose digest it learns at the end."""

    def take(self, measuring: Measuring) -> Layer: ...


@dataclass(frozen=True, slots=True)
class Nowhere:
    """For bytes that are only measured."""

    def take(self, measuring: Measuring) -> Layer:
        for _ in measuring:
            pass
        return measuring.layer


@dataclass(frozen=True, slots=True)
class Kept:
    """For bytes that are kept in the store."""

    store: Layout

    def take(self, measuring: Measuring) -> Layer:
        self.store.take(measuring, lambda: measuring.descriptor)
        return measuring.layer


@runtime_checkable
class Ahead(Protocol):
    """An output that begins to take blobs before it is given the image that they are of."""

    def begin(self, blob: Blob) -> None: ...


@dataclass(frozen=True, slots=True)
class KeptAndSent:
    """For bytes that are kept in the store, and sent from there while other layers are still made."""

    store: Layout
    output: Ahead

    def take(self, measuring: Measuring) -> Layer:
        layer = Kept(self.store).take(measuring)
        self.output.begin(self.store.blob(layer.descriptor))
        return layer


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where the bytes of a build's passes go: those of `models`, and those of the other layers that are made (`kept`: into the store,
    where nobody else is named). `hashes` hear models pass.
    """

    models: Sink = field(default_factory=Nowhere)
    kept: Sink | None = None
    hashes: Hashes | None = None

    def take(self, planned: Planned, measuring: Measuring, store: Layout) -> Layer:
        sink = (self.kept or Kept(store)) if planned.role in KEPT else self.models
        return sink.take(measuring)

    def heard(self, planned: Planned, tar: Tar) -> Tar:
        """The tar of a layer, with whoever listens to it."""
        return tar if self.hashes is None or planned.role in KEPT else self.hashes.over(tar)


USUAL = Sinks()
"""Models are measured, the rest is kept in the store."""


@dataclass(frozen=True, slots=True)
class DeferredBlob:
    """A known layer. Its bytes are in the store; where they are not, or not any more, its inputs are fetched and its recipe made again."""

    store: Layout
    layer: Layer
    kind: LayerKind = field(repr=False)
    supply: Supply = field(repr=False)

    @property
    def descriptor(self) -> Descriptor:
        return self.layer.descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        if self.store.has(self.descriptor):
            yield from self.store.blob(self.descriptor).chunks(start)
            return
        self.supply(self.kind)
        yield from RecipeBlob(Recipe(self.kind.tree(), self.layer.codec), self.layer).chunks(start)


def pack(
    plans: Sequence[Plan],
    settings: Settings,
    supply: Supply,
    emit: Emit,
    sinks: Sinks,
    previous: Sequence[Previous] = (),
    facts: Memo | None = None,
) -> list[tuple[ImageLayer, ...]]:
    """All layers of the images, lowest first; what several platforms share is made once.

    A layer of files that turns out to be one of a `previous` image is taken over from there, with the bytes as they are stored there.
    `facts` are asked once more before a keyed layer is made, for another build may have made it meanwhile.
    """
    wanted = {each.fact: each for plan in plans for each in plan.layers}

    def make(planned: Planned) -> ImageLayer:
        return _made(planned, settings, supply, sinks, emit, previous, facts)

    made = {fact: make(each) for fact, each in wanted.items() if not each.new}
    made |= _together(make, {fact: each for fact, each in wanted.items() if each.new}, settings.workers)
    return [(*plan.base, *(made[each.fact] for each in plan.layers)) for plan in plans]


def _together(
    make: Callable[[Planned], ImageLayer], wanted: Mapping[Digest, Planned], workers: int
) -> dict[Digest, ImageLayer]:
    """Those that have work to do, several at once."""
    if not wanted:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers, "pack") as pool:
        waiting = {fact: pool.submit(make, each) for fact, each in wanted.items()}
        try:
            return {fact: each.result() for fact, each in waiting.items()}
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _made(
    planned: Planned,
    settings: Settings,
    supply: Supply,
    sinks: Sinks,
    emit: Emit,
    previous: Sequence[Previous],
    facts: Memo | None,
) -> ImageLayer:
    """A layer that was made, or the same one of an earlier image, if it is still there."""
    layer = _layer(planned, settings, supply, sinks, emit, facts)
    if layer.origin != "built" or layer.key is not None:
        return layer
    for each in previous:
        taken = each.by_diff_id(layer.layer.diff_id, layer.layer.codec.name)
        if taken is not None and still_there(taken):
            return _taken(taken, planned, layer.layer.inputs, f"same bytes as in {each.where}")
    return layer


def _layer(
    planned: Planned, settings: Settings, supply: Supply, sinks: Sinks, emit: Emit, facts: Memo | None
) -> ImageLayer:
    if planned.key is None or planned.known is not None or facts is None:
        return _new(planned, settings, supply, sinks, emit)
    with facts.making(planned.fact):
        known = facts.get(planned.fact)
        why = "made by another build meanwhile" if known else planned.why
        return _new(replace(planned, known=known, why=why), settings, supply, sinks, emit)


def _new(planned: Planned, settings: Settings, supply: Supply, sinks: Sinks, emit: Emit) -> ImageLayer:
    known = planned.known
    if isinstance(planned.kind, ReadyLayer):
        return ImageLayer(planned.role, planned.name, planned.kind.layer, planned.kind.blob, "reused", planned.why)
    if planned.taken is not None:
        return _taken(planned.taken, planned, planned.kind.inputs(), planned.why)
    if known is not None:
        return _placed(planned, known, DeferredBlob(settings.store, known, planned.kind, supply))
    supply(planned.kind)
    begun = time.time_ns()
    tree = planned.kind.tree()
    recipe = Recipe(tree, choose(planned.policy, tree).codec)
    size = recipe.tar.size
    told = Watched(sinks.heard(planned, recipe.tar), f"{planned.role}: {planned.name}", size, emit)
    measuring = Measuring(told, recipe.codec, size)
    measuring.key = str(planned.fact)
    layer = replace(sinks.take(planned, measuring, settings.store), inputs=planned.kind.inputs())
    if planned.key is not None or settled(tree.entries, begun):  # stamps that can't be trusted are not remembered
        settings.memo.put(planned.fact, layer)
    if planned.role in KEPT:
        return _placed(planned, layer, DeferredBlob(settings.store, layer, planned.kind, supply))
    return _placed(planned, layer, RecipeBlob(recipe, layer))


def _taken(layer: ImageLayer, planned: Planned, inputs: tuple[str, ...], why: str) -> ImageLayer:
    """Somebody's layer as ours: its bytes, our words. What it says of its inputs was cut to travel, and would be cut again."""
    facts = replace(layer.layer, inputs=inputs)
    return ImageLayer(planned.role, planned.name, facts, layer.blob, "reused", why, planned.key)


def _placed(planned: Planned, layer: Layer, blob: Blob) -> ImageLayer:
    origin: Origin = "built" if planned.known is None else "known"
    return ImageLayer(planned.role, planned.name, layer, blob, origin, planned.why, planned.key)
