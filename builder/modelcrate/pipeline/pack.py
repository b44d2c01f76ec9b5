"""Measures the layers that are not known yet, several at once, and finds the source of the bytes of every layer.

A pass over a recipe has a sink. What cost a compression to make is kept in the store. A user's own model is not, for it is on the
disk already and may be larger than the rest of the disk; nor is a spliced layer, whose bytes are in the packages.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

from modelcrate.config import Config
from modelcrate.events import Emit, Event, TrackedChunks
from modelcrate.images.blobs import DeferredBlob, FetchPackages
from modelcrate.images.image import ImageLayer, Origin
from modelcrate.images.previous import Previous
from modelcrate.images.sinks import Discard, EarlyUpload, Sink, StoreSink
from modelcrate.pipeline.hash_tee import HashTee
from modelcrate.pipeline.plan import STORED_ROLES, Plan, PlannedLayer, choose_codec, is_kept
from modelcrate.pipeline.reuse import still_exists
from modelcrate_layers.content import Blob, Digest
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.layer_cache import LayerCache, settled
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.recipe import Layer, Measuring, Recipe, RecipeBlob
from modelcrate_layers.tar.writer import Tar


@dataclass(frozen=True, slots=True)
class PackTargets:
    """The sinks for the bytes of a build's layers.

    `models` gets the model layers. `kept` gets the other layers that are made; by default it is the store. `ahead` uploads kept layers
    while others are still made. `hashes` computes hashes of the model files as they pass.
    """

    models: Sink = field(default_factory=Discard)
    kept: Sink | None = None
    ahead: EarlyUpload | None = None
    hashes: HashTee | None = None

    def take(self, planned: PlannedLayer, measuring: Measuring, store: Layout) -> Layer:
        """Writes a layer to the sink of its role and returns the measured layer."""
        if planned.role not in STORED_ROLES:
            return self.models.take(measuring)
        kept = StoreSink(store) if is_kept(planned.role, measuring.codec) else Discard()
        return (self.kept or kept).take(measuring)

    def hashed(self, planned: PlannedLayer, tar: Tar) -> Tar:
        """Returns the tar of a layer; that of a model is hashed as it passes, where `hashes` is set."""
        return tar if self.hashes is None or planned.role in STORED_ROLES else self.hashes.over(tar)


DEFAULT_TARGETS = PackTargets()
"""Models are measured, the rest is kept in the store."""


@dataclass(frozen=True, slots=True)
class Packer:
    """The means by which one build makes its layers.

    `fetch` fetches the packages of a layer. A layer of files that a `previous` image has is taken from that image, with the bytes as they
    are stored. `facts` are read once more before a keyed layer is made, because another build may have made it meanwhile.
    """

    config: Config
    store: Layout
    fetch: FetchPackages
    emit: Emit
    sinks: PackTargets = DEFAULT_TARGETS
    previous: Sequence[Previous] = ()
    facts: LayerCache | None = None

    def pack(self, plans: Sequence[Plan], check: Callable[[], None] | None = None) -> list[tuple[ImageLayer, ...]]:
        """All layers of the images, lowest first; what several of them share is made once.

        `check` looks at the inputs of all layers together, beside the first that are made. What it raises stops them, and what any of
        them raises stops the others; nothing is sent ahead before it has ended well.
        """
        wanted: dict[Digest, PlannedLayer] = {}
        for each in (each for plan in plans for each in plan.layers):
            if (
                each.cache_key not in wanted or wanted[each.cache_key].new
            ):  # one that another image has need not be made
                wanted[each.cache_key] = each
        made = {key: self._made(each) for key, each in wanted.items() if not each.new}
        made |= self._together([each for each in wanted.values() if each.new], check)
        return [(*plan.base, *(made[each.cache_key] for each in plan.layers)) for plan in plans]

    def _together(self, wanted: Sequence[PlannedLayer], check: Callable[[], None] | None) -> dict[Digest, ImageLayer]:
        """Makes layers, several at once; the largest first, so that a large one does not run alone at the end.

        Layers that are kept use the processors, one each: with more at once, they take turns with the largest, and all wait for that one
        in the end. A model may wait for its sink, so models run in addition to them.
        """
        if not wanted:
            return {}
        from concurrent.futures import ThreadPoolExecutor, as_completed

        made: dict[Digest, ImageLayer] = {}
        stop = threading.Event()
        packer = replace(self, emit=_unless(stop, self.emit))
        workers = self.config.workers
        busy = min(workers, os.cpu_count() or 1)
        with ThreadPoolExecutor(busy, "pack") as packing, ThreadPoolExecutor(workers, "pass") as passing:
            waiting = {
                (packing if each.role in STORED_ROLES else passing).submit(packer._made, each): each
                for each in sorted(wanted, key=_last)
            }
            try:
                if check is not None:
                    check()
                for done in as_completed(waiting):
                    planned, layer = waiting[done], done.result()
                    made[planned.cache_key] = layer
                    if self.sinks.ahead is not None and planned.role in STORED_ROLES and layer.origin == "built":
                        self.sinks.ahead.begin(layer.blob)
            except BaseException:
                stop.set()
                for pool in (packing, passing):
                    pool.shutdown(wait=False, cancel_futures=True)
                raise
        return made

    def _made(self, planned: PlannedLayer) -> ImageLayer:
        """A layer that was made, or the same one of an earlier image, if it is still there."""
        layer = self._layer(planned)
        if layer.origin != "built" or layer.key is not None:
            return layer
        for each in self.previous:
            taken = each.by_diff_id(layer.layer.diff_id, layer.layer.codec)
            if taken is not None and still_exists(taken):
                return _taken(taken, planned, layer.layer.inputs, f"same bytes as in {each.where}")
        return layer

    def _layer(self, planned: PlannedLayer) -> ImageLayer:
        if planned.key is None or planned.known is not None or self.facts is None:
            return self._new(planned)
        with self.facts.making(planned.cache_key):
            known = self.facts.get(planned.cache_key)
            if known is not None and is_kept(planned.role, known.codec) and not self.store.intact(known.descriptor):
                known = None
            why = "made by another build meanwhile" if known else planned.why
            return self._new(replace(planned, known=known, why=why))

    def _new(self, planned: PlannedLayer) -> ImageLayer:
        known, store = planned.known, self.store
        if (existing := planned.kind.materials().existing) is not None:
            return ImageLayer(planned.role, planned.name, *existing, "reused", planned.why)
        if planned.taken is not None:
            return _taken(planned.taken, planned, planned.kind.inputs(), planned.why)
        if known is not None:
            return _placed(planned, known, DeferredBlob(store, known, planned.kind, self.fetch))
        self.fetch(planned.kind)
        begun = time.time_ns()
        tree = planned.kind.tree()
        choice = choose_codec(planned.policy, tree, deflated=planned.kind.materials().deflated)
        recipe = Recipe.of(tree, choice.codec)
        tar, label, size = self.sinks.hashed(planned, recipe.tar), f"{planned.role}: {planned.name}", recipe.tar.size
        measuring = Measuring.of(recipe, TrackedChunks(tar, label, size, self.emit), size)
        measuring.key, measuring.label = str(planned.cache_key), label
        layer = replace(self.sinks.take(planned, measuring, store), inputs=planned.kind.inputs())
        files = planned.kind.materials().files
        if planned.key is not None or settled(
            (*tree.entries, *files), begun
        ):  # stamps that can't be trusted are not remembered
            self.config.layer_cache.put(planned.cache_key, layer)
        if is_kept(planned.role, layer.codec):
            return _placed(planned, layer, DeferredBlob(store, layer, planned.kind, self.fetch))
        return _placed(planned, layer, RecipeBlob(recipe, layer))


def _last(planned: PlannedLayer) -> int:
    """To sort layers by how soon they are begun."""
    return -planned.kind.materials().size


def _unless(stop: threading.Event, emit: Emit) -> Emit:
    """Returns an `emit` that raises once the build is stopped."""

    def emit_unless_stopped(event: Event) -> None:
        if stop.is_set():
            raise CrateError("something else of the same build has failed")
        emit(event)

    return emit_unless_stopped


def _taken(layer: ImageLayer, planned: PlannedLayer, inputs: tuple[str, ...], why: str) -> ImageLayer:
    """Returns a layer of an earlier image as one of this build: its bytes with our names and inputs. Its own inputs may be shortened."""
    facts = replace(layer.layer, inputs=inputs)
    return ImageLayer(planned.role, planned.name, facts, layer.blob, "reused", why, planned.key)


def _placed(planned: PlannedLayer, layer: Layer, blob: Blob) -> ImageLayer:
    origin: Origin = "built" if planned.known is None else "known"
    return ImageLayer(planned.role, planned.name, layer, blob, origin, planned.why, planned.key)
