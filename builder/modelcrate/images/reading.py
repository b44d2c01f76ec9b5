"""Images that exist, read from any collection in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from modelcrate.images.artifact import Artifact, merge_artifacts, read_artifact_index, read_artifact_index_location
from modelcrate.images.image import (
    ANNOTATION,
    DEFAULT_VARIANT,
    VARIANT,
    Copy,
    Graph,
    Image,
    ImageLayer,
    Index,
    combine,
    parts_of,
)
from modelcrate.images.image_config import check_config
from modelcrate.images.manifests import (
    MAX_DEPTH,
    ArtifactFilter,
    Collection,
    document_literal,
    is_runnable,
    leaves,
    no_variant,
    of_variant,
    parse_document,
    select,
)
from modelcrate_layers.content import (
    Blob,
    Descriptor,
    Digest,
    Literal,
    MediaType,
    Platform,
    parse_json,
    parse_natural,
    parse_object,
)
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, placed
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.recipe import Layer

_NAMES = {
    MediaType.LAYER: "none",
    MediaType.LAYER_GZIP: "gzip",
    MediaType.LAYER_ZSTD: "zstd",
    MediaType.DOCKER_LAYER: "none",
    MediaType.DOCKER_LAYER_GZIP: "gzip",
    MediaType.DOCKER_LAYER_ZSTD: "zstd",
    **{
        f"application/vnd.oci.image.layer.nondistributable.v1.tar{ending}": name
        for ending, name in (("", "none"), ("+gzip", "gzip"), ("+zstd", "zstd"))
    },
    "application/vnd.docker.image.rootfs.foreign.diff.tar": "none",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
}
"""How a layer of a type should be stored. Layers that may not be distributed are tars as well (layer.md)."""

_CONFIGS = frozenset({MediaType.CONFIG, MediaType.DOCKER_CONFIG})


P = ParamSpec("P")
T = TypeVar("T")


def _placed(method: Callable[Concatenate[Found, P], T]) -> Callable[Concatenate[Found, P], T]:
    """Makes errors of a method name the collection, where they name no place: a descriptor does not know where it stands."""

    @wraps(method)
    def named(found: Found, /, *args: P.args, **options: P.kwargs) -> T:
        with placed(found.collection.where):
            return method(found, *args, **options)

    return named


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest or index in its collection."""

    collection: Collection
    descriptor: Descriptor

    @_placed
    def document(self) -> dict[str, Any]:
        """Reads the manifest or index itself."""
        return parse_document(self.collection.read(self.descriptor), self.descriptor, self.collection.where)

    @_placed
    def image(self, platform: Platform | None = None, variant: str = "") -> Image:
        """Reads the image for a platform; without one, the only image.

        Args:
            platform: The platform.
            variant: The name of a variant, or `default`; empty for the default, where there is one.

        Raises:
            SourceError: There is none for the platform, there are several, or there is no such variant.
        """
        found = read_image(self.collection, select(self.collection, self.descriptor, platform, variant))
        if variant and (found.variant or DEFAULT_VARIANT) != variant:
            raise no_variant(variant, [found.variant or DEFAULT_VARIANT], self.collection.where)
        named = found.settings.get("architecture")  # a config without one is taken for what was asked, as Docker does
        if platform is not None and named and not platform.matches(found.settings):
            raise SourceError(
                f"has no image for {platform}",
                where=self.collection.where,
                why=f"the config of what it has says {Platform.of(found.settings)}",
                hint="name one that it has: --platform OS/ARCHITECTURE",
            )
        return found

    @_placed
    def variant(self, name: str) -> Image | Index:
        """Reads a variant by its name, or the `default`: one image, or an index of those for several platforms.

        Raises:
            SourceError: There is no such variant.
        """
        members = self.members()
        fitting = of_variant(members, name, self.collection.where) if members else []
        if len(fitting) <= 1:
            return self.image(variant=name)
        return combine(read_image(self.collection, each) for each in fitting)

    @_placed
    def read(self) -> Image | Index:
        """Reads an image, or an index with all its images."""
        if self.descriptor.media_type not in MediaType.INDEXES:
            return read_image(self.collection, self.descriptor)
        members = [each for each in leaves(self.collection, self.descriptor) if is_runnable(each)]
        images = tuple(read_image(self.collection, member) for member in members)
        data = self.collection.read(self.descriptor)
        return Index(
            document_literal(data, parse_document(data, self.descriptor, self.collection.where), self.descriptor),
            images,
        )

    @_placed
    def attached(self) -> tuple[Artifact, ...]:
        """Reads the artifacts about it and its images: signatures, attestations, bills of materials. None of them is verified."""
        found = self._noted()
        for digest in (self.descriptor.digest, *(each.digest for each in (*self.members(), *self.part_indexes()))):
            found += self.collection.beside(digest)
        return merge_artifacts(found)

    @_placed
    def about(self, digest: Digest, wanted: ArtifactFilter) -> list[Artifact]:
        """Reads the wanted artifacts about one of its manifests. An index lists them, and the others are not fetched."""
        found = [each for each in self._noted() if each.subject == digest] + self.collection.beside(digest, wanted)
        return [each for each in found if wanted(each.descriptor)]

    def _noted(self) -> list[Artifact]:
        index = read_artifact_index_location(self.descriptor)
        if index is None:
            return []
        images = 1 + len(self.members())
        return read_artifact_index(self.collection.read(index), self.collection.read, self.collection.blob, images)

    @_placed
    def members(self) -> tuple[Descriptor, ...]:
        """Returns the manifests of an index's images; none for a single image."""
        if self.descriptor.media_type not in MediaType.INDEXES:
            return ()
        return tuple(each for each in leaves(self.collection, self.descriptor) if is_runnable(each))

    @_placed
    def part_indexes(self) -> tuple[Descriptor, ...]:
        """Returns the indexes that its default and its variants for several platforms are by themselves: each is signed where it is signed."""
        if not any(VARIANT in each.annotations for each in self.members()):
            return ()
        return tuple(each.descriptor for each in parts_of(self.read()).values() if isinstance(each, Index))

    @_placed
    def copy(self) -> Copy:
        """Reads it byte for byte, with the artifacts about it, to be written elsewhere.

        Raises:
            IntegrityError: An image in it can't be run: its config is damaged, or fits another manifest.
        """
        images = tuple(self._images())
        graph = self.graph()
        descriptor = replace(self.descriptor, media_type=graph.root.media_type)
        return Copy(descriptor, images, replace(graph, attached=self.attached()))

    @_placed
    def part(self, image: Image | Index) -> Copy:
        """Reads one of its images, or an index of some of them, in the same way. `image` is that one."""
        if image.digest == self.descriptor.digest:
            return self.copy()
        digests = dict.fromkeys((image.digest, *(each.digest for each in image.images)))
        beside = [each for each in self._noted() if each.is_about(digests)]
        for digest in digests:
            beside += self.collection.beside(digest)
        return Copy(image.descriptor, image.images, replace(image.graph(), attached=merge_artifacts(beside)))

    def _images(self) -> Iterator[Image]:
        """Reads the images below it. What can't be read as one, and does not say that it is one, is an artifact."""
        for each in self.members() or (self.descriptor,):
            try:
                yield read_image(self.collection, each)
            except CrateError:
                if _is_image(self.collection, each):
                    raise

    @_placed
    def graph(self) -> Graph:
        """Reads all documents below it and names all blobs, byte for byte, whatever they are."""
        documents: dict[Digest, Literal] = {}
        blobs: dict[Digest, Blob] = {}
        _collect(self.collection, self.descriptor, documents, blobs, 0)
        return Graph(documents[self.descriptor.digest], tuple(documents.values()), tuple(blobs.values()))


