"""`oci-archive:FILE`: an OCI image layout as one tar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelcrate.events import Emit
from modelcrate.images.artifact import Artifact
from modelcrate.images.image import Deliverable
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.plain_layers import TarSize
from modelcrate.images.reading import Found
from modelcrate.transports import archive
from modelcrate.transports.archive import Archive
from modelcrate.transports.archive_session import ArchiveSession, open_archive
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import choose_manifest, read_tagged_artifacts
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Blob, Descriptor, Digest, parse_object
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.codec import NONE, Codec
from modelcrate_layers.tar.tree import Entry

KIND = "oci-archive"
EXAMPLE = "FILE"


def parse(target: str) -> OciArchiveOutput:
    """Returns the output for a target of the command line."""
    return OciArchiveOutput(target)


@dataclass(frozen=True, slots=True)
class OciArchiveOutput:
    """A tar that is written; `-` is standard output."""

    target: str

    kind = KIND

    @property
    def file(self) -> str:
        """The path of the file."""
        return self.target

    def has_tar(self, codec: Codec) -> bool:
        """Returns whether a layer is in the archive as a plain tar. How long a compressed one is, is known only when it is made."""
        return codec == NONE

    def members(self, image: Deliverable, sizes: TarSize, emit: Emit) -> tuple[Digest, list[Entry]]:
        """Returns the digest of the image, and the members. See `ArchiveOutput.members`."""
        return image.digest, archive.layout_entries(image.graph(), image.descriptor, None, None, (), emit)

    @contextmanager
    def session(self, connections: Connections, emit: Emit) -> Iterator[ArchiveSession]:
        """Opens the output for tars that are written while they are measured."""
        with open_archive(self) as session:
            yield session

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the image. See `Output.deliver`."""
        with open_archive(self) as session:
            return session.deliver(image, connections, emit)


@dataclass(frozen=True, slots=True)
class OciArchiveCollection:
    """The images of an archive that has an OCI layout. See `images.manifests.Collection`."""

    archive: Archive

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
        return self.archive.blob(descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """Returns the artifacts about an image that other tools have put into index.json."""
        return read_tagged_artifacts(self.archive.manifests(), digest, self.read, self.blob)


def find(path: Path, tag: str | None = None) -> Found:
    """Returns the image of an archive with a tag; without a tag, the only image.

    Raises:
        SourceError: The archive is missing, or no image or several fit.
        IntegrityError: The archive is damaged, or not an OCI layout of version 1.0.0.
    """
    opened = Archive.open(path)
    if parse_object(opened.read("oci-layout"), str(path)).get("imageLayoutVersion") != "1.0.0":
        raise IntegrityError("has an unknown layout version", where=str(path))
    return Found(OciArchiveCollection(opened), choose_manifest(opened.manifests(), tag, str(path)))
