"""`modelpack:REF`: the models as a ModelPack artifact whose layers are the files themselves, one each, under the paths that they have.

ORAS, modctl and llmman read such layers, each in its way: by the title, by ModelPack's annotation, and weights with their configuration alone.
"""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from modelcrate.events import Notice, TrackedChunks
from modelcrate.export.model_shapes import ARTIFACT_PLACES, Making, ShapedModel, ShapeOutput, parse_shape
from modelcrate.images.image import Copy, Deliverable, Graph
from modelcrate.images.image_config import EPOCH, timestamp
from modelcrate.images.modelpack import (
    FILEPATH,
    METADATA,
    TITLE,
    UNTESTED,
    Content,
    ModelConfig,
    content_of_name,
    encode_config,
    encode_manifest,
    raw_type,
)
from modelcrate.modelfiles.formats import HEAD_BYTES, Sample, format_of
from modelcrate.transports import PLACE
from modelcrate_layers.content import Blob, Descriptor, Digest, canonical_json, verified
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds.model import CAR, move_into_car
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.recipe import Layer, Measuring, fingerprint
from modelcrate_layers.tar.sources import FileRange, UnfetchedFile
from modelcrate_layers.tar.tree import Entry, Kind, check_paths, show

KIND = "modelpack"
EXAMPLE = PLACE

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest that registries have to take (distribution specification, "Pushing Manifests")."""


def parse(target: str) -> ShapeOutput:
    """Returns the output for a target of the command line."""
    return parse_shape(KIND, target, make, ARTIFACT_PLACES)


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a file counts as in an artifact, and its format, where its bytes say it; else an empty text."""

    content: Content
    format: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactLayer:
    """A layer of an artifact; `diff_id` is the digest of its bytes without compression."""

    descriptor: Descriptor
    diff_id: Digest
    blob: Blob = field(repr=False)


