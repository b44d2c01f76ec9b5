"""A registered model as an OCI artifact after the CNCF ModelPack specification: from record to bytes and back. Pure.

The config (`modelfs`, name, version) and the layers never change. What may change is in the annotations of the manifest, so a new tag
gives a new manifest with the same config and layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from modelcrate.images.image import ANNOTATION, layer_annotations
from modelcrate.images.image_config import timestamp
from modelcrate.images.modelpack import ARTIFACT, CONFIG, ModelConfig, encode_config, encode_manifest, tar_type
from modelcrate.images.reading import read_codec, read_inputs
from modelcrate.workspace.record import ModelRecord, ModelTar, check_name, check_texts
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.recipe import Layer

_TYPES = {each: tar_type("weight", each) for each in (MediaType.LAYER, MediaType.LAYER_GZIP, MediaType.LAYER_ZSTD)}
"""Media types of layers in an image, and of the same bytes in a ModelPack artifact."""
_IMAGE_TYPES = {model: image for image, model in _TYPES.items()}
_CODECS = {MediaType.LAYER: "none", MediaType.LAYER_GZIP: "gzip", MediaType.LAYER_ZSTD: "zstd"}

_OPENCONTAINERS = "org.opencontainers.image."
_MODEL = ANNOTATION + "model."
_LAYER = ANNOTATION + "layer."


@dataclass(frozen=True, slots=True)
class ModelDocuments:
    """The documents of a registered model."""

    config: Literal
    manifest: Literal


def encode(record: ModelRecord) -> ModelDocuments:
    """Returns the documents of a record."""
    facts = ModelConfig(record.name, str(record.version), record.created, record.framework)
    config = encode_config(facts, [each.layer.diff_id for each in record.layers])
    layers = [_descriptor(each) for each in record.layers]
    return ModelDocuments(config, encode_manifest(config.descriptor, layers, _annotations(record)))


def read_config_descriptor(manifest: bytes, where: str) -> Descriptor:
    """Returns the descriptor of the config from the manifest of a model.

    Raises:
        IntegrityError: The manifest is not that of a registered model.
    """
    document = parse_object(manifest, where)
    config = Descriptor.parse(document.get("config"))
    if document.get("artifactType") != ARTIFACT or config.media_type != CONFIG:
        raise IntegrityError("is not a registered model", where=where, why=f"it is {config.media_type[:100]}")
    return config


def decode(manifest: bytes, config: bytes, where: str) -> ModelRecord:
    """Returns the record of a model.

    Args:
        manifest: The bytes of the manifest; their digest is verified already.
        config: The bytes of the config; their digest is verified already.
        where: The place, for messages.

    Raises:
        IntegrityError: The documents are malformed.
    """
    document, facts = parse_object(manifest, where), parse_object(config, where)
    try:
        return _record(document, facts)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise IntegrityError(f"is not a valid registered model: {fault!r:.200}", where=where) from None


def _annotations(record: ModelRecord) -> dict[str, str]:
    """Returns the annotations of the manifest. Empty ones are left out."""
    texts = {
        _OPENCONTAINERS + "title": record.name,
        _OPENCONTAINERS + "version": str(record.version),
        _OPENCONTAINERS + "created": timestamp(record.created),
        _OPENCONTAINERS + "description": record.description,
        _MODEL + "framework": record.framework,
        _MODEL + "framework-version": record.framework_version,
        _MODEL + "gates": str(record.gates or ""),
    }
    maps: dict[str, Mapping[str, Any]] = {
        _MODEL + "tags": record.tags,
        _MODEL + "properties": record.properties,
        _MODEL + "resources": record.resources,
    }
    return {key: text for key, text in texts.items() if text} | {
        key: canonical_json(dict(value)).decode() for key, value in maps.items() if value
    }


def _descriptor(tar: ModelTar) -> Descriptor:
    plain, layer = tar.layer.descriptor, tar.layer
    texts = {"name": tar.name, "codec": str(layer.codec), "tar-size": str(layer.tar_size)}
    texts |= {"inputs": layer_annotations(layer.inputs)} if layer.inputs else {}
    return Descriptor(
        _TYPES[plain.media_type], plain.digest, plain.size, {_LAYER + key: value for key, value in texts.items()}
    )


def _record(document: Mapping[str, Any], facts: Mapping[str, Any]) -> ModelRecord:
    description, notes = facts["descriptor"], document.get("annotations") or {}
    diff_ids = [Digest.parse(each) for each in facts["modelfs"]["diffIds"]]
    layers = [Descriptor.parse(each) for each in document["layers"]]
    return ModelRecord(
        name=check_name(description["name"]),
        version=int(description["version"]),
        layers=tuple(_tar(*each) for each in zip(layers, diff_ids, strict=True)),
        created=datetime.fromisoformat(description["createdAt"]),
        tags=check_texts(_map(notes, "tags"), "tag"),
        properties=check_texts(_map(notes, "properties"), "property"),
        description=notes.get(_OPENCONTAINERS + "description", ""),
        framework=notes.get(_MODEL + "framework", ""),
        framework_version=notes.get(_MODEL + "framework-version", ""),
        resources={str(key): float(value) for key, value in _map(notes, "resources").items()},
        gates=int(notes.get(_MODEL + "gates", "0")),
    )


def _map(notes: Mapping[str, str], name: str) -> dict[str, Any]:
    return parse_object(notes.get(_MODEL + name, "{}").encode())


def _tar(descriptor: Descriptor, diff_id: Digest) -> ModelTar:
    kind = _IMAGE_TYPES[descriptor.media_type]
    notes = {key.removeprefix(ANNOTATION): text for key, text in descriptor.annotations.items()}
    codec = read_codec(notes.get("layer.codec", ""), _CODECS[kind])
    size = descriptor.size if codec.name == "none" else int(notes["layer.tar-size"])
    plain = Descriptor(kind, descriptor.digest, descriptor.size)
    return ModelTar(notes["layer.name"], Layer(plain, diff_id, size, codec, read_inputs(notes)))
