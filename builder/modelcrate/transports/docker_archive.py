"""`docker-archive:FILE[:NAME]`: what `docker save` writes and `docker load` reads. `-` is standard output.

The tar that is written is an OCI layout too. Its layers are plain tars, because Docker before 23 can't read zstd. The config, and with
it the image id, is the image's own; the manifest in the archive is another. The order of the members and both ways to name the image
are those of Docker 25 (moby's save), which containerd's importer reads as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelcrate.events import Emit
from modelcrate.images.artifact import ARTIFACTS_ANNOTATION, ORIGINAL_ANNOTATION, Artifact, format_location
from modelcrate.images.image import Deliverable, Image
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.plain_layers import TarSize, plain_size, replace_layers
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, is_drive
from modelcrate.transports import archive, oci_archive
from modelcrate.transports.archive import Archive
from modelcrate.transports.archive_session import ArchiveSession, open_archive
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
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
from modelcrate_layers.errors import IntegrityError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.store import FileBlob
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.sources import sha256
from modelcrate_layers.tar.tree import Entry

KIND = "docker-archive"
EXAMPLE = "FILE[:NAME]"


def parse(target: str) -> DockerArchiveOutput:
    """Returns the output for a target of the command line."""
    drive, rest = (target[:2], target[2:]) if is_drive(target.partition(":")[0]) else ("", target)
    file, colon, name = rest.partition(":")
    return DockerArchiveOutput(drive + file, name if colon else None)


@dataclass(frozen=True, slots=True)
class DockerArchiveOutput:
    """A tar for `docker load`, which gives the image the name `name`; by default the image's own."""

    file: str
    name: str | None = None

    kind = KIND

    @property
    def target(self) -> str:
        """The path, with the name where one was given."""
        return f"{self.file}:{self.name}" if self.name else self.file

    def with_name(self, name: str) -> DockerArchiveOutput:
        """Returns the output with a name, unless it has one already."""
        return self if self.name else DockerArchiveOutput(self.file, name)

    def has_tar(self, codec: Codec) -> bool:
        """Returns True: all layers are plain tars in it."""
        return True

    def members(self, image: Deliverable, sizes: TarSize, emit: Emit) -> tuple[Digest, list[Entry]]:
        """Returns the digest of the image as Docker gets it, and the members. See `ArchiveOutput.members`."""
        plain, entries = archive_of(image, self.name or "modelcrate:latest", self.target, emit, sizes)
        return plain.digest, entries

    @contextmanager
    def session(self, connections: Connections, emit: Emit) -> Iterator[ArchiveSession]:
        """Opens the output for tars that are written while they are measured."""
        with open_archive(self) as session:
            yield session

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the image. See `Output.deliver`.

        Raises:
            UserError: The image is for several platforms.
        """
        with open_archive(self) as session:
            return session.deliver(image, connections, emit)


def archive_of(
    image: Deliverable, name: str, where: str, emit: Emit, sizes: TarSize = plain_size
) -> tuple[Image, list[Entry]]:
    """Returns the image as Docker gets it, and the members of its archive.

    Args:
        image: The image.
        name: What Docker calls it.
        where: The output, for a failure.
        emit: Gets the progress of the blobs.
        sizes: Tells the lengths of tars.

    Raises:
        UserError: The image is for several platforms.
    """
    if len(image.images) != 1:
        platforms = ", ".join(each.label for each in image.images) or "nothing that can run"
        variant = len({each.variant for each in image.images}) > 1
        raise UserError(
            "a docker archive holds one image" if variant else "a docker archive holds an image for one platform",
            where=where,
            why=f"this one has {platforms}",
            hint="name one of them, in build or copy: --variant NAME, or --variant default"
            if variant
            else "copy one of them: modelcrate copy --platform OS/ARCH; or build for one alone (platforms: [linux/amd64]), or write an oci-archive",
        )
    full, short, tag = _names(name)
    original, attached = image.images[0].manifest, image.graph().attached
    plain = replace_layers(image.images[0], sizes)
    graph, root = plain.graph(), plain.descriptor
    if attached:  # artifacts are about the original manifest, which is not the one that Docker gets
        graph = replace(graph, documents=(*graph.documents, original), attached=attached)
        root = replace(root, annotations={ORIGINAL_ANNOTATION: format_location(original)})
    blob_path = "blobs/{0.algorithm}/{0.hex}".format
    item = {
        "Config": blob_path(plain.id),
        "RepoTags": [short],
        "Layers": [blob_path(layer.descriptor.digest) for layer in plain.layers],
    }
    top = plain.layers[-1].layer.diff_id.hex if plain.layers else ""
    extra = [
        archive.json_entry("manifest.json", [item]),
        archive.json_entry("repositories", {short.rpartition(":")[0]: {tag: top}}),
    ]
    return plain, archive.layout_entries(graph, root, full, tag, extra, emit)


def _names(name: str) -> tuple[str, str, str]:
    """Returns the full name, the familiar name and the tag: `docker.io/library/x:1`, `x:1`, `1`."""
    reference = Reference.parse(name)
    tag = reference.tag or "latest"
    familiar = name if reference.tag else f"{name}:{tag}"
    return f"{reference.registry}/{reference.repository}:{tag}", familiar.partition("@")[0], tag


@dataclass(frozen=True, slots=True)
class DockerArchiveCollection:
    """The images of an archive without an OCI layout. See `images.manifests.Collection`.

    Such an archive has no manifest as registries have it. One is made from its config and layers.
    """

    archive: Archive
    documents: Mapping[Digest, LiteralBlob] = field(repr=False, hash=False)
    layers: Mapping[Digest, Blob] = field(repr=False, hash=False)

    @property
    def where(self) -> str:
        """The path of the archive."""
        return str(self.archive.path)

    def read(self, descriptor: Descriptor) -> bytes:
        """Returns the bytes of a document.

        Raises:
            IntegrityError: The document is missing, or larger than MAX_JSON.
        """
        return archive.read_document(self.blob(descriptor), self.where)

    def blob(self, descriptor: Descriptor) -> Blob:
        """Returns a blob. It is read when its chunks are taken."""
        found = self.documents.get(descriptor.digest) or self.layers.get(descriptor.digest)
        return found if found is not None else self.archive.blob(descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """Returns no artifacts: this format has no place for them."""
        return []


def find(path: Path, name: str | None = None) -> Found:
    """Returns the image of an archive with a name; without a name, the only image.

    An archive that is an OCI layout too (modelcrate's, and Docker's since 25) is read as one, so that manifests keep their digests.

    Raises:
        SourceError: The archive is missing, or no image or several fit.
        IntegrityError: The archive is damaged.
    """
    opened = Archive.open(path)
    if name is None and {b"oci-layout", b"index.json"} <= opened.files.keys():
        return oci_archive.find(path)
    items = parse_json(opened.read("manifest.json"), str(path))
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise IntegrityError("manifest.json is not a list of images", where=str(path))
    tags = [[tag for tag in item.get("RepoTags") or [] if isinstance(tag, str)] for item in items]
    fitting = [item for item, own in zip(items, tags, strict=True) if name is None or _has_name(name, own)]
    if len(fitting) != 1:
        known = ", ".join(tag for each in tags for tag in each) or "no names"
        raise SourceError(
            f"has {len(fitting)} images that fit", where=str(path), why=f"it has: {known}", hint="name one"
        )
    return _make_image(opened, fitting[0])


def _has_name(name: str, tags: Sequence[str]) -> bool:
    """Returns whether one of an image's tags means a name. The tag is `latest` by default, and engines write hosts before the name."""
    wanted = Reference.parse(name)
    plain = f"{wanted.repository.removeprefix('library/')}:{wanted.target}"
    return name in tags or bool({f"{wanted.name}:{wanted.target}", plain, f"localhost/{plain}"} & set(tags))


