"""Compares an image with the rebuild of its project from the lock. Pure, except that differing layers are read."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.soci import without_index
from modelcrate.inspect import diff, explain


def list_mismatches(claimed: Image, rebuilt: Image) -> Iterator[str]:
    """Yields the mismatches, one line each. For a layer it has the cause and the first entry that differs.

    That an image names a SOCI index is none: tables are compared with layers (`verify_bytes`), and a rebuild makes none.

    Args:
        claimed: The image.
        rebuilt: The image that was built again.

    Yields:
        The lines; none if both images are the same, byte for byte.
    """
    if claimed.digest == rebuilt.digest or without_index(claimed).digest == rebuilt.digest:
        return
    found = [*_layers(claimed, rebuilt), *_stored(claimed, rebuilt)]
    for setting in diff.compare_configs(claimed.settings, rebuilt.settings):
        found.append(
            f"config: {setting.name} is {setting.before or 'not set'}, and should be {setting.after or 'unset'}"
        )
    yield from found or ["manifest: only annotations, or the order of something, differ"]


def _layers(claimed: Image, rebuilt: Image) -> Iterator[str]:
    claimed_layers, rebuilt_layers = diff.select_differing_layers(claimed, rebuilt)
    for layer in rebuilt_layers:
        other = _counterpart(layer, claimed_layers, claimed)
        if other is None:
            yield f"{_name(layer)}: is missing"
            continue
        claimed_layers.remove(other)
        cause = explain.describe_changes(other, layer.layer.inputs) or _unexplained(layer, other)
        first = next(diff.compare_files([other], [layer]), None)
        where = (
            f"; the first entry that differs is /{first.path}: {first.how}" if first else "; all entries are the same"
        )
        yield f"{_name(layer)}: {cause}{where}"
    yield from (f"{_name(layer)}: does not belong to the image" for layer in claimed_layers)


def _counterpart(layer: ImageLayer, among: list[ImageLayer], image: Image) -> ImageLayer | None:
    """Returns the layer that corresponds to a rebuilt one: by its key, else by its role and name."""
    by_key = next((each for each in among if layer.key is not None and each.key == layer.key), None)
    found = by_key or explain.find_counterpart(layer.role, layer.name, image)
    return found if found in among else None


def _unexplained(layer: ImageLayer, other: ImageLayer) -> str:
    if layer.key is not None and layer.key == other.key:
        return "its key is wrong: the same inputs give other bytes"
    return "its inputs are the same, and its bytes are not"


def _stored(claimed: Image, rebuilt: Image) -> Iterator[str]:
    """Yields the layers with the same tar that are compressed in another way."""
    by_diff_id = {layer.layer.diff_id: layer for layer in rebuilt.layers}
    for layer in claimed.layers:
        other = by_diff_id.get(layer.layer.diff_id)
        if other is not None and other.descriptor.digest != layer.descriptor.digest:
            yield f"{_name(other)}: the same tar, stored by {layer.layer.codec}, and here by {other.layer.codec}"


def _name(layer: ImageLayer) -> str:
    return f"{layer.role} {layer.name}"
