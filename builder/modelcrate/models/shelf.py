"""Where registered models are kept, as what the verbs need of it: documents under tags, blobs, and a place for images beside them.

Folder and registry have the same tags, `NAME.VERSION` in the repository `models`: a dot and the digits behind the last one can't
be mistaken, whatever dots a name has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from modelcrate.events import Emit
from modelcrate.models.record import MAX_VERSION
from modelcrate.outputs import Output
from modelcrate.pack import Sink
from modelcrate.reference import Reference
from modelcrate.settings import Settings
from modelcrate_layers.content import Blob, Descriptor, Literal
from modelcrate_layers.errors import UserError

REPOSITORY = "models"
"""What models are kept in, below the workspace."""


class Taken(Exception):  # noqa: N818 - it is an outcome, and never leaves this package
    """Somebody else has just registered this version."""


class Writing(Protocol):
    """A shelf while a model is put on it."""

    @property
    def sink(self) -> Sink:
        """Takes the layers while they are measured."""
        ...

    def publish(self, tag: str, documents: Sequence[Literal], blobs: Sequence[Blob], *, new: bool) -> None:
        """Put a manifest (the last document) there with all it names. With `new`, a tag that is there already is `Taken`."""
        ...


class Shelf(Protocol):
    """A place of registered models."""

    @property
    def address(self) -> str:
        """The place in the user's words; `open_shelf` takes it back."""
        ...

    def tags(self) -> list[str]: ...

    def manifest(self, tag: str) -> bytes | None:
        """The bytes of the manifest under a tag; None where there is none."""
        ...

    def blob(self, descriptor: Descriptor) -> Blob: ...

    def writing(self, name: str, emit: Emit) -> AbstractContextManager[Writing]:
        """For as long as a model of this name is being registered or changed."""
        ...

    def images(self, repository: str, tag: str) -> Output:
        """Where an image of this workspace goes; layers of its models are there already."""
        ...


def open_shelf(address: str, settings: Settings, folder: Path = Path()) -> Shelf:
    """The workspace at an address: a registry's `HOST[:PORT]/PREFIX` (or `registry:...`), else a folder, which may not exist yet.

    A relative folder is below `folder`. What has a dot or a colon in its first part is a registry, unless it begins with a dot or
    there is such a folder.
    """
    from modelcrate.models.folder import FolderShelf

    kind, colon, rest = address.partition(":")
    if kind == "registry" and colon:
        return _registry(rest, settings)
    if kind == "folder" and colon:
        return FolderShelf(folder / rest)
    first, slash, _ = address.partition("/")
    hosted = bool(slash) and not first.startswith(".") and ("." in first or ":" in first or first == "localhost")
    if hosted and not (folder / address).is_dir():
        return _registry(address, settings)
    if not address.strip():
        raise UserError("a workspace has no address", hint="expected a folder, or HOST/PREFIX of a registry")
    return FolderShelf(folder / address)


def tag_of(name: str, version: int) -> str:
    return f"{name}.{version}"


def split_tag(tag: str) -> tuple[str, int] | None:
    """Name and version of a tag; None for one that isn't ours."""
    name, dot, version = tag.rpartition(".")
    if not dot or not name or not version.isascii() or not version.isdigit() or not 1 <= int(version) <= MAX_VERSION:
        return None
    return name, int(version)


def _registry(text: str, settings: Settings) -> Shelf:
    from modelcrate.models.registry import RegistryShelf

    reference = Reference.parse(text if "/" in text else f"{text}/{REPOSITORY}")
    if reference.tag or reference.digest:
        raise UserError(f"not a workspace: {text!r}", hint="a registry and a prefix, without tag and digest")
    return RegistryShelf(text.rstrip("/"), settings)
