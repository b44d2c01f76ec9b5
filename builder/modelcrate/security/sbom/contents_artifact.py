"""What the layers of an image hold, as a document that stands beside the image: so the next build need not fetch layers to write its bill of materials.

Unsigned it is believed as the keys of layers are: whoever can write there can lie in both, and neither decides a byte that is run. A
build that signs believes only what its own key has signed. Whatever is wrong with such a document, it is as if there were none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from modelcrate.images.artifact import Artifact, make_referrer
from modelcrate.images.image import Image
from modelcrate.images.reading import Found
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.signing import statements
from modelcrate_layers.content import Descriptor, Digest, Literal, canonical_json, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.tar import codec

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import PublicKey, Signer

KIND = "application/vnd.modelcrate.contents.v1+json+zstd"
PREDICATE = "urn:modelcrate:contents:v1"

MAX_STORED = 8 << 20
"""Bytes of the document as it is stored; that of an image with all of PyTorch has some 30,000."""

_PREDICATE_NOTE = "dev.sigstore.bundle.predicateType"


def contents_artifact(subject: Descriptor, contents: Mapping[Digest, LayerContents], signer: Signer | None) -> Artifact:
    """The document, attested where there is a key."""
    value = {"layers": {str(diff_id): contents[diff_id].json() for diff_id in sorted(contents, key=str)}}
    if signer is not None:
        return statements.attest(subject, PREDICATE, value, signer)
    data = canonical_json(value)
    return make_referrer(subject, KIND, Literal(b"".join(codec.zstd().encode([data], len(data))), KIND))


def read_contents(found: Found, image: Image, key: PublicKey | None) -> dict[Digest, LayerContents]:
    """What is told of an image's layers beside it, by their diff ids; of no other image's."""
    subject = image.manifest.descriptor.digest
    unpack = _plain if key is None else _vouched(key, subject)
    told: dict[Digest, LayerContents] = {}
    try:
        for artifact in found.about(subject, _signed if key is not None else _unsigned):
            if artifact.subject == subject:
                told |= parse(unpack(_stored(artifact)))
    except CrateError:
        return {}
    ours = {layer.layer.diff_id for layer in image.layers}
    return {diff_id: contents for diff_id, contents in told.items() if diff_id in ours}


def _unsigned(entry: Descriptor) -> bool:
    return entry.rest.get("artifactType") == KIND


def _signed(entry: Descriptor) -> bool:
    return entry.annotations.get(_PREDICATE_NOTE) == PREDICATE


def _stored(artifact: Artifact) -> bytes:
    """The bytes of the only layer."""
    named = {each.digest for each in artifact.layers[:1]}
    blob = next((each for each in artifact.blobs if each.descriptor.digest in named), None)
    if blob is None or blob.descriptor.size > MAX_STORED:
        raise IntegrityError("a document about layers that is none, or too large")
    return b"".join(blob.chunks())


def _plain(data: bytes) -> object:
    unpacked = b""
    for chunk in codec.decode([data]):
        unpacked += chunk
        if len(unpacked) > 8 * MAX_STORED:
            raise IntegrityError("a document about layers that unpacks to too much")
    return parse_object(unpacked)


def _vouched(key: PublicKey, subject: Digest) -> Callable[[bytes], object]:
    """What a bundle says, if this key made it and it is about this image."""

    def unpack(data: bytes) -> object:
        envelope = statements.parse_bundle(data)
        if not envelope.signed_by(key):
            return {"layers": {}}
        said = statements.parse_statement(envelope.payload)
        return said.predicate if said.predicate_type == PREDICATE and subject in said.subjects else {"layers": {}}

    return unpack


def parse(value: object) -> dict[Digest, LayerContents]:
    """The contents of layers by their diff ids, out of what a document says; anything malformed is an IntegrityError."""
    layers = value.get("layers") if isinstance(value, dict) else None
    if not isinstance(layers, dict):
        raise IntegrityError("a document about layers that has none")
    return {Digest.parse(diff_id): LayerContents.parse(each) for diff_id, each in islice(layers.items(), 1000)}
