"""The facts of a page about two images: their difference as a map, and each layer before and after."""

from __future__ import annotations

from modelcrate.images.image import Image
from modelcrate.inspect.diff import Difference, EntryDifference, diff
from modelcrate.reports.contents_tree import path_tree
from modelcrate.reports.facts import LayerFacts, Node
from modelcrate.reports.layer_facts import layer_facts
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two images, and what differs.

    Attributes:
        before: The digest of the earlier image.
        after: The digest of the later image.
        before_size: Stored bytes of the earlier image's layers.
        after_size: Stored bytes of the later image's layers.
        layers: All layers of both.
        map: The files that differ.
        difference: All that differs.
    """

    before: str
    after: str
    before_size: int
    after_size: int
    layers: tuple[LayerFacts, ...]
    map: Node = field(repr=False)
    difference: Difference = field(repr=False)


def compare(old: Image, new: Image) -> Comparison:
    """Compares two images. Layers that both have are not read.

    Raises:
        IntegrityError: A layer that differs is damaged.
    """
    found = diff(old, new)
    files = path_tree((each.path, bytes_of(each), each.state) for each in found.files)
    return Comparison(
        str(old.digest),
        str(new.digest),
        sum(each.descriptor.size for each in old.layers),
        sum(each.descriptor.size for each in new.layers),
        layer_facts(old, new, {}),
        Node("files that differ", "image", sum(each.size for each in files), files),
        found,
    )


def bytes_of(each: EntryDifference) -> int:
    """Returns the bytes of a file, unpacked: before or after, whichever are more."""
    return max(one.size for one in (each.before, each.after) if one is not None)
