"""Images in one tar: OCI archives, and what `docker save` writes. Nothing is unpacked; blobs are ranges of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from modelcrate.images.artifact import ARTIFACTS_ANNOTATION, ORIGINAL_ANNOTATION, Artifact
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.transports.layout_reader import choose_manifest, list_layout
from modelcrate_layers.content import (
    MAX_JSON,
    Blob,
    Descriptor,
    Digest,
    MediaType,
    canonical_json,
    parse_json,
    parse_object,
)
from modelcrate_layers.content import Literal as LiteralBlob
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import FileBlob
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import Place, index_tar
from modelcrate_layers.tar.sources import FileRange, Stamp, sha256


@dataclass(frozen=True, slots=True)
class Archive:
    """A tar and where its files are in it."""

    path: Path
    stamp: Stamp = field(repr=False)
    files: Mapping[bytes, Place] = field(repr=False, hash=False)

    @classmethod
    def open(cls, path: Path) -> Archive:
        whole = FileRange.whole(str(path))
        try:
            with open(path, "rb") as archive:
                head = archive.read(6)
                if (packed := codecs.sniff(head)) != "none":
                    raise SourceError(
                        f"is compressed with {packed}",
                        where=str(path),
                        hint="unpack it first: it is read in place, piece by piece",
                    )
                return cls(path, whole.stamp, index_tar(archive))
        except IntegrityError as fault:
            raise IntegrityError(fault.what, where=str(path)) from None

    def range(self, name: str) -> FileRange:
        """A file of the archive; an IntegrityError, if it has none of that name."""
        place = self.files.get(name.encode())
        if place is None:
            raise IntegrityError(f"has no file {name[:200]!r}", where=str(self.path))
        return FileRange(str(self.path), self.stamp, place.offset, place.size)

    def small(self, name: str) -> bytes:
        source = self.range(name)
        if source.size > MAX_JSON:
            raise IntegrityError(f"{name} has more than {MAX_JSON} bytes", where=str(self.path))
        return b"".join(source.chunks())

    def blob(self, name: str, descriptor: Descriptor) -> FileBlob:
        source = self.range(name)
        if source.size != descriptor.size:
            raise IntegrityError(f"{name} has {source.size} bytes, not {descriptor.size}", where=str(self.path))
        return FileBlob(self.path, descriptor, source.offset)


@dataclass(frozen=True, slots=True)
class OciArchiveCollection:
    archive: Archive

    @property
    def where(self) -> str:
        return str(self.archive.path)

    def read(self, descriptor: Descriptor) -> bytes:
        if descriptor.size > MAX_JSON:
            raise IntegrityError(f"a document of {descriptor.size} bytes; the limit is {MAX_JSON}", where=self.where)
        return b"".join(self.blob(descriptor).chunks())

    def blob(self, descriptor: Descriptor) -> Blob:
        return stored(self.archive, descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        return list_layout(entries(self.archive), digest, self.read, self.blob)


@dataclass(frozen=True, slots=True)
class DockerArchiveCollection:
    """Docker's archives have no manifest of the kind that registries have: one is made from what they do have."""

    archive: Archive
    documents: Mapping[Digest, LiteralBlob] = field(repr=False, hash=False)
    layers: Mapping[Digest, Blob] = field(repr=False, hash=False)

    @property
    def where(self) -> str:
        return str(self.archive.path)

    def read(self, descriptor: Descriptor) -> bytes:
        if descriptor.size > MAX_JSON:
            raise IntegrityError(f"a document of {descriptor.size} bytes; the limit is {MAX_JSON}", where=self.where)
        return b"".join(self.blob(descriptor).chunks())

    def blob(self, descriptor: Descriptor) -> Blob:
        found = self.documents.get(descriptor.digest) or self.layers.get(descriptor.digest)
        return found if found is not None else stored(self.archive, descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        return []


def stored(archive: Archive, descriptor: Descriptor) -> FileBlob:
    """A blob where an OCI layout has it."""
    digest = descriptor.digest
    return archive.blob(f"blobs/{digest.algorithm}/{digest.hex}", descriptor)


def entries(archive: Archive) -> list[Descriptor]:
    """What an archive's index.json names."""
    manifests = parse_object(archive.small("index.json"), str(archive.path)).get("manifests")
    if not isinstance(manifests, list):
        raise IntegrityError("index.json is not an index", where=str(archive.path))
    return [Descriptor.parse(each) for each in manifests]


def find_oci(path: Path, tag: str | None = None) -> Found:
    """What an OCI archive has under a tag; without one, the only thing that it has."""
    archive = Archive.open(path)
    if parse_object(archive.small("oci-layout"), str(path)).get("imageLayoutVersion") != "1.0.0":
        raise IntegrityError("has an unknown layout version", where=str(path))
    return Found(OciArchiveCollection(archive), choose_manifest(entries(archive), tag, str(path)))


def find_docker(path: Path, name: str | None = None) -> Found:
    """What a docker archive has under a name; without one, the only image that it has.

    An archive that is an OCI layout as well (ours, and Docker's since 25) is read as one: its manifests are what was published.
    """
    archive = Archive.open(path)
    if name is None and {b"oci-layout", b"index.json"} <= archive.files.keys():
        return find_oci(path)
    items = parse_json(archive.small("manifest.json"), str(path))
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise IntegrityError("manifest.json is not a list of images", where=str(path))
    tags = [[tag for tag in item.get("RepoTags") or [] if isinstance(tag, str)] for item in items]
    fitting = [item for item, have in zip(items, tags, strict=True) if name is None or _names_it(name, have)]
    if len(fitting) != 1:
        have = ", ".join(tag for each in tags for tag in each) or "no names"
        raise SourceError(
            f"has {len(fitting)} images that fit", where=str(path), why=f"it has: {have}", hint="name one"
        )
    return _docker(archive, fitting[0])


def _names_it(name: str, tags: Sequence[str]) -> bool:
    """Returns whether one of an image's tags means this name: without a tag it is `latest`, and engines write hosts before it."""
    wanted = Reference.parse(name)
    plain = f"{wanted.repository.removeprefix('library/')}:{wanted.target}"
    return name in tags or bool({f"{wanted.name}:{wanted.target}", plain, f"localhost/{plain}"} & set(tags))


def _docker(archive: Archive, item: Mapping[str, object]) -> Found:
    config_name, names = item.get("Config"), item.get("Layers")
    if (
        not isinstance(config_name, str)
        or not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
    ):
        raise IntegrityError("manifest.json does not name a config and layers", where=str(archive.path))
    config = LiteralBlob(archive.small(config_name), MediaType.CONFIG)
    blobs = [_layer(archive, name) for name in names]
    manifest = LiteralBlob(
        canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MediaType.MANIFEST,
                "config": config.descriptor.json(),
                "layers": [blob.descriptor.json() for blob in blobs],
            }
        ),
        MediaType.MANIFEST,
    )
    documents = {document.descriptor.digest: document for document in (config, manifest)}
    collection = DockerArchiveCollection(archive, documents, {blob.descriptor.digest: blob for blob in blobs})
    return Found(collection, replace(manifest.descriptor, annotations=_notes(archive, manifest.data)))


