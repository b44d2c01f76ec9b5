"""Layers taken over from images that exist: the one under the tag that is pushed to, and those that --cache-from names.

A layer is taken by its key, if it has one and is stored as ours would be; a layer of files by its diff id, once that is
measured. A key is trusted here; `verify` and --paranoid check it. No bytes are fetched for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from modelcrate.events import Emit, Notice
from modelcrate.images.image import DEFAULT_VARIANT, Image, ImageLayer
from modelcrate.images.previous import Previous, RemoteContent
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError, SourceError

ASKERS = 16
"""HEAD requests at once."""


def missing_layers(layers: Iterable[ImageLayer]) -> frozenset[Digest]:
    """Returns the layers whose blobs have vanished from their registries. All registries are queried at once."""
    wanted = {each.descriptor.digest: each for each in layers if isinstance(each.blob, RemoteContent)}
    if not wanted:
        return frozenset()

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(ASKERS, len(wanted)), "reuse") as pool:
        there = pool.map(still_exists, wanted.values())
        return frozenset(digest for digest, found in zip(wanted, there, strict=True) if not found)


def still_exists(layer: ImageLayer) -> bool:
    """Whether a layer's bytes can still be had. A registry that doesn't answer has none."""
    try:
        return layer.blob.exists() if isinstance(layer.blob, RemoteContent) else True
    except CrateError:
        return False


def contradictions(layers: Iterable[ImageLayer], previous: Sequence[Previous]) -> Iterator[str]:
    """Yields a notice for each layer just made whose bytes differ from those that an earlier image has under the same key."""
    for layer in layers:
        if layer.origin != "built" or layer.key is None:
            continue
        for each in previous:
            for other in each.with_key(layer.key):
                if other.layer.diff_id != layer.layer.diff_id:
                    yield (
                        f"{each.where}: the key of its layer {layer.role} {layer.name} lies: "
                        f"these inputs give {layer.layer.diff_id}, and it has {other.layer.diff_id}"
                    )


def find_previous(
    addresses: Sequence[str | Reference],
    platform: Platform,
    connections: Connections,
    emit: Emit,
    variant: str = "",
) -> tuple[Previous, ...]:
    """Returns the images at these addresses, for this platform and variant; the default where there is no such variant.

    One that is not available is reported, and nothing is reused from it.
    """
    if not addresses:
        return ()
    from modelcrate.transports.addresses import find

    found = []
    for address in addresses:
        where = str(address).removeprefix("registry:")
        try:
            there = find(address, connections)
            found += [Previous(where, each, found=there) for each in _images(there, platform, variant)]
        except CrateError as fault:
            from modelcrate.net.errors import NotFound

            if isinstance(fault, NotFound):  # a first push: there is nothing yet
                continue
            emit(Notice(f"nothing to reuse in {where}: {fault.what}"))
    return tuple(found)


def _images(found: Found, platform: Platform, variant: str) -> Iterator[Image]:
    """Yields the image of a variant, and the default's: most layers of a variant that is new are those of the default."""
    if variant and variant != DEFAULT_VARIANT:
        with suppress(SourceError):
            yield found.image(platform, variant)
    yield found.image(platform)