def read_image(collection: Collection, descriptor: Descriptor) -> Image:
    """Reads the image of one manifest.

    Its layers are not read: their digests are checked when they are streamed.

    Raises:
        IntegrityError: It is no image, or a member of its config has another type than config.md gives it.
    """
    data = collection.read(descriptor)
    manifest = parse_document(data, descriptor, collection.where)
    if descriptor.media_type not in MediaType.MANIFESTS:
        raise IntegrityError(f"{descriptor.media_type!r:.100} is no image", where=collection.where)
    named = Descriptor.parse(manifest.get("config"))
    if named.media_type not in _CONFIGS and (kind := manifest.get("artifactType")):
        raise IntegrityError(
            f"is an artifact of the type {kind!r:.100}, and no image",
            where=collection.where,
            hint="modelcrate copy and sign take it as it is",
        )
    config = Literal(collection.read(named), named.media_type)
    settings = parse_object(config.data, collection.where)
    check_config(settings, collection.where)
    layers = [Descriptor.parse(each) for each in manifest.get("layers") or []]
    diff_ids = _diff_ids(settings, layers, collection.where)
    platform = Platform.of(descriptor.platform or settings)
    return Image(
        platform if platform.architecture else replace(platform, architecture="amd64"),
        config,
        document_literal(data, manifest, descriptor),
        tuple(_layer(collection, layer, diff_id) for layer, diff_id in zip(layers, diff_ids, strict=True)),
    )