def _notes(archive: Archive, manifest: bytes) -> dict[str, str]:
    """What our own archives say of their image beside Docker's words: its artifacts, and the manifest that they are about."""
    if b"index.json" not in archive.files:
        return {}
    config = parse_object(manifest)["config"]["digest"]
    for each in entries(archive):
        if ARTIFACTS_ANNOTATION in each.annotations and each.size <= MAX_JSON:
            document = parse_object(b"".join(stored(archive, each).chunks()))
            if Descriptor.parse(document.get("config")).digest == Digest.parse(config):
                return {
                    key: each.annotations[key]
                    for key in (ARTIFACTS_ANNOTATION, ORIGINAL_ANNOTATION)
                    if key in each.annotations
                }
    return {}


def _layer(archive: Archive, name: str) -> FileBlob:
    """A layer by its name; the archive doesn't say its digest reliably, so it is read once."""
    source = archive.range(name)
    with open(archive.path, "rb") as file:
        file.seek(source.offset)
        packed = codecs.sniff(file.read(6))
    if packed == "xz":
        raise SourceError(f"{name} is compressed with xz, which no image may be", where=str(archive.path))
    descriptor = Descriptor(codecs.Codec(packed).media_type, Digest("sha256", sha256(source)), source.size)
    return FileBlob(archive.path, descriptor, source.offset)
