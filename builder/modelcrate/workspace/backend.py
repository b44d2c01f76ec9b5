"""Where registered models are kept, as what the verbs need of it: documents under tags, blobs, and a place for images beside them.

Folder and registry have the same tags, `NAME.VERSION` in the repository `models`: a dot and the digits behind the last one can't
be mistaken, whatever dots a name has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from modelcrate.events import Emit
from modelcrate.images.sinks import Sink
from modelcrate.transports.output import Output
from modelcrate.workspace.record import MAX_VERSION
from modelcrate_layers.content import Blob, Descriptor, Literal

REPOSITORY = "models"
"""What models are kept in, below the workspace."""


class VersionExists(Exception):  # noqa: N818 - it is an outcome, and never leaves this package
    """Somebody else has just registered this version."""


class WorkspaceWriter(Protocol):
    """A backend while a model is put on it."""

    @property
    def sink(self) -> Sink:
        """Takes the layers while they are measured."""
        ...

    def publish(self, tag: str, documents: Sequence[Literal], blobs: Sequence[Blob], *, new: bool) -> None:
        """Put a manifest (the last document) there with all it names. With `new`, a tag that is there already is `VersionExists`."""
        ...


class WorkspaceBackend(Protocol):
    """A place of registered models."""

    @property
    def address(self) -> str:
        """The place in the user's words; `opening.open_shelf` takes it back."""
        ...

    def tags(self) -> list[str]: ...

    def manifest(self, tag: str) -> bytes | None:
        """The bytes of the manifest under a tag; None where there is none."""
        ...

    def blob(self, descriptor: Descriptor) -> Blob: ...

    def writing(self, name: str, emit: Emit) -> AbstractContextManager[WorkspaceWriter]:
        """For as long as a model of this name is being registered or changed."""
        ...

    def images(self, repository: str, tag: str) -> Output:
        """Where an image of this workspace goes; layers of its models are there already."""
        ...


def format_tag(name: str, version: int) -> str:
    return f"{name}.{version}"


def parse_tag(tag: str) -> tuple[str, int] | None:
    """Name and version of a tag; None for one that isn't ours."""
    name, dot, version = tag.rpartition(".")
    if not dot or not name or not version.isascii() or not version.isdigit() or not 1 <= int(version) <= MAX_VERSION:
        return None
    return name, int(version)
