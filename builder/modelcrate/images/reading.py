"""Images that exist: read from wherever they are, by one way of reading for all of them.

A `Collection` is any place that has manifests and blobs. Everything in it is hostile until its digest has been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from modelcrate.images.artifact import Artifact, merge_artifacts, read_artifact_index, read_artifact_index_location
from modelcrate.images.image import ANNOTATION, Copy, Graph, Image, ImageLayer, Index
from modelcrate.images.image_config import check_config
from modelcrate_layers.content import (
    Blob,
    Descriptor,
    Digest,
    Literal,
    MediaType,
    Platform,
    parse_json,
    parse_object,
)
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.recipe import Layer

MAX_DEPTH = 4
"""How deep indexes may be nested."""

MAX_CHILDREN = 1000
"""How many manifests an index, or layers a manifest, may name."""

MAX_UNMARKED = 16
"""How many manifests of an index without a platform are read to find the one for a platform."""

_SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
"""The types of Docker's first manifests, which have neither a config nor sizes of layers."""

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


ArtifactFilter = Callable[[Descriptor], bool]
"""Whether an artifact is worth reading, by its entry in an index."""


class Collection(Protocol):
    """A place with manifests and blobs."""

    @property
    def where(self) -> str:
        """The place in the user's words."""
        ...

    def read(self, descriptor: Descriptor) -> bytes:
        """A manifest, index or config, verified against its digest."""
        ...

    def blob(self, descriptor: Descriptor) -> Blob: ...

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """The artifacts about this manifest that the place itself lists; it may leave out those that are not wanted."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest or index in its collection."""

    collection: Collection
    descriptor: Descriptor

    def document(self) -> dict[str, Any]:
        return parse_document(self.collection.read(self.descriptor), self.descriptor, self.collection.where)

    def image(self, platform: Platform | None = None) -> Image:
        """The image for a platform; without one, the only one that there is."""
        return read_image(self.collection, select(self.collection, self.descriptor, platform))

    def whole(self) -> Image | Index:
        """An image, or an index with all its images."""
        if self.descriptor.media_type not in MediaType.INDEXES:
            return read_image(self.collection, self.descriptor)
        members = [each for each in _leaves(self.collection, self.descriptor, 0) if _runnable(each)]
        images = tuple(read_image(self.collection, member) for member in members)
        data = self.collection.read(self.descriptor)
        return Index(
            _literal(data, parse_document(data, self.descriptor, self.collection.where), self.descriptor), images
        )

    def attached(self) -> tuple[Artifact, ...]:
        """What is said about it and about its images: signatures, attestations, bills of materials. Nothing of it is believed."""
        found = self._noted()
        for digest in (self.descriptor.digest, *(each.digest for each in self.members())):
            found += self.collection.beside(digest)
        return merge_artifacts(found)

    def about(self, digest: Digest, wanted: ArtifactFilter) -> list[Artifact]:
        """Those artifacts about one of its manifests that are wanted, by how an index lists them; the others are not fetched."""
        found = [each for each in self._noted() if each.subject == digest] + self.collection.beside(digest, wanted)
        return [each for each in found if wanted(each.descriptor)]

    def _noted(self) -> list[Artifact]:
        index = read_artifact_index_location(self.descriptor)
        if index is None:
            return []
        return read_artifact_index(self.collection.read(index), self.collection.read, self.collection.blob)

    def members(self) -> tuple[Descriptor, ...]:
        """The manifests of an index's images; none for a single image."""
        if self.descriptor.media_type not in MediaType.INDEXES:
            return ()
        return tuple(each for each in _leaves(self.collection, self.descriptor, 0) if _runnable(each))

    def copy(self) -> Copy:
        """It as it is, with what is said about it, to be put elsewhere."""
        try:
            images = self.whole().images
        except CrateError:
            images = ()  # an artifact: it is copied, and can't be run
        graph = self.graph()
        descriptor = replace(self.descriptor, media_type=graph.root.media_type)
        return Copy(descriptor, images, replace(graph, attached=self.attached()))

    def graph(self) -> Graph:
        """All that it names, byte for byte, whatever it is: for copies, which change nothing."""
        documents: dict[Digest, Literal] = {}
        blobs: dict[Digest, Blob] = {}
        _collect(self.collection, self.descriptor, documents, blobs, 0)
        return Graph(documents[self.descriptor.digest], tuple(documents.values()), tuple(blobs.values()))


