"""The protocol of places for registered models: manifests under tags, blobs, and images beside them.

All backends use the same tags, `NAME.VERSION` in the repository `models`. The digits after the last dot are the version, so names may
contain dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from modelcrate.events import Emit
from modelcrate.images.sinks import Sink
from modelcrate.transports.output import Output
from modelcrate.workspace.record import parse_version
from modelcrate_layers.content import Blob, Descriptor, Literal

REPOSITORY = "models"
"""The repository of the models, below the workspace."""

ENVIRONMENTS = "environments"
"""The repository of the environments."""


class VersionExists(Exception):  # noqa: N818 - it is an outcome, and never leaves this package
    """Another process has just registered this version."""


class WorkspaceWriter(Protocol):
    """A backend that is open for writing one model."""

    @property
    def sink(self) -> Sink:
        """The sink that takes layers while they are measured."""
        ...

    def publish(self, tag: str, documents: Sequence[Literal], blobs: Sequence[Blob], *, new: bool) -> None:
        """Writes a manifest and everything that it names.

        Args:
            tag: The tag of the manifest.
            documents: The documents, the manifest last.
            blobs: The layers.
            new: Whether the tag must not exist.

        Raises:
            VersionExists: The tag exists, and `new` is true.
        """
        ...


class WorkspaceBackend(Protocol):
    """A place of registered models, or of what else has names and versions, in a repository of its own."""

    def beside(self, repository: str) -> WorkspaceBackend:
        """Returns the same place for another repository, such as that of the environments."""
        ...

    def images(self) -> list[str]:
        """Returns the addresses of the images in the workspace.

        Raises:
            UserError: The place can't list them.
        """
        ...

    @property
    def address(self) -> str:
        """The address, as `opening.open_workspace` takes it."""
        ...

    def tags(self) -> list[str]:
        """Returns the tags of the repository: all models, with their versions."""
        ...

    def snapshot(self) -> WorkspaceBackend:
        """Returns the same place for reading many models. What it lists as a whole is read once, and stays as it is now."""
        ...

    def manifest(self, tag: str) -> bytes | None:
        """Returns the bytes of the manifest with a tag, or None."""
        ...

    def blob(self, descriptor: Descriptor) -> Blob:
        """Returns a blob. It is read when its chunks are taken."""
        ...

    def writing(self, name: str, emit: Emit) -> AbstractContextManager[WorkspaceWriter]:
        """Opens the backend to register or change a model of this name."""
        ...

    def image_output(self, repository: str, tag: str) -> Output:
        """Returns the output for an image of this workspace. It has the layers of the workspace's models already."""
        ...


def format_tag(name: str, version: int) -> str:
    """Returns the tag of a model."""
    return f"{name}.{version}"


def parse_tag(tag: str) -> tuple[str, int] | None:
    """Returns the name and version of a tag, or None if it is not a model's."""
    name, dot, version = tag.rpartition(".")
    number = parse_version(version) if dot and name else None
    return None if number is None else (name, number)
