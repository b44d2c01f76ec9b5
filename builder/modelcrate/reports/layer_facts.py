"""The facts about layers: what each was made of, and how it differs from its counterpart in an earlier image. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelcrate.images.image import Image, ImageLayer
from modelcrate.inspect.explain import Explanation, explain, pair_layers
from modelcrate.reports.facts import LayerFacts
from modelcrate.reports.listing import Listing
from modelcrate_layers.content import Digest

_EXACT = frozenset({"none", "stored"})
"""Codecs that compress nothing."""


def layer_facts(
    old: Image | None, new: Image, listings: Mapping[Digest, Listing], *, reasons: bool = False
) -> tuple[LayerFacts, ...]:
    """Returns the layers of an image, lowest first, and those that only the earlier image has.

    Args:
        old: The image to compare with, if there is one.
        new: The image.
        listings: The files of layers, by diff id.
        reasons: Whether a layer says why a build made or took it, where no earlier image says more.
    """
    lines = explain(old, new)
    pairs = pair_layers(old, new) if old is not None else None
    made = [
        _layer(each, line, pairs, new.label, listings.get(each.layer.diff_id), reasons)
        for each, line in zip(new.layers, lines, strict=False)
    ]
    return (*made, *_gone(lines[len(new.layers) :], old, new.label))


def _gone(lines: list[Explanation], old: Image | None, platform: str) -> Iterator[LayerFacts]:
    before = {} if old is None else {(each.role, _name(each)): each for each in old.layers}
    for line in lines:
        gone = before.get((line.role, line.name))
        size = gone.descriptor.size if gone is not None else 0
        inputs = gone.layer.inputs if gone is not None else ()
        yield LayerFacts(platform, line.role, line.name, 0, 0, size, line.state, inputs=inputs)


def _layer(
    each: ImageLayer,
    line: Explanation,
    pairs: Mapping[Digest, ImageLayer] | None,
    platform: str,
    listing: Listing | None,
    reasons: bool,
) -> LayerFacts:
    state = line.state if pairs is not None else ""
    other = pairs.get(each.layer.diff_id) if pairs is not None else None
    before = other.descriptor.size if other is not None else None
    tar = each.layer.tar_size
    unpacked = tar if tar >= 0 else None if listing is None else sum(size for _, size in listing.files)
    return LayerFacts(
        platform,
        each.role,
        _name(each),
        each.descriptor.size,
        unpacked,
        before,
        state,
        line.cause if state not in ("", "new") else each.why if reasons else "",
        each.layer.inputs,
        str(each.layer.codec),
        str(each.descriptor.digest),
        str(each.key) if each.key else "",
        each.layer.codec.name in _EXACT,
        listing is not None,
    )


def _name(layer: ImageLayer) -> str:
    return layer.name or str(layer.descriptor.digest)[:19]
