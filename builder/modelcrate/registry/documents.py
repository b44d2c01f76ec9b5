"""Manifests and indexes from outside, checked: their digest, their type, and that they are of one type only."""

from __future__ import annotations

import hashlib
from typing import Any

from modelcrate.net.messages import Response
from modelcrate_layers.content import Descriptor, Digest, MediaType, parse_object
from modelcrate_layers.errors import IntegrityError, RegistryError, placed

MAX_MANIFEST = 4 << 20
"""What every registry has to take (distribution-spec); larger ones are refused before they are sent."""

MAX_CHILDREN = 1000

KNOWN = MediaType.MANIFESTS | MediaType.INDEXES


def check_kind(data: bytes, media_type: str, where: str) -> dict[str, Any]:
    """Returns the document if it is of this type and of no other.

    Raises:
        IntegrityError: It names another type, is an index and a manifest at once (CVE-2021-41190), or lacks what its
            type requires (image-spec, "Image Manifest" and "Image Index").
    """
    document = parse_object(data, where)
    named = document.get("mediaType")
    if named is not None and named != media_type:
        raise IntegrityError(
            "a manifest whose mediaType is another than its Content-Type",
            where=where,
            why=f"Content-Type {media_type!r}, mediaType {named!r:.80}",
        )
    index = "manifests" in document
    if index and ("layers" in document or "config" in document or "fsLayers" in document):
        raise IntegrityError("a document that is a manifest and an index at once", where=where)
    if media_type not in KNOWN:
        raise IntegrityError("not a manifest of a known type", where=where, why=media_type[:100] or "no Content-Type")
    if index != (media_type in MediaType.INDEXES):
        raise IntegrityError("a manifest whose members are not those of its type", where=where, why=media_type)
    if index and (not isinstance(document["manifests"], list) or len(document["manifests"]) > MAX_CHILDREN):
        raise IntegrityError(f"an index has a list of at most {MAX_CHILDREN} manifests", where=where)
    if not index and not (isinstance(document.get("layers"), list) and isinstance(document.get("config"), dict)):
        raise IntegrityError("a manifest has a config and a list of layers; this one lacks them", where=where)
    return document


def type_of(answer: Response, where: str) -> str:
    """Returns the media type of a manifest that came.

    The document's own `mediaType` counts, unless Content-Type names the other sort (an index or a manifest). Static file
    servers and some proxies send any Content-Type, or none; where the document names no type, its members decide.

    Raises:
        RegistryError: It is a web page.
        IntegrityError: It is no JSON object, or a manifest of Docker's schema 1.
    """
    if answer.is_web_page:
        raise RegistryError("the registry sent a web page (HTML) instead of a manifest", where=where)
    document = parse_object(answer.body, where)
    announced, named = answer.media_type, document.get("mediaType")
    if announced not in KNOWN or document.get("schemaVersion") == 1:
        from modelcrate.images.manifests import refuse_schema_1

        refuse_schema_1(document, announced, where)
    if isinstance(named, str) and named in KNOWN and (announced not in KNOWN or _sort(named) == _sort(announced)):
        return named
    if announced in KNOWN or named is not None or document.get("schemaVersion") != 2:
        return announced  # which `check_kind` refuses, if it has to
    if "manifests" in document:
        return MediaType.INDEX
    config = document.get("config")
    docker = isinstance(config, dict) and config.get("mediaType") == MediaType.DOCKER_CONFIG
    return MediaType.DOCKER_MANIFEST if docker else MediaType.MANIFEST


def _sort(media_type: str) -> bool:
    return media_type in MediaType.INDEXES


def check_document(answer: Response, wanted: Digest | None, where: str) -> Descriptor:
    """Returns the descriptor of a manifest that came.

    Raises:
        IntegrityError: Its bytes are not those of `wanted`, or of the digest that the registry names; or it is no manifest.
    """
    claimed = answer.headers.get("Docker-Content-Digest").strip()
    with placed(where):
        named = Digest.parse(claimed) if claimed else None
    for digest in (wanted, named):
        if digest is not None and (computed := _digest(answer.body, digest)) != digest:
            if answer.is_web_page:
                break  # `type_of` reports it with a better message
            raise IntegrityError(
                f"bytes are not what their digest says: claimed {digest}, computed {computed}", where=where
            )
    media_type = type_of(answer, where)
    check_kind(answer.body, media_type, where)
    return Descriptor(media_type, wanted or Digest.of(answer.body), len(answer.body))


def _digest(data: bytes, like: Digest) -> Digest:
    return Digest(like.algorithm, hashlib.new(like.algorithm, data).hexdigest())
