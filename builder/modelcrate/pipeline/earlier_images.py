"""The images whose layers a build may take, and what stands beside them. They are looked for once, when somebody asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from modelcrate.events import Emit
from modelcrate.images.image import ImageLayer
from modelcrate.images.previous import Previous
from modelcrate.images.reference import Reference
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.reuse import find_previous
from modelcrate.transports import store
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest, Platform

if TYPE_CHECKING:
    from modelcrate.resolve.scan import LayerScan

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
