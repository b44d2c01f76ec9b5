"""Manifests and indexes of others: parsed under their types, and the one for a platform chosen among them.

A `Collection` is any place that has manifests and blobs. All of it is untrusted until its digest has been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from modelcrate.images.artifact import Artifact
from modelcrate.images.image import DEFAULT_VARIANT, VARIANT
from modelcrate_layers.content import Blob, Descriptor, Digest, Literal, MediaType, Platform, parse_object
from modelcrate_layers.errors import IntegrityError, SourceError

MAX_DEPTH = 4
"""How deep indexes may be nested."""

MAX_CHILDREN = 1000
"""How many manifests an index, or layers a manifest, may name."""

MAX_UNMARKED = 16
"""How many manifests of an index without a platform are read to find the one for a platform."""

SOCI_INDEX = "application/vnd.amazon.soci.index.v2+json"
"""The type of a manifest beside an image in its index, which has the image's platform and is none (`soci`)."""

_SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
"""The types of Docker's first manifests, which have neither a config nor sizes of layers."""

ArtifactFilter = Callable[[Descriptor], bool]
"""Returns whether an artifact is worth reading, by its entry in an index."""


class Collection(Protocol):
    """A place with manifests and blobs."""

    @property
    def where(self) -> str:
        """The place, in the user's terms."""
        ...

    def read(self, descriptor: Descriptor) -> bytes:
        """Reads a manifest, index or config, verified against its digest."""
        ...

    def blob(self, descriptor: Descriptor) -> Blob:
        """Returns a layer or config. It is verified when it is streamed."""
        ...

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """Returns the artifacts about a manifest that the place lists; it may leave out those that are not wanted."""
        ...


def parse_document(data: bytes, descriptor: Descriptor, where: str) -> dict[str, Any]:
    """Parses a manifest or index.

    Its own `mediaType` counts where the descriptor has another type of the same sort.

    Raises:
        IntegrityError: It is not of the sort (manifest or index) that the descriptor announces, or is both (CVE-2021-41190).
    """
    document = parse_object(data, where)
    refuse_schema_1(document, descriptor.media_type, where)
    claimed, notes = document.get("mediaType") or descriptor.media_type, document.get("annotations") or {}
    if not isinstance(claimed, str):
        raise IntegrityError(f"a document whose mediaType is no text: {claimed!r:.80}", where=where)
    if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
        raise IntegrityError("a document whose annotations are not a map of texts", where=where)
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


def is_document(descriptor: Descriptor) -> bool:
    """Returns whether it is of a manifest or an index, which registries keep apart from blobs. The config of a SOCI index is none, whatever its name says."""
    return descriptor.media_type in MediaType.MANIFESTS | MediaType.INDEXES or descriptor.media_type in _SCHEMA_1


def refuse_schema_1(document: Mapping[str, Any], announced: str, where: str) -> None:
    """Raises an IntegrityError for an image of Docker's schema 1, which registries stopped to take in 2017."""
    if announced in _SCHEMA_1 or document.get("mediaType") in _SCHEMA_1 or "fsLayers" in document:
        raise IntegrityError(
            "is an image in Docker's old schema 1, which can't be read",
            where=where,
            why="its manifest has no config and no sizes, so its layers can't be checked",
            hint="push it again with a Docker or skopeo of today: skopeo copy --format v2s2 converts it",
        )


def select(collection: Collection, root: Descriptor, platform: Platform | None, variant: str = "") -> Descriptor:
    """Chooses the manifest for a platform below a root.

    Of several that fit, the plainest variant is taken (`amd64` before `amd64/v3`), and of equals the first (image-index.md).
    Manifests that name no platform count by their configs, where no other fits. Variants count where one is named, or nothing else is there.

    Args:
        collection: Where manifests are read from.
        root: The index, or the manifest itself.
        platform: The platform; None, where there is only one image.
        variant: The name of a variant, or `default`.
    """
    if root.media_type not in MediaType.INDEXES:
        return root
    images = of_variant([each for each in leaves(collection, root) if is_runnable(each)], variant, collection.where)
    if platform is None and len(images) == 1:
        return images[0]
    offers = [(each.platform, each) for each in images if each.platform]
    if platform is not None:
        if not any(platform.matches(offer) for offer, _ in offers):
            unmarked = [each for each in images if not each.platform][:MAX_UNMARKED]
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


def of_variant(images: Sequence[Descriptor], variant: str, where: str) -> list[Descriptor]:
    """Returns those manifests of an index that are of a variant; without a name those that are of none, or all if there is no such.

    Raises:
        SourceError: The index has no such variant.
    """
    wanted = "" if variant == DEFAULT_VARIANT else variant
    found = [each for each in images if each.annotations.get(VARIANT, "") == wanted]
    if variant and not found:
        names = dict.fromkeys(each.annotations.get(VARIANT, DEFAULT_VARIANT) for each in images)
        raise no_variant(variant, names, where)
    return found or list(images)


def no_variant(variant: str, names: Iterable[str], where: str) -> SourceError:
    """Returns the error for a variant that is not among those of these names."""
    return SourceError(
        f"has no variant {variant[:100]!r}",
        where=where,
        why=f"it has: {', '.join(names)}",
        hint="name one that it has: --variant NAME",
    )


def _config(collection: Collection, descriptor: Descriptor) -> dict[str, Any]:
    """Reads the config of a manifest; of an artifact's it has no platform."""
    manifest = parse_document(collection.read(descriptor), descriptor, collection.where)
    return parse_object(collection.read(Descriptor.parse(manifest.get("config"))), collection.where)


def document_literal(data: bytes, document: Mapping[str, Any], descriptor: Descriptor) -> Literal:
    """Returns a document as a blob of its own media type: registries hold a manifest to it."""
    return Literal(data, document.get("mediaType") or descriptor.media_type)


def leaves(collection: Collection, index: Descriptor, depth: int = 0) -> Iterator[Descriptor]:
    """Yields all manifests below an index, those of nested indexes in their place."""
    if depth >= MAX_DEPTH:
        raise IntegrityError(f"indexes nested more than {MAX_DEPTH} deep", where=collection.where)
    for each in parse_document(collection.read(index), index, collection.where)["manifests"]:
        child = Descriptor.parse(each)
        if child.media_type in MediaType.INDEXES:
            yield from leaves(collection, child, depth + 1)
        else:
            yield child


def is_runnable(descriptor: Descriptor) -> bool:
    """Returns whether a manifest can be an image's, and is no attestation or SOCI index that is in the index beside the images."""
    platform = descriptor.platform or {}
    beside = platform.get("architecture") == "unknown" or descriptor.rest.get("artifactType") == SOCI_INDEX
    return descriptor.media_type in MediaType.MANIFESTS and not beside


def _platform_name(platform: Mapping[str, Any] | None) -> str:
    platform = platform or {}
    return (
        "/".join(str(platform[key]) for key in ("os", "architecture", "variant") if platform.get(key)) or "no platform"
    )
