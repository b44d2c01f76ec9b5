"""Which layers an image is made of, in which order, under which keys; and which of them are known already. Reads only the memo.

Two keys a layer. Its `key` travels with the image: the digest of locked inputs, for layers that have them. Its `cache_key` is what the
memo remembers it by: the key, or the stamps of its files, together with how it is to be stored.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelcrate.config import Config
from modelcrate.events import Emit, Notice, ignore_event
from modelcrate.images.image import MAX_IMAGE_LAYERS, ImageLayer
from modelcrate.images.previous import Previous
from modelcrate_layers.content import Digest, Platform, canonical_json
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.layer_cache import LayerCache
from modelcrate_layers.store import Layout
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar import recipe, writer
from modelcrate_layers.tar.recipe import Layer
from modelcrate_layers.tar.tree import Tree

STORED_ROLES = frozenset({"base", "dependencies", "server", "entry"})
"""Roles whose layers are kept in the store when they were made, unless they are spliced: those are in the packages already."""


def is_kept(role: str, codec: codecs.Codec) -> bool:
    """Returns whether the store keeps a layer that was made: what cost a compression, and is no model of the user's."""
    return role in STORED_ROLES and codec != codecs.SPLICED


MEMO = "memo"
"""The value of `known_from` for a layer that was made on this machine before."""


@dataclass(frozen=True, slots=True)
class KnownLayers:
    """The layers that were made on this machine before, and whose bytes can be had without making them again."""

    cache: LayerCache
    store: Layout
    emit: Emit = field(default=ignore_event, repr=False, compare=False)

    @classmethod
    def of(cls, config: Config, emit: Emit = ignore_event) -> KnownLayers:
        """Returns the layers that this machine knows: its layer cache and its store."""
        return cls(config.layer_cache, Layout(config.store, config.checked), emit)

    def get(self, cache_key: Digest, kind: LayerKind) -> Layer | None:
        """Returns a layer, if it is known. One that is kept in the store has to be intact there: delivering it compresses nothing."""
        layer = self.cache.get(cache_key)
        if layer is None or not is_kept(kind.role, layer.codec):
            return layer
        path = self.store.path(layer.descriptor.digest)
        there = os.path.lexists(path)
        if self.store.intact(layer.descriptor):
            return layer
        if there:
            self.emit(Notice(f"{path} was damaged and is removed; the layer {kind.name} is made again"))
        return None


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer that the image needs.

    `known` is the layer if it need not be made, and `known_from` says where it is known from. `taken` is the layer of an earlier image
    that has it. `why` explains it to people.
    """

    kind: LayerKind = field(repr=False)
    policy: str
    key: Digest | None
    cache_key: Digest
    known: Layer | None = None
    taken: ImageLayer | None = field(repr=False, default=None)
    known_from: str = ""
    why: str = ""

    @property
    def new(self) -> bool:
        """Whether it has to be made: it is not known."""
        return self.known is None

    @property
    def role(self) -> str:
        """The role of the layer, `base`, `dependencies`, `server`, `model` or `entry`."""
        return self.kind.role

    @property
    def name(self) -> str:
        """The name of the layer, for people."""
        return self.kind.name


@dataclass(frozen=True, slots=True)
class Plan:
    """The layers of one image, lowest first: those of a foreign base, then those that we make."""

    platform: Platform
    base: tuple[ImageLayer, ...]
    layers: tuple[PlannedLayer, ...]


def plan(
    platform: Platform,
    base: Iterable[ImageLayer],
    kinds: Iterable[LayerKind],
    policies: Mapping[str, str],
    known_layers: KnownLayers | None,
    previous: Sequence[Previous] = (),
) -> Plan:
    """Returns the plan of an image: which of its layers are known and which have to be made.

    Args:
        platform: The platform of the image.
        base: The layers of a foreign base, lowest first.
        kinds: The layers that we make, lowest first.
        policies: The codec setting (`project.values.Codec`) of every role.
        known_layers: The layers that this machine knows. With None every layer is made, and earlier images only say what is new.
        previous: Earlier images that may have the layers.

    Raises:
        UserError: The image would have more than MAX_IMAGE_LAYERS layers.
    """
    below, above = tuple(base), tuple(kinds)
    if len(below) + len(above) > MAX_IMAGE_LAYERS:
        raise UserError(
            f"the image would have {len(below) + len(above)} layers, and container engines take at most {MAX_IMAGE_LAYERS}",
            why=_most_layers(below, above),
            hint="take a base with fewer layers (`FROM scratch` and `COPY --from=BASE / /` make one layer of it), or fewer models: files in one folder share layers",
        )
    return Plan(platform, below, tuple(_planned(kind, policies[kind.role], known_layers, previous) for kind in above))


def _most_layers(below: Sequence[ImageLayer], above: Sequence[LayerKind]) -> str:
    """Returns how many layers come from the base, and how many each role adds, most first."""
    roles = Counter(kind.role for kind in above)
    return ", ".join([f"{len(below)} of the base", *(f"{count} of {role}" for role, count in roles.most_common())])


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """How a layer is to be stored, and the reason, for people."""

    codec: codecs.Codec
    why: str


def settled_codec(policy: str, *, deflated: bool) -> CodecChoice | None:
    """The codec of a layer, where the setting decides it and the bytes don't. `deflated` as in `Materials`."""
    only, *more = codecs.of_policy(policy, deflated=deflated)
    if more:
        return None
    if only == codecs.SPLICED:
        return CodecChoice(only, "its files are deflated in their packages, and go as they are")
    return CodecChoice(only, "as set")


