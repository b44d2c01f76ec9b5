"""A workspace that is a repository prefix of a registry: models in PREFIX/models, images beside it.

The registry protocol can't create a tag only if it does not exist. So a new version is looked up before it is written and again after
it: a registration that finds another model there takes the next number. Two registrations of one name at the same moment may still
both succeed, and then one of them has lost its tag. Register a name from one job at a time, or in a folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
from modelcrate_layers.errors import UserError


class RegistryBackend:
    """A prefix `HOST[:PORT][/PATH]` of a registry. See `backend.WorkspaceBackend`.

    It is not a value, because it holds connections.
    """

    def __init__(self, prefix: str, connections: Connections, repository: str = REPOSITORY) -> None:
        self.prefix, self.connections, self.repository = prefix, connections, repository

    def beside(self, repository: str) -> RegistryBackend:
        """Returns the same prefix for another repository."""
        return RegistryBackend(self.prefix, self.connections, repository)

    def images(self) -> list[str]:
        """Raises a UserError: the protocol of registries does not list the repositories below a prefix."""
        raise UserError(
            "a registry does not list the images below a prefix",
            where=self.address,
            hint=f"name one: modelcrate tags {self.prefix}/NAME",
        )

    @property
    def address(self) -> str:
        """`registry:` and the prefix."""
        return f"registry:{self.prefix}"

    @property
    def reference(self) -> Reference:
        """The repository."""
        return Reference.parse(f"{self.prefix}/{self.repository}")

    def tags(self) -> list[str]:
        """Returns the tags of all models."""
        try:
            return self.connections.registries.tags(self.reference)
        except NotFound:  # the repository does not exist before its first model
            return []

    def snapshot(self) -> RegistryBackend:
        """Returns this: a registry is asked for each manifest."""
        return self

    def manifest(self, tag: str) -> bytes | None:
        """Returns the bytes of the manifest with a tag, or None."""
        return _manifest(self.connections.registries, self.reference.tagged(tag))

    def blob(self, descriptor: Descriptor) -> Blob:
        """Returns a blob. It is fetched when its chunks are taken."""
        return self.connections.registries.blob(self.reference, descriptor)

    @contextmanager
    def writing(self, name: str, emit: Emit) -> Iterator[RegistryWriter]:
        """Opens a client that reports its transfers."""
        with self.connections.registry_client(TransferEvents(emit)) as client:
            yield RegistryWriter(self.reference, client)

    def image_output(self, repository: str, tag: str) -> Output:
        """Returns the output for an image of this workspace."""
        return RegistryOutput(Reference.parse(f"{self.prefix}/{repository}:{tag}"))


class RegistryWriter:
    """The repository of the models, open for writing. See `backend.WorkspaceWriter`.

    It is not a value, because it holds a client.
    """

    def __init__(self, reference: Reference, client: RegistryClient) -> None:
        self.reference, self.client = reference, client

    @property
    def sink(self) -> Sink:
        """The sink that sends layers to the repository."""
        return RegistrySession(self.reference, self.client)

    def publish(self, tag: str, documents: Sequence[Literal], blobs: Sequence[Blob], *, new: bool) -> None:
        """Pushes a manifest and everything that it names. See `backend.WorkspaceWriter.publish`."""
        target, data = self.reference.tagged(tag), documents[-1].data
        if new and _manifest(self.client, target) is not None:
            raise VersionExists(tag)
        self.client.publish(target, documents[-1:], (*blobs, *documents[:-1]))
        if new and _manifest(self.client, target) != data:
            raise VersionExists(tag)


def _manifest(client: RegistryClient, reference: Reference) -> bytes | None:
    try:
        return client.manifest(reference)[1]
    except NotFound:
        return None
