"""Measures the layers that are not known yet, several at once, and finds the source of the bytes of every layer.

A pass over a recipe has a sink. What cost a compression to make is kept in the store. A user's own model is not, for it is on the
disk already and may be larger than the rest of the disk; nor is a spliced layer, whose bytes are in the packages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from modelcrate.config import Config
from modelcrate.events import Emit, TrackedChunks
from modelcrate.images.blobs import DeferredBlob, FetchPackages
from modelcrate.images.image import Deliverable, ImageLayer, Origin
from modelcrate.images.previous import Previous
from modelcrate.images.sinks import Discard, EarlyUpload, Place, PlacingOutput, Sink, StoreSink
from modelcrate.pipeline.crew import Crew
from modelcrate.pipeline.hash_tee import HashTee
from modelcrate.pipeline.plan import STORED_ROLES, Plan, PlannedLayer, choose_codec, is_kept
from modelcrate.pipeline.reuse import still_exists
from modelcrate_layers.content import Blob, Descriptor, Digest
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.layer_cache import LayerCache, settled
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.recipe import Layer, Measuring, Recipe, RecipeBlob
from modelcrate_layers.tar.writer import Tar

Packed = Sequence[tuple[ImageLayer, ...]]
"""The layers of each image, lowest first."""


@dataclass(frozen=True, slots=True)
class Places:
    """An output with room for tars, and how the image is made of which it has to know the size."""

    output: PlacingOutput
    assemble: Callable[[Packed], Deliverable]

    def reserve(self, expected: Packed) -> Mapping[Digest, Place]:
        """Returns the places of tars by their diff ids. `expected` are the layers as they will be, but for digests."""
        return self.output.reserve(self.assemble(expected))


@dataclass(frozen=True, slots=True)
class PackTargets:
    """The sinks for the bytes of a build's layers.

    `models` gets the model layers. `kept` gets the other layers that are made; by default it is the store. `ahead` uploads kept layers
    while others are still made. `hashes` computes hashes of the model files as they pass. `places` gets the tars of layers, whatever
    sink these have.
    """

    models: Sink = field(default_factory=Discard)
    kept: Sink | None = None
    ahead: EarlyUpload | None = None
    hashes: HashTee | None = None
    places: Places | None = None

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
class Draft:
    """A layer before its bytes are read.

    `begun` is when its files were looked at, in nanoseconds. `place` is where its tar goes, beside its sink.
    """

    planned: PlannedLayer
    recipe: Recipe = field(repr=False)
    inputs: tuple[str, ...]
    begun: int
    place: Place | None = None

    @property
    def layer(self) -> ImageLayer:
        """The layer as it will be, but for digests, and for the length of what is stored where that is no plain tar."""
        diff_id, size, codec = Digest.of(str(self.planned.cache_key).encode()), self.recipe.tar.size, self.recipe.codec
        stored = diff_id if codec == NONE else Digest.of(str(diff_id).encode())
        layer = Layer(Descriptor(codec.media_type, stored, size), diff_id, size, codec, self.inputs)
        return _placed(self.planned, layer, RecipeBlob(self.recipe, layer))


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
        if new := sorted((each for each in wanted.values() if each.new), key=_last):
            made |= self._together(plans, made, new, check)
        return _stacked(plans, made)

    def _together(
        self,
        plans: Sequence[Plan],
        made: Mapping[Digest, ImageLayer],
        new: Sequence[PlannedLayer],
        check: Callable[[], None] | None,
    ) -> dict[Digest, ImageLayer]:
        """Makes layers, several at once, in the order given. Where there is room for their tars in an output, the lengths of all come first."""
        with Crew.of(self.config.workers) as crew:
            packer, drafts = replace(self, emit=crew.watched(self.emit)), dict[Digest, Draft]()
            layers = dict[Digest, ImageLayer]()
            if self.sinks.places is not None:
                for planned, begun in crew.run(packer._begun, new):
                    if isinstance(begun, Draft):
                        drafts[planned.cache_key] = begun
                    else:
                        layers[planned.cache_key] = begun
                expected = {**made, **layers, **{key: each.layer for key, each in drafts.items()}}
                places = self.sinks.places.reserve(_stacked(plans, expected))
                drafts = {
                    key: replace(each, place=places.get(expected[key].layer.diff_id)) for key, each in drafts.items()
                }
            left = [each for each in new if each.cache_key not in layers]
            making = crew.run(lambda each: packer._made(each, drafts.get(each.cache_key)), left)
            if check is not None:
                check()
            for planned, layer in making:
                layers[planned.cache_key] = layer
                if self.sinks.ahead is not None and planned.role in STORED_ROLES and layer.origin == "built":
                    self.sinks.ahead.begin(layer.blob)
        return layers

    def _begun(self, planned: PlannedLayer) -> ImageLayer | Draft:
        """A layer, or its draft, if there can be room for its tar."""
        draft = self._draft(planned)
        places = self.sinks.places
        return draft if places is not None and places.output.takes(draft.recipe.codec) else self._made(planned, draft)

    def _made(self, planned: PlannedLayer, draft: Draft | None = None) -> ImageLayer:
        """A layer that was made, or the same one of an earlier image, if it is still there."""
        layer = self._layer(planned, draft)
        if layer.origin != "built" or layer.key is not None:
            return layer
        for each in self.previous:
            taken = each.by_diff_id(layer.layer.diff_id, layer.layer.codec)
            if taken is not None and still_exists(taken):
                return _taken(taken, planned, layer.layer.inputs, f"same bytes as in {each.where}")
        return layer

    def _layer(self, planned: PlannedLayer, draft: Draft | None) -> ImageLayer:
        if planned.key is None or planned.known is not None or self.facts is None:
            return self._new(planned, draft)
        with self.facts.making(planned.cache_key):
            known = self.facts.get(planned.cache_key)
            if known is not None and is_kept(planned.role, known.codec) and not self.store.intact(known.descriptor):
                known = None
            why = "made by another build meanwhile" if known else planned.why
            return self._new(replace(planned, known=known, why=why), draft)

    def _new(self, planned: PlannedLayer, draft: Draft | None) -> ImageLayer:
        known, store = planned.known, self.store
        if (existing := planned.kind.materials().existing) is not None:
            return ImageLayer(planned.role, planned.name, *existing, "reused", planned.why)
        if planned.taken is not None:
            return _taken(planned.taken, planned, planned.kind.inputs(), planned.why)
        if known is not None:
            return _placed(planned, known, DeferredBlob(store, known, planned.kind, self.fetch))
        return self._measured(draft or self._draft(planned))

    def _draft(self, planned: PlannedLayer) -> Draft:
        self.fetch(planned.kind)
        begun = time.time_ns()
        tree = planned.kind.tree()
        choice = choose_codec(planned.policy, tree, deflated=planned.kind.materials().deflated)
        return Draft(planned, Recipe.of(tree, choice.codec), planned.kind.inputs(), begun)

    def _measured(self, draft: Draft) -> ImageLayer:
        """The layer of a draft, by the one pass over its recipe."""
        planned, recipe, store = draft.planned, draft.recipe, self.store
        tar, label, size = self.sinks.hashed(planned, recipe.tar), f"{planned.role}: {planned.name}", recipe.tar.size
        passing: Iterable[bytes] = TrackedChunks(tar, label, size, self.emit)
        if draft.place is not None:
            passing = draft.place.take(passing)
        measuring = Measuring.of(recipe, passing, size)
        measuring.key, measuring.label = str(planned.cache_key), label
        layer = replace(self.sinks.take(planned, measuring, store), inputs=draft.inputs)
        if draft.place is not None:
            draft.place.name(layer.diff_id)
        files = planned.kind.materials().files
        if planned.key is not None or settled(
            (*recipe.tree.entries, *files), draft.begun
        ):  # stamps that can't be trusted are not remembered
            self.config.layer_cache.put(planned.cache_key, layer)
        if is_kept(planned.role, layer.codec):
            return _placed(planned, layer, DeferredBlob(store, layer, planned.kind, self.fetch))
        return _placed(planned, layer, RecipeBlob(recipe, layer))


def _last(planned: PlannedLayer) -> int:
    """To sort layers by how soon they are begun."""
    return -planned.kind.materials().size


def _stacked(plans: Sequence[Plan], layers: Mapping[Digest, ImageLayer]) -> list[tuple[ImageLayer, ...]]:
    return [(*plan.base, *(layers[each.cache_key] for each in plan.layers)) for plan in plans]


def _taken(layer: ImageLayer, planned: PlannedLayer, inputs: tuple[str, ...], why: str) -> ImageLayer:
    """Returns a layer of an earlier image as one of this build: its bytes with our names and inputs. Its own inputs may be shortened."""
    facts = replace(layer.layer, inputs=inputs)
    return ImageLayer(planned.role, planned.name, facts, layer.blob, "reused", why, planned.key)


def _placed(planned: PlannedLayer, layer: Layer, blob: Blob) -> ImageLayer:
    origin: Origin = "built" if planned.known is None else "known"
    return ImageLayer(planned.role, planned.name, layer, blob, origin, planned.why, planned.key)
