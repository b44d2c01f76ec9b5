"""Layers taken over from images that exist: the one under the tag that is pushed to, and those that --cache-from names.

A layer is taken by its key, if it has one and is stored as ours would be; a layer of files by its diff id, once that is
measured. A key is trusted here; `verify` and --paranoid check it. No bytes are fetched for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from modelcrate.events import Emit, Notice
from modelcrate.images.image import DEFAULT_VARIANT, Image, ImageLayer
from modelcrate.images.previous import Previous, RemoteContent
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.pipeline.request import Request
from modelcrate.transports import store
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError, SourceError

if TYPE_CHECKING:
    from modelcrate.resolve.scan import LayerScan

ASKERS = 16
"""HEAD requests at once."""

Images = Mapping[Platform, Sequence[Previous]]


@runtime_checkable
class RepositoryOutput(Protocol):
    """An output that puts images into a repository of a registry."""

    @property
    def reference(self) -> Reference:
        """The reference that the image gets in the registry."""


def reuse_addresses(request: Request, connections: Connections) -> tuple[str | Reference, ...]:
    """Returns the images whose layers may be taken: those that are pushed to and those in `cache_from`.

    Where nothing is pushed, the image that the local store has under the project's name comes last.
    """
    if not request.reuse:
        return ()
    pushed: tuple[str | Reference, ...] = tuple(
        each.reference for each in request.outputs if isinstance(each, RepositoryOutput)
    )
    named = (*pushed, *request.cache_from)
    name = request.project.name
    return named if pushed or store.find(name, connections.config) is None else (*named, name)


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


class EarlierImages:
    """The earlier images of a request. It is not a value, because it keeps what was found."""

    def __init__(self, request: Request, connections: Connections, emit: Emit) -> None:
        self._request, self._connections, self._emit = request, connections, emit
        self._found: Images | None = None

    def images(self) -> Images:
        """Returns the images whose layers may be taken, by platform; what is not available is a notice."""
        if self._found is None:
            request, connections = self._request, self._connections
            addresses = reuse_addresses(request, connections)
            self._found = {
                each: find_previous(addresses, each, connections, self._emit, request.variant)
                for each in request.project.platforms
            }
        return self._found

    def scans(self, platform: Platform, layers: Sequence[ImageLayer]) -> Mapping[Digest, LayerScan]:
        """Returns the scans of a base's layers that stand beside the images: they spare a fresh machine the base itself.

        They are believed as the keys of layers are: a build that signs takes those of its own key, and one that believes nothing takes none.
        """
        request = self._request
        images = () if request.paranoid else self.images().get(platform, ())
        if not images:
            return {}
        from modelcrate.security.sbom.layer_contents import receive_scans

        signer = request.attestations.signer
        key = signer.public if signer is not None else None
        return receive_scans(layers, self._connections.config, images, key)
