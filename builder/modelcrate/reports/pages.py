"""Pages about images that exist, about builds, and about two images: what is read for them, and their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelcrate.config import Config
from modelcrate.events import Emit
from modelcrate.images.image import Deliverable, Image, ImageLayer
from modelcrate.images.previous import Previous
from modelcrate.images.reading import Found
from modelcrate.pipeline.size_limit import ImageSizeError, find_earlier
from modelcrate.reports.comparison import compare
from modelcrate.reports.gathering import gather
from modelcrate.reports.image_facts import image_facts
from modelcrate.reports.map_view import address
from modelcrate.reports.page import comparison_page, image_page
from modelcrate.security.sbom.layer_scan import NO_FACTS, KnownFacts
from modelcrate.security.signing.naming import image_identity
from modelcrate.transports.connections import Connections
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from modelcrate.pipeline.session import Build
    from modelcrate.reports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the layers that were fetched to make it."""

    data: bytes
    fetched: tuple[ImageLayer, ...] = ()

    @property
    def fetched_bytes(self) -> int:
        """The bytes of the layers that were fetched."""
        return sum(each.descriptor.size for each in self.fetched)


def page_of_found(where: str, found: Found | None, image: Deliverable, config: Config, emit: Emit) -> Page:
    """Returns the page about an image that exists. Layers that are not on this machine are fetched, and not kept.

    Args:
        where: Its address; the page has its title, or else the repository in it.
        found: The image, with what is beside it; None if nobody has looked for that.
        image: The image or index to show: all of what was found, or one platform of it.
        config: The configuration.
        emit: Gets the progress of what is fetched.

    Raises:
        IntegrityError: A layer is damaged.
        RegistryError: A layer can't be fetched.
    """
    layers = [layer for each in image.images for layer in each.layers]
    beside = [Previous(where, each, found=found) for each in image.images]
    gathered = gather(layers, config, emit, earlier=beside, fetch=True)
    artifacts = found.attached() if found is not None else None
    return Page(
        image_page(image_facts(image_identity(where), image, gathered, config, artifacts=artifacts)), gathered.fetched
    )


def page_of_build(build: Build, connections: Connections, emit: Emit, timeline: Timeline | None = None) -> Page:
    """Returns the page about an image that was just built. No layer is fetched for it.

    Args:
        build: The build.
        connections: The open connections, for the image that the request measures growth against.
        emit: Gets events.
        timeline: When the build's steps began and ended.
    """
    request, previous = build.prepared.request, build.prepared.previous
    if request.against:
        previous = (*find_earlier(request, connections).values(), *previous)
    known, receipt = KnownFacts(build.prepared.facts, build.hashes.found), build.receipt
    return _page_of_built(receipt.name, receipt.image, previous, connections.config, emit, timeline, known=known)


def page_of_refused(
    name: str, fault: ImageSizeError, config: Config, emit: Emit, timeline: Timeline | None = None
) -> Page:
    """Returns the page about an image that was made and is too large to be delivered.

    Args:
        name: The image's name.
        fault: Why it was refused.
        config: The configuration.
        emit: Gets events.
        timeline: When the build's steps began and ended.
    """
    words = f"{fault.what}: {'; '.join(fault.why.splitlines())}"
    return _page_of_built(name, fault.image, fault.previous, config, emit, timeline, words)


def place_in_map(image: Deliverable, layer: ImageLayer) -> str:
    """Returns the address, within a page, of a layer's box in the map."""
    several = len(image.images) > 1
    platform = [each.label for each in image.images if layer in each.layers][:1] if several else []
    return address(*platform, layer.name or layer.descriptor.digest.short)


def _page_of_built(
    name: str,
    image: Deliverable,
    previous: Sequence[Previous],
    config: Config,
    emit: Emit,
    timeline: Timeline | None,
    refusal: str = "",
    known: KnownFacts = NO_FACTS,
) -> Page:
    layers = [layer for each in image.images for layer in each.layers]
    gathered = gather(layers, config, emit, earlier=previous, known_facts=known)
    earlier: dict[str, Image] = {}
    for each in previous:
        if each.partial:
            continue
        earlier.setdefault(each.image.label, each.image)
    beside = image.graph().attached
    facts = image_facts(name, image, gathered, config, artifacts=beside, earlier=earlier, reasons=True)
    return Page(image_page(facts, timeline, refusal))


def page_of_two(before: str, old: Image, after: str, new: Image) -> Page:
    """Returns the page about the differences between two images. Layers that both have are not read.

    Args:
        before: The address of the earlier image.
        old: The earlier image.
        after: The address of the later image.
        new: The later image.

    Raises:
        IntegrityError: A layer that differs is damaged.
    """
    return Page(comparison_page(before, after, compare(old, new)))
