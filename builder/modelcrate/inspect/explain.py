"""Why layers differ, from what they say that they were made of. Pure: annotations only, no bytes.

A layer's inputs are words and a last word that changes: `numpy 2.4.6`, `src/score.py 9f86d081884c`. Two layers are counterparts if
they have the same role and the same first input, or share most of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelcrate.images.image import Image, ImageLayer
from modelcrate_layers.frozen import dataclass

MAX_NAMED = 3
"""How many differences a sentence names."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one layer from one image to the next: `same`, `changed`, `new` or `gone`."""

    role: str
    name: str
    state: str
    cause: str = ""


def explain(old: Image | None, new: Image) -> list[Explanation]:
    """A line a layer of `new`, and one for each that `old` had and `new` has not. Without `old`, what each was made of."""
    if old is None:
        return [Explanation(each.role, _name(each), "layer", _few(each.layer.inputs)) for each in new.layers]
    before = {each.layer.diff_id: each for each in old.layers}
    lines: list[Explanation] = []
    met = set()
    for layer in new.layers:
        if layer.layer.diff_id in before:
            met.add(layer.layer.diff_id)
            lines.append(Explanation(layer.role, _name(layer), "same"))
            continue
        other = find_counterpart(layer.role, layer.name, old)
        if other is None:
            lines.append(Explanation(layer.role, _name(layer), "new", _few(layer.layer.inputs)))
        else:
            met.add(other.layer.diff_id)
            cause = (
                describe_changes(other, layer.layer.inputs) or "other rules of packing, or inputs that it does not tell"
            )
            lines.append(Explanation(layer.role, _name(layer), "changed", cause))
    gone = [each for each in old.layers if each.layer.diff_id not in met]
    return lines + [Explanation(each.role, _name(each), "gone", _few(each.layer.inputs)) for each in gone]


def find_counterpart(role: str, name: str, image: Image) -> ImageLayer | None:
    """The layer of an image that stands where a layer of this role and name would stand; versions in the names do not count."""
    fitting = [each for each in image.layers if each.role == role]
    if len(fitting) == 1:
        return fitting[0]
    same = [each for each in fitting if _stem(each.name) == _stem(name)]
    return max(same, key=lambda each: _alike(each.name, name), default=None)


def describe_changes(before: ImageLayer | None, now: Sequence[str]) -> str:
    """How the inputs differ, in a few words: `joblib 1.5.3 -> 1.6.0`, `src/score.py changed`, `+ onnx 1.2`. Empty, if they don't."""
    if before is None:
        return ""
    return _few(list(compare_inputs(before.layer.inputs, now)))


def compare_inputs(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """How inputs differ, each in a few words."""
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
    """Not a few digits of a digest, and not a number of bytes."""
    return "." in word or "/" in word


def _few(words: Sequence[str]) -> str:
    rest = len(words) - MAX_NAMED
    return ", ".join(words[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _name(layer: ImageLayer) -> str:
    return layer.name or str(layer.descriptor.digest)[:19]


def _alike(one: str, other: str) -> int:
    """How many words two names have at the same places: of the parts of a wheel or the files of a model, the one that means the same."""
    return sum(word == its for word, its in zip(one.split(), other.split(), strict=False))


def _stem(name: str) -> str:
    return name.partition(" ")[0].partition(":")[0]
