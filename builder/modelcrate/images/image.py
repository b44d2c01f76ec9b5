"""Images and indexes as bytes: from here on these bytes are the identity. Pure.

Section names are those of the OCI image specification 1.1 (config.md, manifest.md, image-index.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from modelcrate.images.artifact import Artifact
from modelcrate.images.image_config import EPOCH, RunSpec, make_config
from modelcrate_layers.content import (
    Blob,
    Descriptor,
    Digest,
    MediaType,
    Platform,
    canonical_json,
    parse_object,
)
from modelcrate_layers.content import Literal as LiteralBlob
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.codec import NOTES
from modelcrate_layers.tar.recipe import Layer

Origin = Literal["built", "known", "reused"]
"""Where a layer comes from: made in this build; known from an earlier one; reused from the base or another image."""

ANNOTATION = "io.modelcrate."
"""What our own annotations begin with."""

MODELCAR = ANNOTATION + "modelcar"
"""Annotation of a manifest: `true` where the layers of models have their files below `/models`, too (`kinds.model`)."""

SOCI_POINTER = "com.amazon.soci.index-digest"
"""Annotation of a manifest: the digest of the SOCI index of its layers (`soci`)."""

VARIANT = ANNOTATION + "variant"
"""Annotation of a manifest, and of its descriptor in an index, with the name of the variant that it is; the project itself has none."""

DEFAULT_VARIANT = "default"
"""What the image without that annotation is called where a variant is chosen."""

_VARIANT_NAME = compile_later(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")

MAX_VARIANT_NAME = 32
"""Characters of a variant's name: it is the end of a tag."""

MAX_IMAGE_LAYERS = 127
"""How many layers an image may have: container engines stack at most 127 folders."""

INPUTS = 4096
"""Characters of a layer's inputs that its annotation may have: manifests have to stay small."""

