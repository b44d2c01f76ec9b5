"""Images with SOCI indexes: tables of their layers (`tar.ztoc`), by which soci-snapshotter mounts an image before it is pulled. Pure.

A SOCI index is a manifest whose layers are the tables, each with the digest of the layer that it is of. In the second version of the format (docs/soci-index-manifest-v2.md
there) it is in one OCI index with its image, and each names the other: the image's manifest by an annotation with the digest of the index, the index by an annotation
of its entry. So the image has another digest than without, with the same config and layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelcrate.images.image import SOCI_POINTER, Copy, Graph, Image, without_annotation
from modelcrate.images.manifests import SOCI_INDEX
from modelcrate_layers.content import Blob, Descriptor, Digest, Literal, MediaType, canonical_json, parse_object
from modelcrate_layers.frozen import NamedTuple, replace
from modelcrate_layers.tar.spans import SPAN
from modelcrate_layers.tar.ztoc import TOOL

ZTOC = "application/octet-stream"
"""The media type of a table."""

_PREFIX = "com.amazon.soci."
IMAGE_OF_INDEX = _PREFIX + "image-manifest-digest"
"""Annotation of the entry of a SOCI index: the digest of its image."""

_LAYER_OF_TABLE = _PREFIX + "image-layer-digest"
_MADE_BY = _PREFIX + "build-tool-identifier"

_CONFIG = Literal(b"{}", SOCI_INDEX)


class SociTable(NamedTuple):
    """A table that a SOCI index names: its descriptor, the digest of the layer that it is of, and whether it says that it is made by these rules."""

    descriptor: Descriptor
    layer: Digest
    ours: bool


def tables_of(index: Mapping[str, Any]) -> list[SociTable]:
    """Returns the tables of a SOCI index.

    Args:
        index: Its document.

    Raises:
        IntegrityError: A table names no layer.
    """
    ours = (index.get("annotations") or {}).get(_MADE_BY) == TOOL
    tables = [Descriptor.parse(each) for each in index.get("layers") or []]
    return [SociTable(each, Digest.parse(each.annotations.get(_LAYER_OF_TABLE, "")), ours) for each in tables]


def with_indexes(images: Sequence[Image], tables: Mapping[Digest, Literal]) -> Copy:
    """Returns these images with SOCI indexes, as an index of all of them.

    Args:
        images: Images, one a platform.
        tables: Tables by the digests of their layers. An image none of whose layers has one stays without an index.
    """
    entries: list[Descriptor] = []
    indexes: list[Descriptor] = []
    documents: list[Literal] = []
    made: list[Image] = []
    blobs: dict[Digest, Blob] = {}
    for image in images:
        layers = [
            each for each in parse_object(image.manifest.data)["layers"] if Digest.parse(each["digest"]) in tables
        ]
        index = _index(layers, tables) if layers else None
        image = _annotated(image, index)
        entries.append(replace(image.descriptor, annotations=image.annotations))
        documents.append(image.manifest)
        made.append(image)
        for blob in (*image.graph().blobs, *(tables[Digest.parse(each["digest"])] for each in layers)):
            blobs.setdefault(blob.descriptor.digest, blob)
        if index is not None:
            documents.append(index)
            blobs[_CONFIG.descriptor.digest] = _CONFIG
            indexes.append(
                replace(
                    index.descriptor,
                    annotations={IMAGE_OF_INDEX: str(image.digest)},
                    platform=image.platform.json(),
                    rest={"artifactType": SOCI_INDEX},
                )
            )
    root = Literal(
        canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MediaType.INDEX,
                "manifests": [each.json() for each in (*entries, *indexes)],
            }
        ),
        MediaType.INDEX,
    )
    return Copy(root.descriptor, tuple(made), Graph(root, (*documents, root), tuple(blobs.values())))


def _index(layers: Sequence[Mapping[str, Any]], tables: Mapping[Digest, Literal]) -> Literal:
    described = {
        each["digest"]: replace(
            tables[Digest.parse(each["digest"])].descriptor,
            annotations={
                _LAYER_OF_TABLE: each["digest"],
                _PREFIX + "image-layer-mediaType": each["mediaType"],
                _PREFIX + "span-size": str(SPAN),
            },
        )
        for each in layers
    }
    document = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "config": _CONFIG.descriptor.json(),
        "layers": [each.json() for each in described.values()],
        "annotations": {_MADE_BY: TOOL},
    }
    return Literal(canonical_json(document), MediaType.MANIFEST)


def without_index(image: Image) -> Image:
    """Returns the image as it was before it named a SOCI index; the same, if it names none."""
    return _annotated(image, None) if SOCI_POINTER in image.annotations else image


def _annotated(image: Image, index: Literal | None) -> Image:
    """The image as OCI has it, which names its index; one that it had before is forgotten."""
    document = without_annotation(parse_object(image.manifest.data), SOCI_POINTER)
    if index is not None:
        document["annotations"] = {**document.get("annotations", {}), SOCI_POINTER: str(index.descriptor.digest)}
    document |= {"mediaType": MediaType.MANIFEST, "config": {**document["config"], "mediaType": MediaType.CONFIG}}
    manifest = Literal(canonical_json(document), MediaType.MANIFEST)
    return Image(image.platform, Literal(image.config.data, MediaType.CONFIG), manifest, image.layers)
