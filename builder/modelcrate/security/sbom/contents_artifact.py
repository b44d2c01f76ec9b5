"""The contents of an image's layers, as an artifact beside the image: the next build then writes its bill of materials without those layers.

An unsigned artifact is trusted as much as the cache keys of layers: both need write access to the repository, and neither changes a byte of
an image. A build that signs uses only artifacts that its own key has signed. A faulty artifact is ignored.
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
"""Bytes of the compressed document; for an image with PyTorch it has some 30,000."""

_PREDICATE_NOTE = "dev.sigstore.bundle.predicateType"


def contents_artifact(subject: Descriptor, contents: Mapping[Digest, LayerContents], signer: Signer | None) -> Artifact:
    """Returns the artifact of an image; a signed attestation if there is a signer.

    Args:
        subject: The image.
        contents: The contents of its layers by diff id.
        signer: The key.
    """
    value = {"layers": {str(diff_id): contents[diff_id].json() for diff_id in sorted(contents, key=str)}}
    if signer is not None:
        return statements.attest(subject, PREDICATE, value, signer)
    data = canonical_json(value)
    return make_referrer(subject, KIND, Literal(b"".join(codec.zstd().encode([data], len(data))), KIND))


def read_contents(found: Found, image: Image, key: PublicKey | None) -> dict[Digest, LayerContents]:
    """Reads the contents of an image's layers from the artifacts beside it.

    Args:
        found: The image, with the artifacts beside it.
        image: Its layers; contents of other layers are dropped.
        key: If given, only artifacts with a signature of this key count.

    Returns:
        The contents by diff id; empty if an artifact is faulty.
    """
    subject = image.manifest.descriptor.digest
    unpack = _plain if key is None else _verified(key, subject)
    contents: dict[Digest, LayerContents] = {}
    try:
        for artifact in found.about(subject, _signed if key is not None else _unsigned):
            if artifact.subject == subject:
                contents |= parse(unpack(_stored(artifact)))
    except CrateError:
        return {}
    ours = {layer.layer.diff_id for layer in image.layers}
    return {diff_id: each for diff_id, each in contents.items() if diff_id in ours}


def _unsigned(entry: Descriptor) -> bool:
    return entry.rest.get("artifactType") == KIND


def _signed(entry: Descriptor) -> bool:
    return entry.annotations.get(_PREDICATE_NOTE) == PREDICATE


def _stored(artifact: Artifact) -> bytes:
    """Returns the bytes of the only layer."""
    named = {each.digest for each in artifact.layers[:1]}
    blob = next((each for each in artifact.blobs if each.descriptor.digest in named), None)
    if blob is None or blob.descriptor.size > MAX_STORED:
        raise IntegrityError("the artifact with the contents of layers has no layer, or a too large one")
    return b"".join(blob.chunks())


def _plain(data: bytes) -> object:
    unpacked = b""
    for chunk in codec.decode([data]):
        unpacked += chunk
        if len(unpacked) > 8 * MAX_STORED:
            raise IntegrityError("the artifact with the contents of layers is too large when it is decompressed")
    return parse_object(unpacked)


def _verified(key: PublicKey, subject: Digest) -> Callable[[bytes], object]:
    """Returns a parser of bundles. A bundle that is not by this key, or not about this image, is parsed as empty."""

    def unpack(data: bytes) -> object:
        envelope = statements.parse_bundle(data)
        if envelope.payload_type != statements.IN_TOTO or not envelope.signed_by(key):
            return {"layers": {}}
        statement = statements.parse_statement(envelope.payload)
        if statement.predicate_type != PREDICATE or subject not in statement.subjects:
            return {"layers": {}}
        return statement.predicate

    return unpack


def parse(value: object) -> dict[Digest, LayerContents]:
    """Parses the document of an artifact, and returns the contents of layers by diff id.

    Raises:
        IntegrityError: It is malformed.
    """
    layers = value.get("layers") if isinstance(value, dict) else None
    if not isinstance(layers, dict):
        raise IntegrityError("the artifact with the contents of layers lists no layers")
    return {Digest.parse(diff_id): LayerContents.parse(each) for diff_id, each in islice(layers.items(), 1000)}