_DOCKER_TYPES = {
    MediaType.DOCKER_LAYER: MediaType.LAYER,
    MediaType.DOCKER_LAYER_GZIP: MediaType.LAYER_GZIP,
    MediaType.DOCKER_LAYER_ZSTD: MediaType.LAYER_ZSTD,
    MediaType.DOCKER_CONFIG: MediaType.CONFIG,
}
"""Docker's layer types and OCI's are the same bytes; a manifest of ours speaks OCI."""


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """A layer of an image: its measures, a source of its bytes, and the reason for its origin."""

    role: str
    name: str
    layer: Layer
    blob: Blob = field(repr=False, compare=False)
    origin: Origin = field(default="built", compare=False)
    why: str = field(default="", compare=False)
    key: Digest | None = None

    @property
    def foreign(self) -> bool:
        """Whether it is a layer of an existing base, which is kept as it is."""
        return self.role == "base" and self.key is None

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor in the manifest, with our annotations if the layer is ours."""
        plain = self.layer.descriptor
        if self.foreign:
            return Descriptor(
                _DOCKER_TYPES.get(plain.media_type, plain.media_type),
                plain.digest,
                plain.size,
                plain.annotations,
                rest=plain.rest,
            )
        notes = {"layer.role": self.role, "layer.name": self.name, "layer.codec": str(self.layer.codec)}
        notes["layer.tar-size"] = str(self.layer.tar_size)
        if inputs := layer_annotations(self.layer.inputs):
            notes["layer.inputs"] = inputs
        if self.key is not None:
            notes["layer.key"] = str(self.key)
        ours = {ANNOTATION + key: notes[key] for key in sorted(notes)}
        theirs = {key: plain.annotations[key] for key in NOTES if key in plain.annotations}
        return Descriptor(plain.media_type, plain.digest, plain.size, ours | theirs)


def layer_annotations(inputs: Sequence[str]) -> str:
    """Returns the inputs of a layer as an annotation: JSON, cut where it would be too long, with the number of those left out."""
    kept, size = [], 0
    for each in inputs:
        size += len(each) + 3
        if size > INPUTS:
            break
        kept.append(each)
    left = [f"... and {len(inputs) - len(kept)} more"] if len(kept) < len(inputs) else []
    return canonical_json([*kept, *left]).decode() if inputs else ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A manifest or index with all documents and blobs below it: what an output delivers.

    `documents` are manifests and indexes, children before parents, the root last; `blobs` are configs and layers, each once.
    `attached` are artifacts about them, which are delivered with them.
    """

    root: LiteralBlob
    documents: tuple[LiteralBlob, ...]
    blobs: tuple[Blob, ...]
    attached: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """Config and manifest over layers, for one platform."""

    platform: Platform
    config: LiteralBlob = field(repr=False)
    manifest: LiteralBlob = field(repr=False)
    layers: tuple[ImageLayer, ...]
    attached: tuple[Artifact, ...] = field(default=(), repr=False, compare=False)
    """Artifacts about it: no part of it, but delivered with it."""

    @property
    def descriptor(self) -> Descriptor:
        """The manifest's, with the platform, and with the variant's name if it is one."""
        plain = self.manifest.descriptor
        notes = {VARIANT: self.variant} if self.variant else {}
        return Descriptor(plain.media_type, plain.digest, plain.size, notes, self.platform.json())

    @property
    def variant(self) -> str:
        """The name of the variant of the project; empty for the project itself."""
        return str(self.annotations.get(VARIANT, ""))

    @property
    def title(self) -> str:
        """What the image is called by its annotations; empty where they do not say."""
        return str(self.annotations.get("org.opencontainers.image.title", ""))

    @property
    def annotations(self) -> Mapping[str, Any]:
        """The annotations of the manifest."""
        return parse_object(self.manifest.data).get("annotations") or {}

    @property
    def label(self) -> str:
        """The platform, and the variant if it is one: what tells it from the other images of an index."""
        return image_label(self.platform, self.variant)

    @property
    def digest(self) -> Digest:
        """The digest of the manifest."""
        return self.manifest.descriptor.digest

    @property
    def id(self) -> Digest:
        """The image id of Docker: the digest of the config. It does not depend on the codecs, but for eStargz."""
        return self.config.descriptor.digest

    @property
    def settings(self) -> dict[str, Any]:
        """The config, parsed."""
        return parse_object(self.config.data)

    @property
    def images(self) -> tuple[Image, ...]:
        """The image itself, as an index lists its images."""
        return (self,)

    def graph(self) -> Graph:
        """Returns the manifest with the config and the layers, each blob once."""
        blobs: dict[Digest, Blob] = {self.config.descriptor.digest: self.config}
        for layer in self.layers:
            blobs.setdefault(layer.descriptor.digest, layer.blob)
        return Graph(self.manifest, (self.manifest,), tuple(blobs.values()), self.attached)