def parse_document(data: bytes, descriptor: Descriptor, where: str) -> dict[str, Any]:
    """Parses a manifest or index.

    Its own `mediaType` counts where the descriptor has another type of the same sort.

    Raises:
        IntegrityError: It is not of the sort (manifest or index) that the descriptor announces, or is both (CVE-2021-41190).
    """
    document = parse_object(data, where)
    refuse_schema_1(document, descriptor.media_type, where)
    claimed = document.get("mediaType") or descriptor.media_type
    known = MediaType.MANIFESTS | MediaType.INDEXES
    same_sort = claimed in known and (claimed in MediaType.INDEXES) is (descriptor.media_type in MediaType.INDEXES)
    if claimed != descriptor.media_type and not (same_sort and descriptor.media_type in known):
        raise IntegrityError(
            f"a document says that it is {claimed!r:.100}, and was announced as {descriptor.media_type}", where=where
        )
    if document.get("schemaVersion") != 2:
        raise IntegrityError(
            "a document of an unknown schema version",
            where=where,
            hint="only OCI images and Docker's schema 2 can be read",
        )
    is_index = claimed in MediaType.INDEXES
    if is_index is not isinstance(document.get("manifests"), list) or (
        is_index and ("layers" in document or "config" in document)
    ):
        raise IntegrityError("a document is both manifest and index, or neither", where=where)
    children = document["manifests"] if is_index else document.get("layers") or []
    if not isinstance(children, list) or len(children) > MAX_CHILDREN:
        raise IntegrityError(f"a document with more than {MAX_CHILDREN} members, or none that can be read", where=where)
    return document


def refuse_schema_1(document: Mapping[str, Any], announced: str, where: str) -> None:
    """Raises an IntegrityError for an image of Docker's schema 1, which registries stopped to take in 2017."""
    if announced in _SCHEMA_1 or document.get("mediaType") in _SCHEMA_1 or "fsLayers" in document:
        raise IntegrityError(
            "is an image in Docker's old schema 1, which can't be read",
            where=where,
            why="its manifest has no config and no sizes, so its layers can't be checked",
            hint="push it again with a Docker or skopeo of today: skopeo copy --format v2s2 converts it",
        )


def select(collection: Collection, root: Descriptor, platform: Platform | None) -> Descriptor:
    """Chooses the manifest for a platform below a root.

    Of several that fit, the plainest variant is taken (`amd64` before `amd64/v3`), and of equals the first (image-index.md).
    Manifests that name no platform count by their configs, where no other fits.

    Args:
        platform: The platform; None, where there is only one image.
    """
    if root.media_type not in MediaType.INDEXES:
        return root
    leaves = [each for each in _leaves(collection, root, 0) if _runnable(each)]
    if platform is None and len(leaves) == 1:
        return leaves[0]
    offers = [(each.platform, each) for each in leaves if each.platform]
    if platform is not None:
        if not any(platform.matches(offer) for offer, _ in offers):
            unmarked = [each for each in leaves if not each.platform][:MAX_UNMARKED]
            offers += [(_config(collection, each), each) for each in unmarked]
        fitting = [(Platform.of(offer), each) for offer, each in offers if platform.matches(offer)]
        if fitting:
            return min(fitting, key=lambda pair: pair[0].level)[1]
    have = ", ".join(_platform_name(offer) for offer, _ in offers) or "none"
    what = f"no image for {platform}" if platform else "images for several platforms"
    raise SourceError(
        f"has {what}",
        where=collection.where,
        why=f"it has: {have}",
        hint="" if platform else "name one of them with --platform",
    )


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
    config = Literal(collection.read(named), named.media_type)
    settings = parse_object(config.data, collection.where)
    check_config(settings, collection.where)
    layers = [Descriptor.parse(each) for each in manifest.get("layers") or []]
    diff_ids = _diff_ids(settings, layers, collection.where)
    platform = Platform.of(descriptor.platform or settings)
    return Image(
        platform if platform.architecture else replace(platform, architecture="amd64"),
        config,
        _literal(data, manifest, descriptor),
        tuple(_layer(collection, layer, diff_id) for layer, diff_id in zip(layers, diff_ids, strict=True)),
    )


