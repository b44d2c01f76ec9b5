"""Manifests and indexes as they come from outside: held to their digest, their type, and to being one thing only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelcrate.images.reading import refuse_schema_1
from modelcrate.net.messages import Response
from modelcrate_layers.content import Descriptor, Digest, MediaType, parse_object
from modelcrate_layers.errors import IntegrityError

MAX_MANIFEST = 4 << 20
"""What every registry has to take (distribution-spec); larger ones are refused before they are sent."""

MAX_CHILDREN = 1000

KNOWN = MediaType.MANIFESTS | MediaType.INDEXES


def check_kind(data: bytes, media_type: str, where: str) -> dict[str, Any]:
    """The document, if it is of that type and of no other: an index and a manifest at once is an attack
    (CVE-2021-41190)."""
    document = parse_object(data, where)
    told = document.get("mediaType")
    if told is not None and told != media_type:
        raise IntegrityError(
            "a manifest that says it is something else",
            where=where,
            why=f"Content-Type {media_type!r}, mediaType {told!r:.80}",
        )
    index = "manifests" in document
    if index and ("layers" in document or "config" in document or "fsLayers" in document):
        raise IntegrityError("a document that is a manifest and an index at once", where=where)
    if media_type in KNOWN and index != (media_type in MediaType.INDEXES):
        raise IntegrityError("a manifest whose members are not those of its type", where=where, why=media_type)
    if media_type not in KNOWN:
        raise IntegrityError(
            "not a manifest of a type that we know", where=where, why=media_type[:100] or "no Content-Type"
        )
    if index and (not isinstance(document["manifests"], list) or len(document["manifests"]) > MAX_CHILDREN):
        raise IntegrityError(f"an index has a list of at most {MAX_CHILDREN} manifests", where=where)
    return document


def check_document(answer: Response, wanted: Digest | None, where: str) -> Descriptor:
    """The descriptor of a manifest that came, its bytes held to `wanted`, or else to the digest that the
    registry told."""
    claimed = answer.headers.get("Docker-Content-Digest").strip()
    told = Digest.parse(claimed) if claimed else None
    for digest in (wanted, told):
        if digest is not None and _digest(answer.body, digest) != digest:
            computed = _digest(answer.body, digest)
            raise IntegrityError(
                f"bytes are not what their digest says: claimed {digest}, computed {computed}", where=where
            )
    media_type = _media_type(parse_object(answer.body, where), answer.media_type, where)
    check_kind(answer.body, media_type, where)
    return Descriptor(media_type, wanted or Digest.of(answer.body), len(answer.body))


def _media_type(document: Mapping[str, Any], header: str, where: str) -> str:
    """Returns a manifest's type: its own `mediaType`, else the Content-Type, else what its members are.

    File servers and proxies answer with a type of their own. A type of the other sort (manifest or index) in the header is
    never overruled: it is left to `check_kind`, which refuses it.
    """
    refuse_schema_1(document, header, where)
    own = document.get("mediaType")
    if own in KNOWN and (header not in KNOWN or (own in MediaType.INDEXES) is (header in MediaType.INDEXES)):
        return str(own)
    if own is None and header not in KNOWN and document.get("schemaVersion") == 2:
        if "manifests" in document:
            return MediaType.INDEX
        if "config" in document and "layers" in document:
            return MediaType.MANIFEST
    return header


def _digest(data: bytes, like: Digest) -> Digest:
    import hashlib

    return Digest(like.algorithm, hashlib.new(like.algorithm, data).hexdigest())
