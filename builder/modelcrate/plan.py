"""Which layers an image is made of, in which order, under which keys; and which of them are known already. Reads only the memo.

Two keys a layer. Its `key` travels with the image: the digest of locked inputs, for layers that have them. Its `fact` is what the
memo remembers it by: the key, or the stamps of its files, together with how it is to be stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelcrate.image import ImageLayer
from modelcrate_layers import codec as codecs
from modelcrate_layers import recipe, tar
from modelcrate_layers.content import Digest, Platform, canonical_json
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.memo import Memo
from modelcrate_layers.recipe import Layer
from modelcrate_layers.tree import Tree


@dataclass(frozen=True, slots=True)
class Planned:
    """A layer that is wanted. `known` are its facts, if it need not be made; `why` is for people."""

    kind: LayerKind = field(repr=False)
    policy: str
    key: Digest | None
    fact: Digest
    tree: Tree | None = field(repr=False, default=None)
    known: Layer | None = None
    why: str = ""

    @property
    def role(self) -> str:
        return self.kind.role

    @property
    def name(self) -> str:
        return self.kind.name


@dataclass(frozen=True, slots=True)
class Plan:
    """The layers of one image, lowest first: those of a foreign base, then those that we make."""

    platform: Platform
    base: tuple[ImageLayer, ...]
    layers: tuple[Planned, ...]


def plan(
    platform: Platform, base: Iterable[ImageLayer], kinds: Iterable[LayerKind], policies: Mapping[str, str], memo: Memo
) -> Plan:
    """`policies` has the codec setting (`auto`, `none`, `gzip`, `zstd`) of every role."""
    return Plan(platform, tuple(base), tuple(_planned(kind, policies[kind.role], memo) for kind in kinds))


def choose(policy: str, tree: Tree) -> codecs.Codec:
    """The codec for a tree under a setting; `auto` looks at the bytes."""
    if policy != "auto":
        return codecs.named(policy)
    return codecs.zstd() if recipe.worth_compressing(tree) else codecs.NONE


def _planned(kind: LayerKind, policy: str, memo: Memo) -> Planned:
    if isinstance(kind, ReadyLayer):
        return Planned(kind, policy, None, kind.layer.descriptor.digest, None, kind.layer, "a registered model's own")
    key = kind.key()
    tree = None if key is not None else kind.tree()
    fact = _fact({"key": str(key)} if tree is None else {"files": recipe.listing(tree)}, policy)
    known = memo.get(fact)
    if known is not None:
        why = "same inputs as in an earlier build" if tree is None else "no file has changed"
    else:
        why = "never built here from these inputs" if tree is None else "new, or a file has changed"
    return Planned(kind, policy, key, fact, tree, known, why)


def _fact(inputs: Mapping[str, Any], policy: str) -> Digest:
    """With the versions of the codecs that a setting may choose, for they decide bytes as well."""
    versions = [str(codecs.zstd())] if policy == "auto" else [str(codecs.named(policy))]
    return Digest.of(canonical_json({**inputs, "codec": policy, "codecs": versions, "tar": tar.POLICY}))
