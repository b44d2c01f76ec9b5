"""`oci:DIR[:TAG]`: an OCI image layout in a folder. Blobs that it has are not written again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelcrate.events import Emit, watched
from modelcrate.image import Deliverable
from modelcrate.inputs.layout import split_tag
from modelcrate.outputs import Delivered
from modelcrate.settings import Settings
from modelcrate_layers.store import Layout

KIND = "oci"
EXAMPLE = "DIR[:TAG]"


def parse(target: str) -> LayoutOutput:
    folder, tag = split_tag(target)
    return LayoutOutput(Path(folder), tag)


@dataclass(frozen=True, slots=True)
class LayoutOutput:
    path: Path
    tag: str | None = None

    kind = KIND

    @property
    def target(self) -> str:
        return f"{self.path}:{self.tag}" if self.tag else str(self.path)

    def deliver(self, image: Deliverable, settings: Settings, emit: Emit) -> Delivered:
        fresh = not self.path.exists()
        try:
            return write(Layout.create(self.path), image, self.tag, emit, KIND, self.target)
        except BaseException:
            if fresh:
                _remove_empty(self.path)
            raise


def write(layout: Layout, image: Deliverable, tag: str | None, emit: Emit, kind: str, target: str) -> Delivered:
    """Blobs and documents all at once, the name last: whoever reads meanwhile sees the old image or the new one."""
    graph = image.graph()
    sent = there = 0
    with layout.adding() as add:
        for blob in (*graph.blobs, *graph.documents):
            descriptor = blob.descriptor
            chunks = watched(blob.chunks(), f"write {descriptor.digest.short}", descriptor.size, emit)
            written = add(chunks, descriptor)
            sent, there = sent + written, there + descriptor.size - written
    layout.name(image.descriptor, tag)
    return Delivered(kind, target, image.digest, sent, there)


def _remove_empty(folder: Path) -> None:
    """Take back a layout that was made for an image which then could not be written; one that somebody else has begun to fill stays."""
    with suppress(OSError):
        for inner in ("blobs/sha256", "blobs"):
            (folder / inner).rmdir()
        (folder / "oci-layout").unlink(missing_ok=True)
        (folder / ".lock").unlink(missing_ok=True)
        folder.rmdir()
