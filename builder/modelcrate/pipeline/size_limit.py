"""The limit of an image's size: held before anything is fetched by what indexes and files say, and again when the layers are made.

Before, packages count as an index has them, and files that are stored as they are. That is the same on every machine, whatever
its caches know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from modelcrate.images.image import ImageLayer
from modelcrate.pipeline.plan import Plan, PlannedLayer, choose_codec
from modelcrate.project.byte_sizes import format_size
from modelcrate_layers.errors import LimitError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.codec import NONE, STORED
from modelcrate_layers.tar.sources import UnfetchedFile
from modelcrate_layers.tar.writer import Tar

NAMED = 6
"""How many of the largest parts a message names."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an image: its name and its bytes."""

    name: str
    size: int


def check_plans(plans: Iterable[Plan], limit: int, way_out: str) -> None:
    """Refuses images that can't be within the limit, by what they are made of.

    Args:
        plans: The plans of all platforms.
        limit: The most bytes that an image may have.
        way_out: What a user can do about it.

    Raises:
        LimitError: One is too large; it names the largest parts.
    """
    for plan in plans:
        parts = [Part(f"base layer {each.descriptor.digest.short}", each.descriptor.size) for each in plan.base]
        packages = {each.sha256: each for layer in plan.layers for each in layer.kind.materials().packages}
        parts += [Part(f"{each.name} {each.version}", each.size) for each in packages.values()]
        parts += [part for each in plan.layers for part in _files(each)]
        _check(parts, limit, "would have", way_out)


def check_layers(images: Iterable[Sequence[ImageLayer]], limit: int, way_out: str) -> None:
    """Refuses images whose layers, as they are stored, are larger than the limit.

    Raises:
        LimitError: One is too large; it names the largest layers.
    """
    for layers in images:
        parts = [
            Part(f"{each.role} {each.name or each.descriptor.digest.short}", each.descriptor.size) for each in layers
        ]
        _check(parts, limit, "has", way_out)


def _check(parts: Sequence[Part], limit: int, verb: str, way_out: str) -> None:
    total = sum(each.size for each in parts)
    if total <= limit:
        return
    largest = sorted(parts, key=lambda each: (-each.size, each.name))
    rest = largest[NAMED:]
    lines = [f"{each.name}: {format_size(each.size)}" for each in largest[:NAMED]]
    if rest:
        lines.append(f"{len(rest)} more: {format_size(sum(each.size for each in rest))}")
    raise LimitError(
        f"the image {verb} {format_size(total)}, and may have {format_size(limit)}",
        why="\n".join(lines),
        hint=way_out or "leave something out, or raise max-size (in modelcrate.yaml or as --max-size)",
    )


def _files(planned: PlannedLayer) -> Iterator[Part]:
    """Yields a layer of files that is stored as it is; one that will be compressed counts when it is made."""
    materials = planned.kind.materials()
    if materials.existing is not None:
        yield Part(f"{planned.role} {planned.name}", materials.existing[0].descriptor.size)
    elif not materials.packages:
        tree = planned.kind.tree()
        whole = not any(isinstance(each.source, UnfetchedFile) for each in tree.entries)
        if not whole or choose_codec(planned.policy, tree).codec in (NONE, STORED):
            yield Part(f"{planned.role} {planned.name}", Tar(tree.entries).size)
