"""`oci:DIR[:TAG]`: an OCI image layout in a folder. A blob that the layout has already is not written again, if its bytes are right.

A blob that was there before is hashed once, and again when its file has another stamp. A damaged one is written anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from modelcrate.config import Config
from modelcrate.events import Emit, Notice, track_chunks
from modelcrate.images.artifact import (
    ARTIFACTS_ANNOTATION,
    TAG_SUFFIXES,
    Artifact,
    is_artifact_tag,
    list_blobs,
    make_artifact_annotations,
    make_digest_tag,
    merge_artifacts,
    read_artifact,
    read_artifact_index,
    read_artifact_index_location,
)
from modelcrate.images.image import VARIANT, Deliverable, variants_of
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.reading import Found
from modelcrate.images.reference import digest_in, split_tag
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType
from modelcrate_layers.errors import IntegrityError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.store import REF_NAME, Adding, FileBlob, Layout
from modelcrate_layers.tar.recipe import Layer, Measuring

KIND = "oci"
EXAMPLE = "DIR[:TAG]"


def parse(target: str) -> LayoutOutput:
    """Returns the output for a target of the command line."""
    folder, tag = split_output(target)
    return LayoutOutput(Path(folder), tag)


def split_output(target: str) -> tuple[str, str | None]:
    """Splits `PATH[:TAG]` of an image that is written.

    Raises:
        UserError: It has a digest, which follows from what is written.
    """
    path, tag = split_tag(target)
    if digest_in(tag or ""):
        raise UserError(f"an output with a digest: {target[:200]!r}", hint=f"name a tag, such as {path[:200]}:1")
    return path, tag


@dataclass(frozen=True, slots=True)
class LayoutOutput:
    """A folder with an OCI layout, and the tag that the image gets in it."""

    path: Path
    tag: str | None = None

    kind = KIND

    @property
    def target(self) -> str:
        """The path, with the tag where there is one."""
        return f"{self.path}:{self.tag}" if self.tag else str(self.path)

    @contextmanager
    def session(self, connections: Connections, emit: Emit) -> Iterator[LayoutSession]:
        """Opens the output for layers that are written while they are measured.

        A layout that was created for an image is removed again if the image can't be written.
        """
        created = not self.path.exists()
        try:
            with ExitStack() as stack:
                yield LayoutSession(self, records_of(self.path, connections.config), emit, stack)
        except BaseException:
            if created:
                _remove_empty(self.path)
            raise

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the image. See `Output.deliver`."""
        with self.session(connections, emit) as session:
            return session.deliver(image, connections, emit)


