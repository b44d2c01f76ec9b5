"""A workspace that is a repository prefix of a registry: models in PREFIX/models, images beside it.

The protocol of registries has no "only if it is not there yet". So a new version is looked for before it is written, and looked at
again behind it: who finds somebody else's model there takes the next number. Two registrations of one name that write within the same
moment may still both believe to have been the last, and one of them is then gone from its tag: let one job at a time register
a name, or register in a folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field

from modelcrate.events import Emit
from modelcrate.images.reference import Reference
from modelcrate.images.sinks import Sink
from modelcrate.net.errors import NotFound
from modelcrate.registry.client import RegistryClient
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Output
from modelcrate.transports.registry import RegistryOutput, RegistrySession
from modelcrate.transports.transfer_events import TransferEvents
from modelcrate.workspace.backend import REPOSITORY, VersionExists
from modelcrate_layers.content import Blob, Descriptor, Literal
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class RegistryBackend:
    """`prefix` is HOST[:PORT][/PATH]. Connections of what was read end with the process, as in `inputs.registry`."""

    prefix: str
    connections: Connections = field(repr=False, compare=False)

    @property
    def address(self) -> str:
        return f"registry:{self.prefix}"

    @property
    def reference(self) -> Reference:
        return Reference.parse(f"{self.prefix}/{REPOSITORY}")

    def tags(self) -> list[str]:
        try:
            return self.connections.registries.tags(self.reference)
        except NotFound:  # no repository before its first model
            return []

    def manifest(self, tag: str) -> bytes | None:
        return _manifest(self.connections.registries, self.reference.tagged(tag))

    def blob(self, descriptor: Descriptor) -> Blob:
        return self.connections.registries.blob(self.reference, descriptor)

    @contextmanager
    def writing(self, name: str, emit: Emit) -> Iterator[RegistryWriter]:
        with self.connections.registry_client(TransferEvents(emit)) as client:
            yield RegistryWriter(self.reference, client)

    def images(self, repository: str, tag: str) -> Output:
        return RegistryOutput(Reference.parse(f"{self.prefix}/{repository}:{tag}"))


@dataclass(frozen=True, slots=True)
class RegistryWriter:
    """The repository of the models, with a connection."""

    reference: Reference
    client: RegistryClient = field(repr=False)

    @property
    def sink(self) -> Sink:
        return RegistrySession(self.reference, self.client)

    def publish(self, tag: str, documents: Sequence[Literal], blobs: Sequence[Blob], *, new: bool) -> None:
        place, data = self.reference.tagged(tag), documents[-1].data
        if new and _manifest(self.client, place) is not None:
            raise VersionExists(tag)
        self.client.publish(place, documents[-1:], (*blobs, *documents[:-1]))
        if new and _manifest(self.client, place) != data:
            raise VersionExists(tag)


def _manifest(client: RegistryClient, place: Reference) -> bytes | None:
    try:
        return client.manifest(place)[1]
    except NotFound:
        return None
