"""What the archive outputs share: a tar of an OCI image layout, written beside and renamed, or streamed to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from modelcrate.events import Emit, track_chunks
from modelcrate.images import artifact
from modelcrate.images.image import Graph
from modelcrate_layers.atomic import incoming, write_all
from modelcrate_layers.content import Blob, Descriptor, canonical_json
from modelcrate_layers.errors import MachineError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import LAYOUT_VERSION, REF_NAME, as_machine_error
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import Bytes, Source
from modelcrate_layers.tar.tree import Entry, directory, file

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class BlobSource:
    """A blob as the bytes of an archive's member, told of as it is written."""

    blob: Blob
    emit: Emit

    @property
    def size(self) -> int:
        return self.blob.descriptor.size

    def chunks(self) -> Iterator[bytes]:
        label = f"write {self.blob.descriptor.digest.short}"
        return track_chunks(self.blob.chunks(), label, self.size, self.emit)


def streams(kind: str, target: str) -> bool:
    """Whether an output of this kind and target goes to standard output."""
    return kind.endswith("-archive") and target.partition(":")[0] == STDOUT


def members(
    graph: Graph, root: Descriptor, name: str | None, tag: str | None, extra: Sequence[Entry], emit: Emit
) -> list[Entry]:
    """The members of an archive, small documents first so that a reader of a stream knows early what comes.

    `name` is the full name that containerd and Docker take the image in under, `tag` the layout's own.
    """
    notes = {"io.containerd.image.name": name} if name else {}
    notes |= {REF_NAME: tag} if tag else {}
    notes |= artifact.make_artifact_annotations(graph.attached, root)
    described = root.json()
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [described]}
    if notes:
        described["annotations"] = {**described.get("annotations", {}), **notes}
    documents = (*graph.documents, *artifact.list_blobs(graph.attached))
    blobs = {blob.descriptor.digest: blob for blob in (*documents, *graph.blobs)}
    return [
        _member("oci-layout", Bytes(LAYOUT_VERSION)),
        _member("index.json", Bytes(canonical_json(index))),
        *extra,
        directory(b"blobs", 0o755),
        directory(b"blobs/sha256", 0o755),
        *(_member(f"blobs/{digest.algorithm}/{digest.hex}", BlobSource(blob, emit)) for digest, blob in blobs.items()),
    ]


def document(path: str, value: object) -> Entry:
    """A member that is JSON."""
    return _member(path, Bytes(canonical_json(value)))


def write(target: str, entries: Iterable[Entry]) -> int:
    """The archive at its place, whole or not at all; `-` is standard output. Returns its length in bytes."""
    chunks = writer.stream(entries)
    if target == STDOUT:
        try:
            return _pour(chunks, sys.stdout.fileno())
        except BrokenPipeError:
            raise MachineError("was closed before the archive had ended", where="standard output") from None
    path = Path(target)
    with as_machine_error(path):
        if path.exists() and not path.is_file():  # a pipe or a device is written to; a name can't be given to it
            with open(path, "wb", buffering=0) as out:
                return _pour(chunks, out.fileno())
        with incoming(path.absolute().parent) as file:
            size = 0
            for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
            file.keep(path)
    return size


def _pour(chunks: Iterable[bytes], handle: int) -> int:
    size = 0
    for chunk in chunks:
        write_all(handle, chunk)
        size += len(chunk)
    return size


def _member(path: str, source: Source) -> Entry:
    return file(path.encode(), source, 0o644)
