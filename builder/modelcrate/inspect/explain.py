"""Explains why layers differ, by the inputs that their annotations list. Pure: no bytes of layers are read.

An input is a name and a value that changes: `numpy 2.4.6`, `src/score.py 9f86d081884c`. Each layer of an image has one counterpart in another
at most, and is that of one (`pair_layers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelcrate.images.image import Image, ImageLayer
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass

MAX_NAMED = 3
"""Differences that a sentence names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The state of one layer between two images: `same`, `changed`, `new` or `gone`; `layer` if there is only one image."""

    role: str
    name: str
    state: str
    cause: str = ""


def explain(old: Image | None, new: Image) -> list[Explanation]:
    """Returns an explanation for each layer of `new`, and for each layer that only `old` has.

    Args:
        old: The image to compare with. Without it, the inputs of each layer are returned.
        new: The image.
    """
    if old is None:
        return [Explanation(each.role, _name(each), "layer", _few(each.layer.inputs)) for each in new.layers]
    pairs = pair_layers(old, new)
    matched = {each.layer.diff_id for each in pairs.values()}
    gone = [each for each in old.layers if each.layer.diff_id not in matched]
    return [_explain(each, pairs.get(each.layer.diff_id)) for each in new.layers] + [
        Explanation(each.role, _name(each), "gone", _few(each.layer.inputs)) for each in gone
    ]


def _explain(layer: ImageLayer, other: ImageLayer | None) -> Explanation:
    if other is None:
        return Explanation(layer.role, _name(layer), "new", _few(layer.layer.inputs))
    if other.layer.diff_id == layer.layer.diff_id:
        return Explanation(layer.role, _name(layer), "same")
    cause = describe_changes(other, layer.layer.inputs)
    unlisted = "other packing rules, or inputs that its annotations do not list"
    return Explanation(layer.role, _name(layer), "changed", cause or unlisted)


def find_counterpart(role: str, name: str, image: Image) -> ImageLayer | None:
    """Returns the layer of an image that corresponds to a role and a name, if there is one. Versions in names do not count."""
    fitting = [each for each in image.layers if each.role == role]
    if len(fitting) == 1:
        return fitting[0]
    same = [each for each in fitting if _stem(each.name) == _stem(name)]
    return max(same, key=lambda each: _alike(each.name, name), default=None)


def grown(old: Image, new: Image) -> Iterator[tuple[ImageLayer, int]]:
    """Yields the layers of `new` that `old` does not have as they are stored, and by how many bytes each is larger than its counterpart.

    One without a counterpart has grown by all that it has. One of the same content in another codec has its counterpart in that.
    """
    there = {each.descriptor.digest for each in old.layers}
    pairs = pair_layers(old, new)
    for layer in new.layers:
        if layer.descriptor.digest not in there:
            other = pairs.get(layer.layer.diff_id)
            yield layer, layer.descriptor.size - (other.descriptor.size if other is not None else 0)


def pair_layers(old: Image, new: Image) -> dict[Digest, ImageLayer]:
    """Returns the layer of `old` that each layer of `new` is measured against, by the diff id of the latter.

    Each layer of `old` belongs to one of `new` at most: the same, else one of the same role and name without versions, else what
    remains of its role, if one remains on both sides.
    """
    left = {each.layer.diff_id: each for each in old.layers}
    pairs = {each.layer.diff_id: left.pop(each.layer.diff_id) for each in new.layers if each.layer.diff_id in left}
    rest = [each for each in new.layers if each.layer.diff_id not in pairs]
    for layer in rest:
        named = [each for each in left.values() if each.role == layer.role and _stem(each.name) == _stem(layer.name)]
        if (other := max(named, key=lambda each: _alike(each.name, layer.name), default=None)) is not None:
            pairs[layer.layer.diff_id] = left.pop(other.layer.diff_id)
    for role in {each.role for each in rest}:
        ours = [each for each in rest if each.role == role and each.layer.diff_id not in pairs]
        theirs = [each for each in left.values() if each.role == role]
        if len(ours) == len(theirs) == 1:
            pairs[ours[0].layer.diff_id] = theirs[0]
    return pairs


def describe_changes(before: ImageLayer | None, now: Sequence[str]) -> str:
    """Returns how the inputs of a layer differ from others, in a few words; empty if they don't.

    Args:
        before: The layer; without one the text is empty.
        now: The other inputs.

    Returns:
        For instance `joblib 1.5.3 -> 1.6.0`, `src/score.py changed`, `+ onnx 1.2`.
    """
    if before is None:
        return ""
    return _few(list(compare_inputs(before.layer.inputs, now)))


def compare_inputs(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Yields the differences between two lists of inputs, each in a few words."""
    before, now = dict(map(_split, old)), dict(map(_split, new))
    for what in sorted(before.keys() | now.keys()):
        was, is_now = before.get(what), now.get(what)
        if was == is_now:
            continue
        if was is None:
            yield f"+ {what} {is_now}" if _is_version(is_now or "") else f"+ {what}"
        elif is_now is None:
            yield f"- {what} {was}" if _is_version(was) else f"- {what}"
        else:
            yield f"{what} {was} -> {is_now}" if _is_version(is_now) else f"{what} changed"


def _split(text: str) -> tuple[str, str]:
    name, _, last = text.removesuffix(" bytes").rpartition(" ")
    return name, last


def _is_version(word: str) -> bool:
    """Returns whether the value of an input is a version, not digits of a digest or a number of bytes."""
    return "." in word or "/" in word


def _few(words: Sequence[str]) -> str:
    rest = len(words) - MAX_NAMED
    return ", ".join(words[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _name(layer: ImageLayer) -> str:
    return layer.name or str(layer.descriptor.digest)[:19]


def _alike(one: str, other: str) -> int:
    """Returns how many words two names share at the same positions. It finds the same part of a wheel or file of a model."""
    return sum(word == its for word, its in zip(one.split(), other.split(), strict=False))


def _stem(name: str) -> str:
    return name.partition(" ")[0].partition(":")[0]
