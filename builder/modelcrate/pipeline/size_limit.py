"""The limit of an image's size: held before anything is fetched by what indexes and files say, and again when the layers are made.

Before, packages count as an index has them, and files that are stored as they are. That is the same on every machine, whatever
its caches know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from modelcrate.images.image import Deliverable, ImageLayer
from modelcrate.images.previous import Previous
from modelcrate.inspect.explain import grown
from modelcrate.pipeline.plan import Plan, PlannedLayer, choose_codec
from modelcrate.pipeline.request import Request
from modelcrate.project.byte_sizes import format_size
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import LimitError, SourceError
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


class ImageSizeError(LimitError):
    """The image that was made is larger than the limit that was set for it, or one of its layers has grown by more. It was not delivered.

    Attributes:
        image: The image.
        layer: The layer that takes the most, or has grown the most.
        previous: Earlier images that it can be compared with.
    """

    def __init__(self, what: str, why: str, hint: str, image: Deliverable, layer: ImageLayer) -> None:
        super().__init__(what, why=why, hint=hint)
        self.image, self.layer = image, layer
        self.previous: tuple[Previous, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Leaves the images behind: what reads them is of this process, and another one wants the message."""
        kept = {name: value for name, value in vars(self).items() if name not in ("image", "layer", "previous")}
        return LimitError, self.args, kept


def check_size(made: Deliverable, limit: int, way_out: str) -> None:
    """Refuses images whose layers, as they are stored, are larger than the limit.

    Raises:
        ImageSizeError: One is too large; it names the largest layers.
    """
    for image in made.images:
        parts = [Part(_name(each), each.descriptor.size) for each in image.layers]
        try:
            _check(parts, limit, "has", way_out)
        except LimitError as fault:
            largest = max(image.layers, key=lambda each: each.descriptor.size)
            raise ImageSizeError(fault.what, fault.why, fault.hint, made, largest) from None


def check_growth(made: Deliverable, earlier: Mapping[Platform, Previous], limit: int) -> None:
    """Refuses images with a layer that is larger than its counterpart in an earlier image by more than the limit.

    Args:
        made: The image or index.
        earlier: The images to measure against. Platforms without one are not measured.
        limit: The most stored bytes by which a layer may grow. All of a new layer counts.

    Raises:
        ImageSizeError: A layer has grown by more; all of them are named.
    """
    for image in made.images:
        before = earlier.get(image.platform)
        if before is None:
            continue
        over = sorted(
            ((growth, each) for each, growth in grown(before.image, image) if growth > limit),
            key=lambda pair: (-pair[0], _name(pair[1])),
        )
        if over:
            lines = [f"{_name(each)}: grew by {format_size(growth)}" for growth, each in over[:NAMED]]
            lines += [f"{len(over) - NAMED} more"] if len(over) > NAMED else []
            layers = f"{len(over)} layers have" if len(over) > 1 else "a layer has"
            raise ImageSizeError(
                f"{layers} grown by more than {format_size(limit)} since {before.where}",
                "\n".join(lines),
                "leave something out, or raise max-layer-growth (in modelcrate.yaml or as --max-layer-growth)",
                made,
                over[0][1],
            )


def find_earlier(request: Request, connections: Connections) -> dict[Platform, Previous]:
    """Returns the images to measure growth against: the one that the request names, else what its target has, or the local store.

    Raises:
        SourceError: The request names an image that is not there.
        RegistryError: A registry can't be reached.
    """
    from modelcrate.transports.addresses import find, find_there
    from modelcrate.transports.store import StoreOutput

    if request.against:
        places = [(request.against, find(request.against, connections))]
    else:
        places = list(find_there(request.outputs or [StoreOutput(request.project.name)], connections))
    earlier: dict[Platform, Previous] = {}
    for platform in request.project.platforms:
        for where, found in places:
            with suppress(SourceError):  # it has none for this platform, or no such variant; what is new has not grown
                earlier.setdefault(platform, Previous(where, found.image(platform, request.variant), found=found))
    return earlier


def _name(layer: ImageLayer) -> str:
    return f"{layer.role} {layer.name or layer.descriptor.digest.short}"


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
