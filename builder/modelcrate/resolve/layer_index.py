"""The files of a layer by the table that it may carry (`images.layer_table`). It is used to pass a layer over, never to believe what a file of it contains."""

from __future__ import annotations

from modelcrate.images.image import ImageLayer
from modelcrate.images.layer_table import read_table
from modelcrate_layers.errors import CrateError


def listed_paths(layer: ImageLayer) -> tuple[tuple[str, str], ...] | None:
    """Returns the path and the type (`reg`, `dir`, `symlink`, ...) of every file of a layer by its table; None where there is no good one.

    Only the table is fetched. A whiteout is a file of its own name.
    """
    try:
        entries = read_table(layer.blob, layer.layer.descriptor.annotations)
    except CrateError:  # the layer itself is read then
        return None
    if entries is None:
        return None
    return tuple((each["name"].removeprefix("./").strip("/"), each["type"]) for each in entries)
