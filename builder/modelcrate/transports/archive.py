"""A tar of an image as one file: what is in both kinds of archives. Reading unpacks nothing; blobs are ranges of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelcrate.events import Emit, track_chunks
from modelcrate.images import artifact
from modelcrate.images.image import Graph
from modelcrate_layers.content import MAX_JSON, Blob, Descriptor, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.store import LAYOUT_VERSION, REF_NAME, FileBlob
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import Place, index_tar
from modelcrate_layers.tar.sources import Bytes, FileRange, Source, Stamp
from modelcrate_layers.tar.tree import Entry, directory, file


@dataclass(frozen=True, slots=True)
class Archive:
    """A tar file, and the offsets of the files in it."""

    path: Path
    stamp: Stamp = field(repr=False)
    files: Mapping[bytes, Place] = field(repr=False, hash=False)

    @classmethod
    def open(cls, path: Path) -> Archive:
        """Reads the headers of a tar.

        Raises:
            SourceError: The tar is missing or compressed.
            IntegrityError: It is damaged.
        """
        content = FileRange.of_file(str(path))
        try:
            with open_named_file(path) as archive:
                if (packed := codecs.sniff(archive.read(6))) != "none":
                    raise SourceError(
                        f"is compressed with {packed}",
                        where=str(path),
                        hint="unpack it first: blobs are read from the tar in place",
                    )
                return cls(path, content.stamp, index_tar(archive))
        except IntegrityError as fault:
            raise IntegrityError(fault.what, where=str(path)) from None

    def range(self, name: str) -> FileRange:
        """Returns a file of the archive.

        Raises:
            IntegrityError: The archive has no file of that name.
        """
        place = self.files.get(name.encode())
        if place is None:
            raise IntegrityError(f"has no file {name[:200]!r}", where=str(self.path))
        return FileRange(str(self.path), self.stamp, place.offset, place.size)

    def read(self, name: str) -> bytes:
        """Returns the bytes of a small file, such as a JSON document.

        Raises:
            IntegrityError: The file is missing, or larger than MAX_JSON.
        """
        source = self.range(name)
        if source.size > MAX_JSON:
            raise IntegrityError(f"{name} has more than {MAX_JSON} bytes", where=str(self.path))
        return b"".join(source.chunks())

    def blob(self, descriptor: Descriptor) -> FileBlob:
        """Returns a blob from the place that an OCI layout has for it.

        Raises:
            IntegrityError: The blob is missing, or has another size.
        """
        name = f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"
        source = self.range(name)
        if source.size != descriptor.size:
            raise IntegrityError(f"{name} has {source.size} bytes, not {descriptor.size}", where=str(self.path))
        return FileBlob(self.path, descriptor, source.offset)

    def manifests(self) -> list[Descriptor]:
        """Returns the entries of the archive's index.json.

        Raises:
            IntegrityError: The index is missing or malformed.
        """
        manifests = parse_object(self.read("index.json"), str(self.path)).get("manifests")
        if not isinstance(manifests, list):
            raise IntegrityError("index.json is not an index", where=str(self.path))
        return [Descriptor.parse(each) for each in manifests]


def read_document(blob: Blob, where: str) -> bytes:
    """Returns the bytes of a document of an image; `where` is the archive, for a failure.

    Raises:
        IntegrityError: The document is larger than MAX_JSON.
    """
    if blob.descriptor.size > MAX_JSON:
        raise IntegrityError(f"a document of {blob.descriptor.size} bytes; the limit is {MAX_JSON}", where=where)
    return b"".join(blob.chunks())


@dataclass(frozen=True, slots=True)
class BlobSource:
    """A blob as the content of an archive's member. Writing it is reported as progress."""

    blob: Blob
    emit: Emit

    @property
    def size(self) -> int:
        """The size of the blob in bytes."""
        return self.blob.descriptor.size

    def chunks(self) -> Iterator[bytes]:
        """Returns the bytes of the blob."""
        label = f"write {self.blob.descriptor.digest.short}"
        return track_chunks(self.blob.chunks(), label, self.size, self.emit)


def layout_entries(
    graph: Graph, root: Descriptor, name: str | None, tag: str | None, extra: Sequence[Entry], emit: Emit
) -> list[Entry]:
    """Returns the members of an archive with an OCI layout of one image.

    Args:
        graph: The documents and blobs of the image.
        root: The descriptor of the image in index.json.
        name: The full name that containerd and Docker give to the image.
        tag: The tag in the layout.
        extra: Members to write after index.json.
        emit: Gets the progress of the blobs.
    """
    blobs = (*graph.documents, *artifact.list_blobs(graph.attached), *graph.blobs)
    return layout_members([index_entry(graph.attached, root, name, tag)], blobs, extra, emit)


def index_entry(
    attached: Sequence[artifact.Artifact], root: Descriptor, name: str | None, tag: str | None
) -> dict[str, Any]:
    """Returns the entry of an image in index.json, as JSON. The arguments are those of `layout_entries`."""
    annotations = {"io.containerd.image.name": name} if name else {}
    annotations |= {REF_NAME: tag} if tag else {}
    annotations |= artifact.make_artifact_annotations(attached, root)
    described = root.json()
    if annotations:
        described["annotations"] = {**described.get("annotations", {}), **annotations}
    return described


def layout_members(
    manifests: Sequence[dict[str, Any]], blobs: Iterable[Blob], extra: Sequence[Entry], emit: Emit
) -> list[Entry]:
    """Returns the members of an archive with an OCI layout.

    Args:
        manifests: The entries of index.json.
        blobs: All blobs, each written once. Small documents come first, so that a reader of a stream has them before the layers.
        extra: Members to write after index.json.
        emit: Gets the progress of the blobs.
    """
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": list(manifests)}
    unique = {blob.descriptor.digest: blob for blob in blobs}
    return [
        _entry("oci-layout", Bytes(LAYOUT_VERSION)),
        _entry("index.json", Bytes(canonical_json(index))),
        *extra,
        directory(b"blobs", 0o755),
        directory(b"blobs/sha256", 0o755),
        *(_entry(f"blobs/{digest.algorithm}/{digest.hex}", BlobSource(blob, emit)) for digest, blob in unique.items()),
    ]


def json_entry(path: str, value: object) -> Entry:
    """Returns a member with a value as JSON."""
    return _entry(path, Bytes(canonical_json(value)))


def _entry(path: str, source: Source) -> Entry:
    return file(path.encode(), source, 0o644)
