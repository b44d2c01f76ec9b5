"""Manifests and indexes as they come from outside: held to their digest, their type, and to being one thing only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelcrate.net.messages import Response
from modelcrate_layers.content import Descriptor, Digest, MediaType, Platform, parse_object
from modelcrate_layers.errors import IntegrityError, UserError

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
    check_kind(answer.body, answer.media_type, where)
    return Descriptor(answer.media_type, wanted or Digest.of(answer.body), len(answer.body))


def _digest(data: bytes, like: Digest) -> Digest:
    import hashlib

    return Digest(like.algorithm, hashlib.new(like.algorithm, data).hexdigest())


def select(index: Mapping[str, Any], platform: Platform) -> Descriptor:
    """The entry for a platform: the first that matches, never an attestation; a nested index stands for
    itself, last."""
    entries = [Descriptor.parse(one) for one in index.get("manifests", [])]
    images = [one for one in entries if not _is_attestation(one)]
    fitting = [one for one in images if platform.matches(one.platform)]
    plain = [one for one in fitting if not platform.variant and not (one.platform or {}).get("variant")]
    nested = [one for one in images if one.media_type in MediaType.INDEXES and one.platform is None]
    unmarked = [one for one in images if one.platform is None and one.media_type in MediaType.MANIFESTS]
    for choice in (plain, fitting, nested, unmarked if len(images) == 1 else []):
        if choice:
            return choice[0]
    known = ", ".join(sorted({_spelt(one.platform) for one in images if one.platform})) or "none"
    raise UserError(f"the image has no variant for {platform}", hint=f"it has: {known}")


def _is_attestation(entry: Descriptor) -> bool:
    platform = entry.platform or {}
    return platform.get("os") == "unknown" or "vnd.docker.reference.type" in entry.annotations


def _spelt(platform: Mapping[str, Any]) -> str:
    return "/".join(str(platform[key])[:40] for key in ("os", "architecture", "variant") if platform.get(key))