def _make_image(opened: Archive, item: Mapping[str, object]) -> Found:
    """Returns an image with a manifest that is made from an entry of manifest.json."""
    config_name, names = item.get("Config"), item.get("Layers")
    if (
        not isinstance(config_name, str)
        or not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
    ):
        raise IntegrityError("manifest.json does not name a config and layers", where=str(opened.path))
    config = LiteralBlob(opened.read(config_name), MediaType.CONFIG)
    blobs = [_read_layer(opened, name) for name in names]
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
    collection = DockerArchiveCollection(opened, documents, {blob.descriptor.digest: blob for blob in blobs})
    return Found(collection, replace(manifest.descriptor, annotations=_annotations(opened, manifest.data)))


def _annotations(opened: Archive, manifest: bytes) -> dict[str, str]:
    """Returns modelcrate's own annotations of an image: the locations of its artifacts and of its original manifest."""
    if b"index.json" not in opened.files:
        return {}
    config = parse_object(manifest)["config"]["digest"]
    for each in opened.manifests():
        if ARTIFACTS_ANNOTATION in each.annotations and each.size <= MAX_JSON:
            document = parse_object(b"".join(opened.blob(each).chunks()))
            if Descriptor.parse(document.get("config")).digest == Digest.parse(config):
                own = (ARTIFACTS_ANNOTATION, ORIGINAL_ANNOTATION)
                return {key: each.annotations[key] for key in own if key in each.annotations}
    return {}


def _read_layer(opened: Archive, name: str) -> FileBlob:
    """Returns a layer by its name in the archive. Its digest is computed, because names are no reliable digests."""
    source = opened.range(name)
    with open(opened.path, "rb") as file:
        file.seek(source.offset)
        packed = codecs.sniff(file.read(6))
    if packed == "xz":
        raise SourceError(
            f"{name} is compressed with xz, which no image may be",
            where=str(opened.path),
            hint="save the image again: docker save has plain layers",
        )
    descriptor = Descriptor(Codec(packed).media_type, Digest("sha256", sha256(source)), source.size)
    return FileBlob(opened.path, descriptor, source.offset)
