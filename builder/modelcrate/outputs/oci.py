"""`oci:DIR[:TAG]`: an OCI image layout in a folder. Blobs that it has are not written again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelcrate.artifact import Artifact, documents, joined_all, note, noted
from modelcrate.events import Emit, watched
from modelcrate.image import Image, Index
from modelcrate.inputs import Found
from modelcrate.inputs.layout import LayoutCollection, split_tag
from modelcrate.outputs import Delivered
from modelcrate.settings import Settings
from modelcrate_layers.content import Blob, Digest
from modelcrate_layers.store import REF_NAME, Layout

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

    def deliver(self, image: Image | Index, settings: Settings, emit: Emit) -> Delivered:
        layout = Layout.create(self.path)
        return write(layout, image, self.tag, emit, KIND, self.target)


def write(layout: Layout, image: Image | Index, tag: str | None, emit: Emit, kind: str, target: str) -> Delivered:
    """Blobs first, documents then, the name last: whoever reads meanwhile sees the old image or the new one."""
    graph = image.graph()
    attached = joined_all((*known(layout, image.digest), *graph.attached))
    sent = there = 0
    for blob in (*graph.blobs, *graph.documents, *documents(attached)):
        written = _put(layout, blob, emit)
        sent, there = sent + written, there + blob.descriptor.size - written
    layout.name(replace(image.descriptor, annotations=note(attached, image.descriptor)), tag)
    return Delivered(kind, target, image.digest, sent, there)


def attach(layout: Layout, digest: Digest, artifacts: Sequence[Artifact]) -> None:
    """Put artifacts beside an image that the layout has, under all its names."""
    attached = joined_all((*known(layout, digest), *artifacts))
    for blob in documents(attached):
        layout.add(blob.chunks(), blob.descriptor)
    for each in layout.manifests():
        if each.digest == digest:
            layout.name(
                replace(each, annotations={**each.annotations, **note(attached, each)}), each.annotations.get(REF_NAME)
            )


def known(layout: Layout, digest: Digest) -> tuple[Artifact, ...]:
    """What the layout has about an image already."""
    entries = [each for each in layout.manifests() if each.digest == digest and noted(each) is not None]
    return Found(LayoutCollection(layout), entries[0]).attached() if entries else ()


def _put(layout: Layout, blob: Blob, emit: Emit) -> int:
    descriptor = blob.descriptor
    if layout.has(descriptor):
        return 0
    return layout.add(watched(blob.chunks(), f"write {descriptor.digest.short}", descriptor.size, emit), descriptor)