class LayoutSession:
    """An open layout. It takes layers while they are measured, so that their files are read once.

    It is not a value, because it holds open files. Safe for threads.
    """

    kind = KIND

    def __init__(self, output: LayoutOutput, records: Path, emit: Emit, stack: ExitStack) -> None:
        self.output, self.emit = output, emit
        self._records = records
        self._stack, self._lock = stack, threading.Lock()
        self._adding: Adding | None = None

    @property
    def target(self) -> str:
        """The target of the output."""
        return self.output.target

    def take(self, measuring: Measuring) -> Layer:
        """Writes a layer while it is measured, and returns its measurements."""
        self._open().take(measuring, lambda: measuring.descriptor)
        return measuring.layer

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes what the layout lacks of the image. See `Output.deliver`."""
        layout = Layout.create(self.output.path, self._records)
        return _write(layout, self._open(), image, self.output.tag, emit, KIND, self.target)

    def _open(self) -> Adding:
        """Creates the layout for the first layer: a build that fails before has changed nothing."""
        with self._lock:
            if self._adding is None:
                self._adding = Adding(Layout.create(self.output.path, self._records), self._stack)
            return self._adding


def records_of(folder: Path, config: Config) -> Path:
    """Returns where it is remembered which blobs of a layout were hashed."""
    return config.checked / Digest.of(os.fsencode(folder.absolute())).hex


def write(layout: Layout, image: Deliverable, tag: str | None, emit: Emit, kind: str, target: str) -> Delivered:
    """Writes an image into a layout.

    The tag is set last: other readers find the old image or the new one.

    Args:
        layout: The layout.
        image: The image, or the index of several platforms.
        tag: The tag that the image gets, if any.
        emit: Gets the progress of the blobs.
        kind: The kind of the output, for the result.
        target: The target of the output, for the result.
    """
    with layout.adding() as adding:
        return _write(layout, adding, image, tag, emit, kind, target)


def _write(
    layout: Layout, adding: Adding, image: Deliverable, tag: str | None, emit: Emit, kind: str, target: str
) -> Delivered:
    graph = image.graph()
    attached = merge_artifacts((*_kept(layout, image.digest, emit), *graph.attached))
    sent = reused = 0
    for blob in (*graph.blobs, *graph.documents, *list_blobs(attached)):
        descriptor = blob.descriptor
        chunks = track_chunks(blob.chunks(), f"write {descriptor.digest.short}", descriptor.size, emit)
        written = adding.add(chunks, descriptor)
        sent, reused = sent + written, reused + descriptor.size - written
    adding.keep()
    own = image.descriptor.annotations.items()
    annotations = {key: value for key, value in own if key not in (ARTIFACTS_ANNOTATION, REF_NAME)}
    annotations |= make_artifact_annotations(attached, image.descriptor)
    layout.name(replace(image.descriptor, annotations=annotations), tag)
    variants = _name_variants(layout, image, tag, attached, emit)
    named = {name: f"{target.removesuffix(tag or '')}{other}" for name, other in variants.items()}
    return Delivered(kind, target, image.digest, sent, reused, variants=named)


def _kept(layout: Layout, digest: Digest, emit: Emit) -> tuple[Artifact, ...]:
    """Returns what is beside an image already. Where that is damaged, it is lost, and that is said: an image is mended by writing it again."""
    try:
        return read_attached(layout, digest)
    except IntegrityError as fault:
        emit(Notice(f"what was beside the image before is not any more: {fault.sentence}"))
        return ()


def _name_variants(
    layout: Layout, image: Deliverable, tag: str | None, attached: Sequence[Artifact], emit: Emit
) -> dict[str, str]:
    """Gives each variant of an image in a layout a tag of its own, if the image has one, and returns their tags."""
    if tag is None:
        return {}
    tags = {}
    for name, each in variants_of(image).items():
        root, digests = each.graph().root, {each.digest, *(one.digest for one in each.images)}
        layout.add(root.chunks(), root.descriptor)
        beside = [one for one in (*_kept(layout, each.digest, emit), *attached) if one.is_about(digests)]
        tags[name] = f"{tag}-{name}"
        _name_with(layout, replace(each.descriptor, annotations={VARIANT: name, REF_NAME: tags[name]}), beside)
    return tags


def _name_with(layout: Layout, entry: Descriptor, artifacts: Sequence[Artifact]) -> None:
    """Names an image of a layout as before, with these artifacts, whose blobs are there."""
    attached = merge_artifacts(artifacts)
    for blob in list_blobs(attached)[-1:]:
        layout.add(blob.chunks(), blob.descriptor)
    annotations = {**entry.annotations, **make_artifact_annotations(attached, entry)}
    layout.name(replace(entry, annotations=annotations), entry.annotations.get(REF_NAME))


def attach(layout: Layout, digest: Digest, artifacts: Sequence[Artifact]) -> None:
    """Adds artifacts to an image of a layout, under all its tags, and to those of its variants that they are about."""
    attached = merge_artifacts((*read_attached(layout, digest), *artifacts))
    for blob in list_blobs(attached):
        layout.add(blob.chunks(), blob.descriptor)
    for each in layout.manifests():
        if each.digest == digest:
            _name_with(layout, each, attached)
        elif VARIANT in each.annotations:
            digests = {each.digest, *(one.digest for one in Found(LayoutCollection(layout), each).members())}
            if own := [one for one in artifacts if one.is_about(digests)]:
                _name_with(layout, each, (*read_attached(layout, each.digest), *own))


def read_attached(layout: Layout, digest: Digest) -> tuple[Artifact, ...]:
    """Returns the artifacts that a layout has for an image."""
    entries = [each for each in layout.manifests() if each.digest == digest]
    noted = [each for each in entries if read_artifact_index_location(each) is not None]
    return Found(LayoutCollection(layout), noted[0]).attached() if noted else ()


def _remove_empty(folder: Path) -> None:
    """Removes a layout that has no blobs. One that another process has begun to fill stays."""
    with suppress(OSError):
        for inner in ("blobs/sha256", "blobs"):
            (folder / inner).rmdir()
        (folder / "oci-layout").unlink(missing_ok=True)
        (folder / ".lock").unlink(missing_ok=True)
        folder.rmdir()


@dataclass(frozen=True, slots=True)
class LayoutCollection:
    """The images of an OCI layout. See `images.manifests.Collection`.

    Attributes:
        layout: The layout.
        name: What a user calls it, where that is not its path: the local store's images are known by their names.
    """

    layout: Layout
    name: str = ""

    @property
    def where(self) -> str:
        """The name, or the path of the layout."""
        return self.name or str(self.layout.root)

    def read(self, descriptor: Descriptor) -> bytes:
        """Returns the bytes of a document.

        Raises:
            IntegrityError: The document is missing, too large, or has another digest.
        """
        return self.layout.read(descriptor)

    def blob(self, descriptor: Descriptor) -> FileBlob:
        """Returns a blob. It is read when its chunks are taken."""
        return self.layout.blob(descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """Returns the artifacts about an image that other tools have put into index.json."""
        return read_tagged_artifacts(self.layout.manifests(), digest, self.read, self.blob)


def find(root: Path, tag: str | None) -> Found:
    """Returns the image of a layout with a tag; without a tag, the only image.

    Raises:
        SourceError: There is no layout, or no image or several fit.
    """
    layout = Layout.open(root)
    return Found(LayoutCollection(layout), choose_manifest(layout.manifests(), tag, str(root)))


def read_tagged_artifacts(
    entries: list[Descriptor], digest: Digest, read: Callable[[Descriptor], bytes], blob: Callable[[Descriptor], Blob]
) -> list[Artifact]:
    """Returns the artifacts about an image among the entries of an index.json: under the referrers tag, and under cosign's tags.

    Args:
        entries: The entries of index.json.
        digest: The digest of the image.
        read: Returns the bytes of a document.
        blob: Returns a blob.
    """
    found: list[Artifact] = []
    for each in entries:
        name = each.annotations.get(REF_NAME, "")
        if name == make_digest_tag(digest, "") and each.media_type in MediaType.INDEXES:
            found += read_artifact_index(read(each), read, blob)
        elif name and name in {make_digest_tag(digest, suffix) for suffix in TAG_SUFFIXES}:
            found.append(read_artifact(each, read(each), blob, name))
    return found


def choose_manifest(manifests: list[Descriptor], tag: str | None, where: str) -> Descriptor:
    """Returns the manifest with a tag; without a tag, the only one. Artifacts of other tools do not count, nor variants beside their project.

    Raises:
        SourceError: No manifest or several fit. The message lists the tags.
    """
    manifests = [
        each for each in manifests if tag is not None or not is_artifact_tag(each.annotations.get(REF_NAME, ""))
    ]
    if tag is not None and (digest := digest_in(tag)):
        fitting = [each for each in manifests if str(each.digest) == digest]
    else:
        fitting = [each for each in manifests if tag is None or each.annotations.get(REF_NAME) == tag]
    if tag is None:
        fitting = [each for each in fitting if VARIANT not in each.annotations] or fitting
    distinct = {each.digest: each for each in fitting}
    if len(distinct) == 1:
        return fitting[0]
    tags = sorted(filter(None, {each.annotations.get(REF_NAME) for each in manifests}))
    known = f"it has: {', '.join(tags)}" if tags else "it has no tags" if manifests else "it is empty"
    what = f"has no image with the tag {tag!r}" if tag is not None and not fitting else "has several images"
    raise SourceError(
        what if manifests else "has no image", where=where, why=known, hint="name one: PATH:TAG" if tags else ""
    )
