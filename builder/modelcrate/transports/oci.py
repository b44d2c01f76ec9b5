"""`oci:DIR[:TAG]`: an OCI image layout in a folder. Blobs that it has are not written again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path

from modelcrate.events import Emit, track_chunks
from modelcrate.images.artifact import (
    ARTIFACTS_ANNOTATION,
    Artifact,
    list_blobs,
    make_artifact_annotations,
    merge_artifacts,
    read_artifact_index_location,
)
from modelcrate.images.image import Deliverable
from modelcrate.images.reading import Found
from modelcrate.images.reference import split_tag
from modelcrate.transports.connections import Connections
from modelcrate.transports.layout_reader import LayoutCollection
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME, Adding, Layout
from modelcrate_layers.tar.recipe import Layer, Measuring

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

    @contextmanager
    def session(self, connections: Connections, emit: Emit) -> Iterator[LayoutSession]:
        """The output with its files open, for layers that are written while they are measured."""
        fresh = not self.path.exists()
        try:
            with ExitStack() as stack:
                yield LayoutSession(self, emit, _Opened(self.path, stack))
        except BaseException:
            if fresh:
                _remove_empty(self.path)
            raise

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        with self.session(connections, emit) as session:
            return session.deliver(image, connections, emit)


class _Opened:
    """The layout, made when the first layer comes: a build that fails before has touched nothing. Not a value: it holds files."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path, self._stack, self._lock = path, stack, threading.Lock()
        self._adding: Adding | None = None

    def adding(self) -> Adding:
        with self._lock:
            if self._adding is None:
                self._adding = Adding(Layout.create(self._path), self._stack)
            return self._adding


@dataclass(frozen=True, slots=True)
class LayoutSession:
    """An output that also takes layers while they are measured: their files are read once."""

    output: LayoutOutput
    emit: Emit = field(repr=False)
    opened: _Opened = field(repr=False)

    kind = KIND

    @property
    def target(self) -> str:
        return self.output.target

    def take(self, measuring: Measuring) -> Layer:
        self.opened.adding().take(measuring, lambda: measuring.descriptor)
        return measuring.layer

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        layout = Layout.create(self.output.path)
        return _write(layout, self.opened.adding(), image, self.output.tag, emit, KIND, self.target)


def write(layout: Layout, image: Deliverable, tag: str | None, emit: Emit, kind: str, target: str) -> Delivered:
    """Blobs and documents all at once, the name last: whoever reads meanwhile sees the old image or the new one."""
    with layout.adding() as adding:
        return _write(layout, adding, image, tag, emit, kind, target)


def _write(
    layout: Layout, adding: Adding, image: Deliverable, tag: str | None, emit: Emit, kind: str, target: str
) -> Delivered:
    graph = image.graph()
    attached = merge_artifacts((*known(layout, image.digest), *graph.attached))
    sent = there = 0
    for blob in (*graph.blobs, *graph.documents, *list_blobs(attached)):
        descriptor = blob.descriptor
        chunks = track_chunks(blob.chunks(), f"write {descriptor.digest.short}", descriptor.size, emit)
        written = adding.add(chunks, descriptor)
        sent, there = sent + written, there + descriptor.size - written
    adding.keep()
    notes = {
        key: value for key, value in image.descriptor.annotations.items() if key not in (ARTIFACTS_ANNOTATION, REF_NAME)
    }
    layout.name(
        replace(image.descriptor, annotations={**notes, **make_artifact_annotations(attached, image.descriptor)}), tag
    )
    return Delivered(kind, target, image.digest, sent, there)


def attach(layout: Layout, digest: Digest, artifacts: Sequence[Artifact]) -> None:
    """Put artifacts beside an image that the layout has, under all its names."""
    attached = merge_artifacts((*known(layout, digest), *artifacts))
    for blob in list_blobs(attached):
        layout.add(blob.chunks(), blob.descriptor)
    for each in [each for each in layout.manifests() if each.digest == digest]:
        notes = {**each.annotations, **make_artifact_annotations(attached, each)}
        layout.name(replace(each, annotations=notes), each.annotations.get(REF_NAME))


def known(layout: Layout, digest: Digest) -> tuple[Artifact, ...]:
    """What the layout has about an image already."""
    entries = [
        each for each in layout.manifests() if each.digest == digest and read_artifact_index_location(each) is not None
    ]
    return Found(LayoutCollection(layout), entries[0]).attached() if entries else ()


def _remove_empty(folder: Path) -> None:
    """Take back a layout that was made for an image which then could not be written; one that somebody else has begun to fill stays."""
    with suppress(OSError):
        for inner in ("blobs/sha256", "blobs"):
            (folder / inner).rmdir()
        (folder / "oci-layout").unlink(missing_ok=True)
        (folder / ".lock").unlink(missing_ok=True)
        folder.rmdir()
