"""Signed statements about an image: in-toto statements in DSSE envelopes in sigstore bundles, and cosign's simple signing. Pure.

Formats: in-toto attestation v1, DSSE v1, sigstore bundle v0.3 (protojson), cosign's SIGNATURE_SPEC. A foreign payload is verified first and
parsed afterwards; before that only the envelope is parsed, to find the signature.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from modelcrate.images.artifact import Artifact, make_digest_tag, make_referrer, make_tagged
from modelcrate_layers.content import Descriptor, Digest, Literal, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import PublicKey, Signer

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
BUNDLES = (BUNDLE, "application/vnd.dev.sigstore.bundle+json;version=0.3")
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
SIGNATURE_NOTE = "dev.cosignproject.cosign/signature"

STATEMENT = "https://in-toto.io/Statement/v1"
STATEMENTS = (STATEMENT, "https://in-toto.io/Statement/v0.1")
SIGNED = "https://sigstore.dev/cosign/sign/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
NO_NOTES: Mapping[str, str] = MappingProxyType({})
SPDX = "https://spdx.dev/Document"
CYCLONEDX = "https://cyclonedx.org/bom"
SOURCES = "urn:modelcrate:sources:v1"
"""Says which sources of those beside an image its signer has put there."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about images, which it names by their digests (in-toto attestation v1)."""

    predicate_type: str
    predicate: Mapping[str, Any]
    subjects: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope.

    Attributes:
        payload_type: The media type of the payload.
        payload: The signed bytes.
        signatures: Signatures in DER.
        hint: The name of the key, as the bundle claims it; may be empty.
        certificate: Whether the bundle has a certificate instead of a key.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]
    hint: str = ""
    certificate: bool = False

    def signed_by(self, key: PublicKey) -> bool:
        """Returns whether one of the signatures is by this key."""
        data = pae(self.payload_type, self.payload)
        return any(key.verifies(signature, data) for signature in self.signatures)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Returns the bytes that DSSE signs (pre-authentication encoding): type and payload, each with its length."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def statement(subject: Digest, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """Returns an in-toto statement about one image, as JSON."""
    subjects = [{"digest": {subject.algorithm: subject.hex}}]
    return canonical_json(
        {"_type": STATEMENT, "subject": subjects, "predicateType": predicate_type, "predicate": predicate}
    )


def parse_statement(data: bytes) -> Statement:
    """Parses an in-toto statement whose signature has been verified already.

    Raises:
        IntegrityError: It is not an in-toto statement.
    """
    value = parse_object(data)
    subjects, kind, predicate = value.get("subject"), value.get("predicateType"), value.get("predicate")
    if value.get("_type") not in STATEMENTS or not isinstance(subjects, list) or not isinstance(kind, str):
        raise IntegrityError("a signed statement is not an in-toto statement")
    digests = [each.get("digest") for each in subjects if isinstance(each, dict)]
    found = tuple(
        Digest("sha256", each["sha256"])
        for each in digests
        if isinstance(each, dict) and isinstance(each.get("sha256"), str)
    )
    return Statement(kind, predicate if isinstance(predicate, dict) else {}, found)


def attest(
    subject: Descriptor,
    predicate_type: str,
    predicate: Mapping[str, Any],
    signer: Signer,
    notes: Mapping[str, str] = NO_NOTES,
) -> Artifact:
    """Returns a signed statement as a sigstore bundle that refers to the image. `notes` are more annotations of it."""
    payload = statement(subject.digest, predicate_type, predicate)
    annotations = {**_notes(predicate_type), **notes}
    return make_referrer(subject, BUNDLE, Literal(bundle(payload, signer), BUNDLE), annotations)


def bundle(payload: bytes, signer: Signer) -> bytes:
    """Returns a sigstore bundle of a statement: with a key instead of a certificate, and without a log entry."""
    signature = base64.b64encode(signer.sign(pae(IN_TOTO, payload))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": signature}],
    }
    return canonical_json(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": signer.public.hint}},
            "dsseEnvelope": envelope,
        }
    )


def _notes(predicate_type: str) -> dict[str, str]:
    return {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicate_type}


def parse_bundle(data: bytes) -> Envelope:
    """Parses a sigstore bundle and returns its envelope.

    Raises:
        IntegrityError: It is not a bundle with an envelope. A bundle with the signature of a message names no image.
    """
    value = parse_object(data)
    if value.get("mediaType") not in BUNDLES:
        raise IntegrityError(f"a sigstore bundle has the unknown type {value.get('mediaType')!r:.100}")
    material, envelope = value.get("verificationMaterial"), value.get("dsseEnvelope")
    if not isinstance(envelope, dict) or not isinstance(material, dict):
        raise IntegrityError("a sigstore bundle has no envelope")
    key = material.get("publicKey")
    hint = key.get("hint", "") if isinstance(key, dict) else ""
    return _envelope(envelope, hint if isinstance(hint, str) else "", "publicKey" not in material)


def parse_envelope(data: bytes) -> Envelope:
    """Parses a DSSE envelope without a bundle, as in cosign's older form of attestations."""
    return _envelope(parse_object(data), "", False)


def _envelope(value: Mapping[str, Any], hint: str, certificate: bool) -> Envelope:
    kind, signatures = value.get("payloadType"), value.get("signatures")
    if not isinstance(kind, str) or not isinstance(signatures, list) or not 1 <= len(signatures) <= 16:
        raise IntegrityError("a DSSE envelope has no type, or not 1 to 16 signatures")
    found = tuple(_bytes(each.get("sig") if isinstance(each, dict) else None) for each in signatures)
    return Envelope(kind, _bytes(value.get("payload")), found, hint, certificate)


def simple_payload(digest: Digest, identity: str) -> bytes:
    """Returns the payload of cosign's simple signing, as JSON."""
    critical = {
        "identity": {"docker-reference": identity},
        "image": {"docker-manifest-digest": str(digest)},
        "type": "cosign container image signature",
    }
    return canonical_json({"critical": critical, "optional": None})


def simple(subject: Descriptor, identity: str, signer: Signer) -> Artifact:
    """Returns a signature in cosign's older form, under the tag that cosign reads."""
    payload = Literal(simple_payload(subject.digest, identity), SIMPLE)
    signature = base64.b64encode(signer.sign(payload.data)).decode()
    plain = payload.descriptor
    layer = Descriptor(plain.media_type, plain.digest, plain.size, {SIGNATURE_NOTE: signature})
    return make_tagged(make_digest_tag(subject.digest, ".sig"), [(layer, payload)])


def parse_simple(data: bytes) -> Digest:
    """Parses the payload of a simple signing, whose signature has been verified already, and returns the digest of its image.

    Raises:
        IntegrityError: It is not such a payload.
    """
    critical = parse_object(data).get("critical")
    image = critical.get("image") if isinstance(critical, dict) else None
    if (
        not isinstance(critical, dict)
        or not isinstance(image, dict)
        or critical.get("type") != "cosign container image signature"
    ):
        raise IntegrityError("a signed payload is not one of cosign's simple signing")
    return Digest.parse(image.get("docker-manifest-digest"))


def signature_of(layer: Descriptor) -> bytes:
    """Returns the signature of a simple signing, in DER, from the annotation of its layer."""
    return _bytes(layer.annotations.get(SIGNATURE_NOTE))


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise IntegrityError("a payload or signature is missing")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise IntegrityError("a payload or signature is not valid base64") from None