@dataclass(frozen=True, slots=True)
class Index:
    """Images by platform."""

    index: LiteralBlob = field(repr=False)
    images: tuple[Image, ...]
    attached: tuple[Artifact, ...] = field(default=(), repr=False, compare=False)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the index."""
        return self.index.descriptor

    @property
    def digest(self) -> Digest:
        """The digest of the index."""
        return self.index.descriptor.digest

    def graph(self) -> Graph:
        """Returns the index with its manifests and their blobs, each blob once."""
        blobs: dict[Digest, Blob] = {}
        for image in self.images:
            for blob in image.graph().blobs:
                blobs.setdefault(blob.descriptor.digest, blob)
        attached = (*self.attached, *(each for image in self.images for each in image.attached))
        manifests = (image.manifest for image in self.images)
        return Graph(self.index, (*manifests, self.index), tuple(blobs.values()), attached)


@dataclass(frozen=True, slots=True)
class Copy:
    """An existing image, index or artifact that is delivered byte for byte. `images` are those in it that can run."""

    descriptor: Descriptor
    images: tuple[Image, ...]
    contents: Graph = field(repr=False)

    @property
    def digest(self) -> Digest:
        """The digest of the manifest or index."""
        return self.descriptor.digest

    def graph(self) -> Graph:
        """Returns all that is delivered, as it was read."""
        return self.contents


Deliverable = Image | Index | Copy
"""Everything that an output delivers."""


def assemble(
    platform: Platform,
    base: Mapping[str, Any],
    layers: Sequence[ImageLayer],
    run: RunSpec,
    created: datetime = EPOCH,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """Returns the image of these layers.

    Args:
        platform: The platform of the image.
        base: The config of the base; its unknown members are kept.
        layers: Lowest first.
        run: The container's settings, which are laid over the base's.
        created: The time in the config.
        annotations: The annotations of the manifest.
    """
    diff_ids = [layer.layer.diff_id for layer in layers]
    steps = [f"modelcrate: {layer.role} {layer.name}" for layer in layers[sum(each.foreign for each in layers) :]]
    made = make_config(platform, base, diff_ids, steps, run, created)
    config = LiteralBlob(canonical_json(made), MediaType.CONFIG)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "config": config.descriptor.json(),
        "layers": [layer.descriptor.json() for layer in layers],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    return Image(platform, config, LiteralBlob(canonical_json(manifest), MediaType.MANIFEST), tuple(layers))


def combine(images: Iterable[Image]) -> Index:
    """Returns the index of these images, in their order: clients take the first that fits (image-index.md), so variants come last."""
    images = tuple(images)
    index = {
        "schemaVersion": 2,
        "mediaType": MediaType.INDEX,
        "manifests": [image.descriptor.json() for image in images],
    }
    return Index(LiteralBlob(canonical_json(index), MediaType.INDEX), images)


def image_label(platform: Platform | str, variant: str) -> str:
    """Returns what tells an image from the others of an index: its platform, and the name of the variant if it is one."""
    return f"{platform} {variant}".rstrip()


def is_variant_name(text: str) -> bool:
    """Returns whether a variant may be called so."""
    return len(text) <= MAX_VARIANT_NAME and _VARIANT_NAME.fullmatch(text) is not None and text != DEFAULT_VARIANT


def parts_of(made: Deliverable) -> dict[str, Image | Index]:
    """Returns what the default and each variant of an index is by itself, by their names. Nothing, where it has not both of them.

    A foreign index may have names that could not be the end of a tag; those are not among them.
    """
    named: dict[str, list[Image]] = {}
    for each in made.images:
        if not each.variant or is_variant_name(each.variant):
            named.setdefault(each.variant or DEFAULT_VARIANT, []).append(each)
    if DEFAULT_VARIANT not in named or len(named) == 1:
        return {}
    return {name: images[0] if len(images) == 1 else combine(images) for name, images in named.items()}


def variants_of(made: Deliverable) -> dict[str, Image | Index]:
    """Returns the variants in an index by their names: what each of them is by itself. Nothing, where it has no image that is none."""
    return {name: each for name, each in parts_of(made).items() if name != DEFAULT_VARIANT}


def without_annotation(manifest: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Returns a manifest without one of its annotations."""
    notes = {name: value for name, value in (manifest.get("annotations") or {}).items() if name != key}
    rest = {name: value for name, value in manifest.items() if name != "annotations"}
    return {**rest, "annotations": notes} if notes else rest


def replaced(image: Image, layers: Sequence[ImageLayer]) -> Image:
    """Returns the same image with its tars stored in another way: config and image id stay, the manifest is another.

    A SOCI index was of the layers before, and is pointed to no more.
    """
    manifest = parse_object(image.manifest.data)
    if SOCI_POINTER in image.annotations:
        manifest = without_annotation(manifest, SOCI_POINTER)
    manifest |= {
        "mediaType": MediaType.MANIFEST,
        "config": {**image.config.descriptor.json(), "mediaType": MediaType.CONFIG},
        "layers": [layer.descriptor.json() for layer in layers],
    }
    return Image(
        image.platform,
        LiteralBlob(image.config.data, MediaType.CONFIG),
        LiteralBlob(canonical_json(manifest), MediaType.MANIFEST),
        tuple(layers),
    )