def choose_codec(policy: str, tree: Tree, *, deflated: bool = False) -> CodecChoice:
    """The codec for a tree under a setting; one that leaves a choice looks at the bytes. `deflated` as in `Materials`."""
    if (settled := settled_codec(policy, deflated=deflated)) is not None:
        return settled
    packing, *rest = codecs.of_policy(policy, deflated=deflated)
    gain = recipe.evidence(tree)
    if gain >= recipe.WORTH:
        return CodecChoice(packing, f"samples of it shrink by {gain:.0%}")
    return CodecChoice(
        rest[-1], f"samples of it shrink by {max(gain, 0):.0%}, and {recipe.WORTH:.0%} would be worth it"
    )


def _planned(
    kind: LayerKind, policy: str, known_layers: KnownLayers | None, previous: Sequence[Previous]
) -> PlannedLayer:
    materials = kind.materials()
    if (existing := materials.existing) is not None:
        layer, _ = existing
        return PlannedLayer(
            kind,
            policy,
            None,
            layer.descriptor.digest,
            layer,
            known_from="registered model",
            why="a registered model's own",
        )
    key = kind.key()
    choices = codecs.of_policy(policy, deflated=materials.deflated)
    inputs = {"key": str(key)} if key is not None else {"role": kind.role, "files": materials.fingerprint}
    cache_key = _cache_key(inputs, policy, choices)
    known = known_layers.get(cache_key, kind) if known_layers is not None else None
    if known is not None:
        why = "same inputs as in an earlier build" if key is not None else "no file has changed"
        return PlannedLayer(kind, policy, key, cache_key, known, known_from=MEMO, why=why)
    for each in previous if known_layers is not None else ():
        if key is not None and (taken := each.by_key(key, choices)) is not None:
            why = f"same inputs as in {each.where}"
            return PlannedLayer(kind, policy, key, cache_key, taken.layer, taken, each.where, why)
    cause = _cause(kind, key, policy, previous, believing=known_layers is not None)
    return PlannedLayer(kind, policy, key, cache_key, why=cause)


def _cause(kind: LayerKind, key: Digest | None, policy: str, previous: Sequence[Previous], *, believing: bool) -> str:
    """Why a layer has to be made: how it differs from the earlier image's layer of the same place, if there is one."""
    for each in previous:
        same = next(each.with_key(key), None) if key is not None else None
        if same is not None and not believing:
            return f"made again to see whether it is that of {each.where}"
        if same is not None and same.descriptor.digest in each.missing:
            return f"{each.where} names it, and has lost its blob"
        if same is not None:
            return f"the setting: codec {policy}, and {each.where} has {same.layer.codec}"
        from modelcrate.inspect import explain  # what is built for the first time, or again, does without it

        other = explain.find_counterpart(kind.role, kind.name, each.image)
        if causes := explain.describe_changes(other, kind.inputs()):
            return f"{causes}, against {each.where}"
        if other is not None and key is None:
            return f"not yet read here; {each.where} has it from files of the same names"
    return "never built here from these inputs" if key is not None else "never built here from these files"


def _cache_key(inputs: Mapping[str, Any], policy: str, choices: Iterable[codecs.Codec]) -> Digest:
    """With the versions of the codecs that a setting may choose, for they decide bytes as well."""
    versions = [str(each) for each in choices]
    return Digest.of(canonical_json({**inputs, "codec": policy, "codecs": versions, "tar": writer.POLICY}))
