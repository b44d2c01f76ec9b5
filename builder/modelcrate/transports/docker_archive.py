"""`docker-archive:FILE[:NAME]`: one tar that is at once an OCI layout and what `docker load` reads. `-` is standard output.

Its layers are plain tars, so that every Docker loads it, also those before 23 that know no zstd; the config, and with it the image
id, is the image's own, while the manifest in the archive is another. The order of the members and both ways to name the
image are those of Docker 25 (moby's save), which containerd's importer reads as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from modelcrate.events import Emit
from modelcrate.images.artifact import ORIGINAL_ANNOTATION, format_location
from modelcrate.images.image import Deliverable, Image, ImageLayer, replaced
from modelcrate.images.reading import plain_size
from modelcrate.images.reference import Reference
from modelcrate.transports import archive_writer
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Blob, Descriptor, MediaType, verified
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.recipe import Layer, RecipeBlob

KIND = "docker-archive"
EXAMPLE = "FILE[:NAME]"


def parse(target: str) -> DockerArchiveOutput:
    file, colon, name = target.partition(":")
    return DockerArchiveOutput(file, name if colon else None)


@dataclass(frozen=True, slots=True)
class PlainBlob:
    """The tar inside a stored layer, as a blob of its own: its digest is the diff id."""

    stored: Blob
    descriptor: Descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        chunks = verified(codecs.decode(self.stored.chunks()), self.descriptor)
        for chunk in chunks:
            if start < len(chunk):
                yield chunk[start:] if start else chunk
            start = max(0, start - len(chunk))


@dataclass(frozen=True, slots=True)
class DockerArchiveOutput:
    """`name` is what `docker load` calls the image; None: the image's own."""

    file: str
    name: str | None = None

    kind = KIND

    @property
    def target(self) -> str:
        return f"{self.file}:{self.name}" if self.name else self.file

    def named(self, name: str) -> DockerArchiveOutput:
        """The same place, with a name if it had none."""
        return self if self.name else DockerArchiveOutput(self.file, name)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        if len(image.images) != 1:
            have = ", ".join(str(each.platform) for each in image.images) or "nothing that can run"
            raise UserError(
                "a docker archive holds an image for one platform",
                where=self.target,
                why=f"this one has {have}",
                hint="choose one with --platform, or write an oci-archive",
            )
        full, short, tag = _names(self.name or "modelcrate:latest")
        signed, attached = image.images[0].manifest, image.graph().attached
        image = plain(image.images[0])
        graph, root = image.graph(), image.descriptor
        if attached:  # they are about the image's own manifest, which is not the one that Docker gets
            graph = replace(graph, documents=(*graph.documents, signed), attached=attached)
            root = replace(root, annotations={ORIGINAL_ANNOTATION: format_location(signed)})
        blob_path = "blobs/{0.algorithm}/{0.hex}".format
        legacy = {
            "Config": blob_path(image.id),
            "RepoTags": [short],
            "Layers": [blob_path(layer.descriptor.digest) for layer in image.layers],
        }
        top = image.layers[-1].layer.diff_id.hex if image.layers else ""
        repositories = {short.rpartition(":")[0]: {tag: top}}
        extra = [
            archive_writer.document("manifest.json", [legacy]),
            archive_writer.document("repositories", repositories),
        ]
        size = archive_writer.write(self.file, archive_writer.members(graph, root, full, tag, extra, emit))
        return Delivered(KIND, self.target, image.digest, size)


def plain(image: Image) -> Image:
    """The same image with every layer stored as a plain tar: same config, same diff ids, another manifest."""
    return replaced(image, tuple(_plain(layer) for layer in image.layers))


def _plain(layer: ImageLayer) -> ImageLayer:
    """A recipe gives the tar directly; what is stored compressed is unpacked on the way."""
    if layer.layer.descriptor.digest == layer.layer.diff_id:
        return layer
    size = plain_size(layer)
    facts = Layer(Descriptor(MediaType.LAYER, layer.layer.diff_id, size), layer.layer.diff_id, size, codecs.NONE)
    blob = layer.blob
    straight: Blob = PlainBlob(blob, facts.descriptor)
    if isinstance(blob, RecipeBlob):
        straight = RecipeBlob(blob.recipe.stored(codecs.NONE), facts)
    return ImageLayer(layer.role, layer.name, facts, straight, layer.origin, layer.why, layer.key)


def _names(name: str) -> tuple[str, str, str]:
    """The full name, the familiar one and the tag: `docker.io/library/x:1`, `x:1`, `1`."""
    reference = Reference.parse(name)
    tag = reference.tag or "latest"
    familiar = name if reference.tag else f"{name}:{tag}"
    return f"{reference.registry}/{reference.repository}:{tag}", familiar.partition("@")[0], tag