@dataclass(frozen=True, slots=True)
class FileBytes:
    """A file as a blob. One that has changed since it was measured is refused."""

    source: FileRange
    descriptor: Descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes from `start` on. A stream from 0 is verified."""
        path, stamp, offset, size = self.source
        chunks = FileRange(path, stamp, offset + start, size - start).chunks()
        return chunks if start else verified(chunks, self.descriptor, path)


def make(making: Making) -> Deliverable:
    """Returns the artifact.

    Raises:
        UserError: A path is no UTF-8, a link leads to a folder, or there are more files than a manifest can name.
    """
    entries = [pair for each in making.models for pair in _files(each, making)]
    sources = dict.fromkeys(entry for _, entry in entries)
    with ThreadPoolExecutor(making.connections.config.workers, "hash") as pool:
        measured = dict(zip(sources, pool.map(partial(_measure, making), sources), strict=True))
    layers, formats = [], set()
    for path, entry in entries:
        found, layer = content(entry), measured[entry]
        formats |= {found.format} - {""}
        plain = layer.descriptor
        descriptor = Descriptor(raw_type(found.content), plain.digest, plain.size, _notes(path, entry, found))
        assert isinstance(entry.source, FileRange), "`_files` has seen to it"
        layers.append(ArtifactLayer(descriptor, plain.digest, FileBytes(entry.source, descriptor)))
    return artifact(making, layers, formats)


def artifact(making: Making, layers: Sequence[ArtifactLayer], formats: Collection[str]) -> Copy:
    """Returns the artifact of these layers. Formats are those of the weights: if they are of one, the config says it."""
    project = making.source.request.project
    one = making.models[0] if len(making.models) == 1 else None
    facts = ModelConfig(
        one.name if one else project.name,
        str(one.version) if one else "",
        making.created,
        next(iter(formats)) if len(formats) == 1 else "",
    )
    config = encode_config(facts, [each.diff_id for each in layers])
    notes = {TITLE: facts.name, "org.opencontainers.image.created": timestamp(facts.created)}
    if facts.version:
        notes["org.opencontainers.image.version"] = facts.version
    manifest = encode_manifest(config.descriptor, [each.descriptor for each in layers], notes)
    if len(manifest.data) > MAX_MANIFEST:
        raise UserError(
            f"the models have {len(layers)} files, more than one manifest can name",
            why=f"it would have {len(manifest.data)} bytes, and registries take {MAX_MANIFEST}",
            hint="-o modelpack-tar:REF puts small files together",
        )
    blobs: dict[Digest, Blob] = {config.descriptor.digest: config}
    for each in layers:
        blobs.setdefault(each.descriptor.digest, each.blob)
    return Copy(manifest.descriptor, (), Graph(manifest, (manifest,), tuple(blobs.values())))


def content(entry: Entry) -> FileContent:
    """Returns what a file of a model counts as: weights, where its first bytes are those of a model, else what its name tells."""
    name, source = show(entry.path), entry.source
    assert isinstance(source, FileRange), "models are files of this machine"
    head = b"".join(source._replace(size=min(source.size, HEAD_BYTES)).chunks())
    found = format_of(Sample(os.path.basename(name), head, source.size))
    return FileContent("weight", found.word) if found and found.detected else FileContent(content_of_name(name))


def _files(model: ShapedModel, making: Making) -> Iterator[tuple[str, Entry]]:
    """Yields the files of a model with their paths. A link to a file is that file once more; folders are not kept."""
    entries = sorted(model.listing.entries)
    check_paths(entries)
    move = move_into_car(model.name, model.version, entries, model.under)
    known = {each.path: each for each in entries}
    empty = {each.path for each in entries if each.kind is Kind.DIRECTORY}
    for entry in entries:
        empty.discard(entry.path.rpartition(b"/")[0])
        if entry.kind is not Kind.DIRECTORY:
            yield _text(move.path(entry.path).removeprefix(CAR + b"/")), _real(entry, known)
    for path in sorted(empty):
        making.emit(Notice(f"the folder {show(move.path(path))} is empty, and an artifact of files can't have it"))


def _real(entry: Entry, known: Mapping[bytes, Entry]) -> Entry:
    """The file that an entry is, or leads to."""
    found: Entry | None = entry
    for _ in range(_MAX_LINKS):
        if found is None or found.kind is not Kind.SYMLINK:
            break
        found = known.get(posixpath.normpath(posixpath.join(posixpath.dirname(found.path), found.link)))
    if found is None or found.kind is not Kind.FILE:
        raise UserError(
            f"{show(entry.path)} is a link to {show(entry.link)}, which is no file of the model",
            hint="an artifact of files has no links to folders; -o modelpack-tar:REF keeps them",
        )
    if isinstance(found.source, UnfetchedFile) or not isinstance(found.source, FileRange):
        raise SourceError("is not on this machine", where=show(found.path))
    return found


_MAX_LINKS = 40
"""Links in a chain that are followed: Linux's own limit."""


def _text(path: bytes) -> str:
    try:
        return path.decode()
    except UnicodeDecodeError:
        raise UserError(
            f"{show(path)} is no UTF-8, and the annotations of an artifact are", hint="rename the file"
        ) from None


def _measure(making: Making, entry: Entry) -> Layer:
    """Measures a file, or remembers what it was measured as."""
    source, config = entry.source, making.connections.config
    assert isinstance(source, FileRange), "`_files` has seen to it"
    key = Digest.of(canonical_json({"role": KIND, "file": fingerprint([entry])}))
    known = None if making.source.request.paranoid else config.layer_cache.get(key)
    if known is not None:
        return known
    label = f"model: {os.path.basename(source.path)}"
    begun = time.time_ns()
    measuring = Measuring(TrackedChunks(_Chunks(source), label, source.size, making.emit), NONE, source.size)
    layer = making.sink.take(measuring)
    if settled([entry], begun):
        config.layer_cache.put(key, layer)
    return layer


@dataclass(frozen=True, slots=True)
class _Chunks:
    """A file's chunks, as often as they are wanted."""

    source: FileRange

    def __iter__(self) -> Iterator[bytes]:
        return self.source.chunks()


def _notes(path: str, entry: Entry, found: FileContent) -> dict[str, str]:
    """The annotations of a file. Its mode and time are those that it has in an image."""
    metadata = {
        "name": os.path.basename(path),
        "mode": entry.mode,
        "uid": 0,
        "gid": 0,
        "size": entry.size,
        "mtime": timestamp(EPOCH),
        "typeflag": 0,  # what modctl writes, and reads, for a file
    }
    return {
        FILEPATH: path,
        TITLE: path,
        METADATA: canonical_json(metadata).decode(),
        UNTESTED: "false" if found.format else "true",
    }
