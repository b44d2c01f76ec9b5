"""Where a bundle is loaded: a registry, or the local store of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from modelcrate.images.reference import Reference, has_host
from modelcrate.registry.client import RegistryClient
from modelcrate.transports.output import Output
from modelcrate.transports.registry import RegistryOutput
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.content import Blob, Descriptor
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import Layout


class Receiver(Protocol):
    """A place that a bundle is loaded into, and that has what the bundle leaves out. `repository` is where its inventory found a blob."""

    def has(self, descriptor: Descriptor, repository: str) -> bool:
        """Returns whether it has a blob."""
        ...

    def blob(self, descriptor: Descriptor, repository: str) -> Blob:
        """Returns a blob that it has."""
        ...

    def file(self, descriptor: Descriptor, repository: str) -> Blob:
        """Returns a blob that it has, as one that is read at many places."""
        ...

    def output(self, name: str) -> Output:
        """Returns where the image of a name goes."""
        ...


@dataclass(frozen=True, slots=True)
class StoreReceiver:
    """The local store."""

    store: Layout

    def has(self, descriptor: Descriptor, repository: str) -> bool:
        """Returns whether the blob is there with the right bytes."""
        return self.store.intact(descriptor)

    def blob(self, descriptor: Descriptor, repository: str) -> Blob:
        """Returns a blob. IntegrityError if it is not there."""
        return self.store.blob(descriptor)

    def file(self, descriptor: Descriptor, repository: str) -> Blob:
        """The same as `blob`."""
        return self.store.blob(descriptor)

    def output(self, name: str) -> Output:
        """Returns the image's name in the store."""
        return StoreOutput(name)


@dataclass(frozen=True, slots=True)
class RegistryReceiver:
    """A registry; images get the repositories of their names there, below a prefix.

    Attributes:
        client: The client.
        host: HOST[:PORT].
        prefix: The first parts of all repositories; may be empty.
        folder: A folder of its own. Earlier layers are fetched into it, for they are read at many places.
    """

    client: RegistryClient
    host: str
    prefix: str
    folder: Path

    def has(self, descriptor: Descriptor, repository: str) -> bool:
        """Asks the registry for the blob."""
        return self.client.blob(Reference(self.host, repository), descriptor).exists()

    def blob(self, descriptor: Descriptor, repository: str) -> Blob:
        """Returns a blob, which is mounted from its repository where the registry can do that."""
        return self.client.blob(Reference(self.host, repository), descriptor)

    def file(self, descriptor: Descriptor, repository: str) -> Blob:
        """Fetches a blob, and returns it."""
        layout = Layout.create(self.folder)
        layout.add(self.blob(descriptor, repository).chunks(), descriptor)
        return layout.blob(descriptor)

    def output(self, name: str) -> Output:
        """Returns the image's reference in the registry."""
        reference = Reference.parse(name)
        repository = reference.repository if has_host(name) else reference.repository.removeprefix("library/")
        repository = f"{self.prefix}/{repository}" if self.prefix else repository
        return RegistryOutput.of(Reference(self.host, repository, reference.tag, reference.digest))