def _config(collection: Collection, descriptor: Descriptor) -> dict[str, Any]:
    """Reads the config of a manifest; of an artifact's it has no platform."""
    manifest = parse_document(collection.read(descriptor), descriptor, collection.where)
    return parse_object(collection.read(Descriptor.parse(manifest.get("config"))), collection.where)


def _literal(data: bytes, document: Mapping[str, Any], descriptor: Descriptor) -> Literal:
    """Returns a document as a blob of its own media type, for registries hold a manifest to it."""
    return Literal(data, document.get("mediaType") or descriptor.media_type)


def plain_size(layer: ImageLayer) -> int:
    """The length of a layer's tar in bytes: as it says, else by unpacking it once."""
    if layer.layer.tar_size >= 0:
        return layer.layer.tar_size
    return sum(map(len, codecs.decode(layer.blob.chunks())))


def _diff_ids(config: Mapping[str, Any], layers: list[Descriptor], where: str) -> list[Digest]:
    rootfs = config.get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or len(found) != len(layers):
        raise IntegrityError("a config whose diff ids are not as many as the manifest's layers", where=where)
    return [Digest.parse(each) for each in found]


def _layer(collection: Collection, descriptor: Descriptor, diff_id: Digest) -> ImageLayer:
    """A layer as the manifest tells of it. Our annotations are a hint to people and to the cache, and checked where it counts."""
    notes = {
        key.removeprefix(ANNOTATION): value
        for key, value in descriptor.annotations.items()
        if key.startswith(ANNOTATION)
    }
    name = _NAMES.get(descriptor.media_type)
    if name is None:
        raise IntegrityError(f"a layer of the unknown type {descriptor.media_type!r:.100}", where=collection.where)
    size = (
        descriptor.size
        if name == "none"
        else int(notes["layer.tar-size"])
        if notes.get("layer.tar-size", "").isdigit()
        else -1
    )
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
    """What a layer says that it was made of."""
    try:
        said = parse_json(notes["layer.inputs"].encode()) if "layer.inputs" in notes else []
    except CrateError:
        return ()
    return tuple(map(str, said)) if isinstance(said, list) else ()


def named_codec(media_type: str) -> str | None:
    """How a layer of this type should be stored; None for a type that nobody knows."""
    return _NAMES.get(media_type)


def read_codec(text: str, name: str) -> Codec:
    """A codec as it prints itself: `zstd-3@1.5.7`."""
    head, _, version = text.partition("@")
    level = head.removeprefix(f"{name}-")
    return Codec(name, version, int(level)) if head != level and level.isdigit() else Codec(name)


def _leaves(collection: Collection, index: Descriptor, depth: int) -> Iterator[Descriptor]:
    if depth >= MAX_DEPTH:
        raise IntegrityError(f"indexes nested more than {MAX_DEPTH} deep", where=collection.where)
    for each in parse_document(collection.read(index), index, collection.where)["manifests"]:
        child = Descriptor.parse(each)
        if child.media_type in MediaType.INDEXES:
            yield from _leaves(collection, child, depth + 1)
        else:
            yield child


def _runnable(descriptor: Descriptor) -> bool:
    """Not an attestation or an artifact that travels in the index beside the images."""
    platform = descriptor.platform or {}
    return descriptor.media_type in MediaType.MANIFESTS and platform.get("architecture") != "unknown"


def _platform_name(platform: Mapping[str, Any] | None) -> str:
    platform = platform or {}
    return (
        "/".join(str(platform[key]) for key in ("os", "architecture", "variant") if platform.get(key)) or "no platform"
    )


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
    documents.setdefault(descriptor.digest, _literal(data, document, descriptor))
