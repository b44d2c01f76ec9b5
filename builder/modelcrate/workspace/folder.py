"""A workspace that is a folder: an OCI layout with models and images in it, whose blobs they share.

Registrations of one name wait for each other at a lock, so two at once get two versions; those of other names go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field
from pathlib import Path

from modelcrate.events import Emit, track_chunks
from modelcrate.images.sinks import StoreSink
from modelcrate.transports.oci import LayoutOutput
from modelcrate.transports.output import Output
from modelcrate.workspace.backend import REPOSITORY, VersionExists
from modelcrate_layers.atomic import file_lock
from modelcrate_layers.content import Blob, Descriptor, Digest, Literal
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME, FileBlob, Layout, as_machine_error

_LOCKS = ".locks"


@dataclass(frozen=True, slots=True)
class FolderBackend:
    """The folder comes to be when the first model is registered."""

    root: Path

    @property
    def address(self) -> str:
        return f"folder:{self.root}"

    def tags(self) -> list[str]:
        return [tag for tag, _ in self._entries()]

    def manifest(self, tag: str) -> bytes | None:
        found = dict(self._entries()).get(tag)
        return self._layout().read(found) if found is not None else None

    def blob(self, descriptor: Descriptor) -> FileBlob:
        return self._layout().blob(descriptor)

    @contextmanager
    def writing(self, name: str, emit: Emit) -> Iterator[FolderWriter]:
        layout = Layout.create(self.root)
        with self._turn(name):
            yield FolderWriter(self, layout, emit)

    def images(self, repository: str, tag: str) -> Output:
        return LayoutOutput(self.root, f"{repository}.{tag}")  # no colon, which would be an address's own

    def _entries(self) -> list[tuple[str, Descriptor]]:
        """Tags of models with their manifests."""
        if not (self.root / "oci-layout").exists():
            return []
        named = [(each.annotations.get(REF_NAME, ""), each) for each in self._layout().manifests()]
        mine = f"{REPOSITORY}:"
        return [(name.removeprefix(mine), each) for name, each in named if name.startswith(mine)]

    def _layout(self) -> Layout:
        return Layout.open(self.root)

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        place = self.root / _LOCKS
        with ExitStack() as stack:
            with as_machine_error(place):
                place.mkdir(exist_ok=True)
                stack.enter_context(file_lock(place / Digest.of(name.encode()).hex[:32]))
            yield


@dataclass(frozen=True, slots=True)
class FolderWriter:
    """The folder, held."""

    backend: FolderBackend
    layout: Layout
    emit: Emit = field(repr=False)

    @property
    def sink(self) -> StoreSink:
        return StoreSink(self.layout)

    def publish(self, tag: str, documents: Sequence[Literal], blobs: Sequence[Blob], *, new: bool) -> None:
        if new and tag in self.backend.tags():
            raise VersionExists(tag)
        for blob in (*blobs, *documents):
            if not self.layout.has(blob.descriptor):
                label = f"keep {blob.descriptor.digest.short}"
                self.layout.add(track_chunks(blob.chunks(), label, blob.descriptor.size, self.emit), blob.descriptor)
        self.layout.name(documents[-1].descriptor, f"{REPOSITORY}:{tag}")