def _is_image(collection: Collection, descriptor: Descriptor) -> bool:
    """Returns whether a manifest says that it is an image's: its config and all its layers are of types that engines take."""
    if descriptor.media_type not in MediaType.MANIFESTS:
        return False
    manifest = parse_document(collection.read(descriptor), descriptor, collection.where)
    config, *layers = (Descriptor.parse(each) for each in (manifest.get("config"), *(manifest.get("layers") or [])))
    return config.media_type in _CONFIGS and all(each.media_type in _NAMES for each in layers)


def _diff_ids(config: Mapping[str, Any], layers: list[Descriptor], where: str) -> list[Digest]:
    rootfs = config.get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or len(found) != len(layers):
        raise IntegrityError("a config whose diff ids are not as many as the manifest's layers", where=where)
    return [Digest.parse(each) for each in found]


def _layer(collection: Collection, descriptor: Descriptor, diff_id: Digest) -> ImageLayer:
    """Reads a layer as the manifest has it. Our annotations are hints, checked where they are used."""
    notes = {
        key.removeprefix(ANNOTATION): value
        for key, value in descriptor.annotations.items()
        if key.startswith(ANNOTATION)
    }
    name = _NAMES.get(descriptor.media_type)
    if name is None:
        raise IntegrityError(f"a layer of the unknown type {descriptor.media_type!r:.100}", where=collection.where)
    told = descriptor.size if name == "none" else parse_natural(notes.get("layer.tar-size", ""))
    size = -1 if told is None else told
    layer = Layer(descriptor, diff_id, size, read_codec(notes.get("layer.codec", ""), name), read_inputs(notes))
    key = None
    if "layer.key" in notes:
        try:
            key = Digest.parse(notes["layer.key"])
        except CrateError:
            key = None
    role = notes.get("layer.role", "base")
    return ImageLayer(role, notes.get("layer.name", ""), layer, collection.blob(descriptor), "reused", key=key)


def read_inputs(notes: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the inputs that a layer's annotations name."""
    try:
        found = parse_json(notes["layer.inputs"].encode()) if "layer.inputs" in notes else []
    except CrateError:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


def named_codec(media_type: str) -> str | None:
    """Returns how a layer of a media type is stored; None for an unknown type."""
    return _NAMES.get(media_type)


def read_codec(text: str, name: str) -> Codec:
    """Reads a codec as it prints itself: `zstd-3@1.5.7`."""
    head, _, version = text.partition("@")
    level = parse_natural(head.removeprefix(f"{name}-"), digits=2)
    return Codec(name) if level is None else Codec(name, version, level)


def _collect(
    collection: Collection,
    descriptor: Descriptor,
    documents: dict[Digest, Literal],
    blobs: dict[Digest, Blob],
    depth: int,
) -> None:
    if depth > MAX_DEPTH:
        raise IntegrityError(f"indexes nested more than {MAX_DEPTH} deep", where=collection.where)
    data = collection.read(descriptor)
    document = parse_document(data, descriptor, collection.where)
    if descriptor.media_type in MediaType.INDEXES:
        for each in document["manifests"]:
            _collect(collection, Descriptor.parse(each), documents, blobs, depth + 1)
    else:
        for each in (document.get("config"), *(document.get("layers") or [])):
            named = Descriptor.parse(each)
            blobs.setdefault(named.digest, collection.blob(named))
    documents.setdefault(descriptor.digest, document_literal(data, document, descriptor))
