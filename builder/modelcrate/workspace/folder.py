"""A workspace that is a folder: an OCI layout with models and images, which share their blobs.

Registrations of one name hold a lock, so two at once get two versions. Registrations of other names do not wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from modelcrate.events import Emit, track_chunks
from modelcrate.images.sinks import StoreSink
from modelcrate.transports.oci import LayoutOutput
from modelcrate.transports.output import Output
from modelcrate.workspace.backend import REPOSITORY, VersionExists
from modelcrate_layers.atomic import file_lock
from modelcrate_layers.content import Blob, Descriptor, Digest, Literal
from modelcrate_layers.errors import placed
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.store import REF_NAME, FileBlob, Layout, as_machine_error

_LOCKS = ".locks"


@dataclass(frozen=True, slots=True)
class FolderBackend:
    """A folder. It is created when the first model is registered. See `backend.WorkspaceBackend`."""

    root: Path
    repository: str = REPOSITORY
    seen: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """The entries of models by tag, where they were read already."""
    records: Path | None = field(default=None, compare=False, repr=False)
    """Where it is remembered which blobs were hashed: an image that shares the layers of a model does not read them."""

    def beside(self, repository: str) -> FolderBackend:
        """Returns the same folder for another repository."""
        return FolderBackend(self.root, repository, records=self.records)

    def images(self) -> list[str]:
        """Returns the addresses of the images in the folder."""
        if not (self.root / "oci-layout").exists():
            return []
        names = sorted(each.annotations.get(REF_NAME, "") for each in self._layout().manifests())
        return [f"oci:{self.root}:{name}" for name in names if name and ":" not in name]

    @property
    def address(self) -> str:
        """`folder:` and the path."""
        return f"folder:{self.root}"

    def tags(self) -> list[str]:
        """Returns the tags of all models."""
        return list(self._entries())

    def snapshot(self) -> FolderBackend:
        """Returns the same folder with its index read. See `backend.WorkspaceBackend.snapshot`."""
        return replace(self, seen=self._entries())

    def manifest(self, tag: str) -> bytes | None:
        """Returns the bytes of the manifest with a tag, or None."""
        found = self._entries().get(tag)
        if found is None:
            return None
        with placed(str(self.root / "index.json")):
            return self._layout().read(Descriptor.parse(found))

    def blob(self, descriptor: Descriptor) -> FileBlob:
        """Returns a blob. It is read when its chunks are taken."""
        return self._layout().blob(descriptor)

    @contextmanager
    def writing(self, name: str, emit: Emit) -> Iterator[FolderWriter]:
        """Creates the layout if necessary, and holds the lock of the name."""
        layout = Layout.create(self.root, self.records)
        with self._locked(name):
            yield FolderWriter(self, layout, emit)

    def image_output(self, repository: str, tag: str) -> Output:
        """Returns the output for an image of this workspace."""
        return LayoutOutput(self.root, f"{repository}.{tag}")  # not a colon, which separates an address from its tag

    def _entries(self) -> Mapping[str, Any]:
        """Returns the tags of models with their entries in the index."""
        if self.seen is not None:
            return self.seen
        if not (self.root / "oci-layout").exists():
            return {}
        prefix = f"{self.repository}:"
        named = self._layout().named().items()
        return {name.removeprefix(prefix): each for name, each in named if name.startswith(prefix)}

    def _layout(self) -> Layout:
        return Layout.open(self.root)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        folder = self.root / _LOCKS
        with ExitStack() as stack:
            with as_machine_error(folder):
                folder.mkdir(exist_ok=True)
                stack.enter_context(file_lock(folder / Digest.of(name.encode()).hex[:32]))
            yield


@dataclass(frozen=True, slots=True)
class FolderWriter:
    """The folder while the lock of a name is held. See `backend.WorkspaceWriter`."""

    backend: FolderBackend
    layout: Layout
    emit: Emit = field(repr=False)

    @property
    def sink(self) -> StoreSink:
        """The sink that writes layers into the layout."""
        return StoreSink(self.layout)

    def publish(self, tag: str, documents: Sequence[Literal], blobs: Sequence[Blob], *, new: bool) -> None:
        """Writes a manifest and everything that it names. See `backend.WorkspaceWriter.publish`."""
        if new and tag in self.backend.tags():
            raise VersionExists(tag)
        for blob in (*blobs, *documents):
            if not self.layout.has(blob.descriptor):
                label = f"keep {blob.descriptor.digest.short}"
                self.layout.add(track_chunks(blob.chunks(), label, blob.descriptor.size, self.emit), blob.descriptor)
        self.layout.name(documents[-1].descriptor, f"{self.backend.repository}:{tag}")
