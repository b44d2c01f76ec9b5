"""What is said about an image, signed: in-toto statements in DSSE envelopes in sigstore bundles, and cosign's simple signing. Pure.

Formats: in-toto attestation v1, DSSE v1, sigstore bundle v0.3 (protojson), cosign's SIGNATURE_SPEC. What comes from outside is verified
first and parsed afterwards, but for the frame that says where the signature is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
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
SPDX = "https://spdx.dev/Document"
CYCLONEDX = "https://cyclonedx.org/bom"


@dataclass(frozen=True, slots=True)
class Statement:
    """Something said about images, by their digests."""

    predicate_type: str
    predicate: Mapping[str, Any]
    subjects: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Signed bytes. `hint` names the key, where anything does; `certificate` tells that a certificate stands in its place."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]
    hint: str = ""
    certificate: bool = False

    def signed_by(self, key: PublicKey) -> bool:
        data = pae(self.payload_type, self.payload)
        return any(key.verifies(signature, data) for signature in self.signatures)


def pae(payload_type: str, payload: bytes) -> bytes:
    """What DSSE signs: type and body with their lengths, so that nothing can be shifted between them."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def statement(subject: Digest, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """An in-toto statement about one image."""
    about = [{"digest": {subject.algorithm: subject.hex}}]
    return canonical_json(
        {"_type": STATEMENT, "subject": about, "predicateType": predicate_type, "predicate": predicate}
    )


def parse_statement(data: bytes) -> Statement:
    """A statement whose signature has been verified already."""
    value = parse_object(data)
    subjects, kind, predicate = value.get("subject"), value.get("predicateType"), value.get("predicate")
    if value.get("_type") not in STATEMENTS or not isinstance(subjects, list) or not isinstance(kind, str):
        raise IntegrityError("a statement that is none of in-toto's")
    digests = [each.get("digest") for each in subjects if isinstance(each, dict)]
    found = tuple(
        Digest("sha256", each["sha256"])
        for each in digests
        if isinstance(each, dict) and isinstance(each.get("sha256"), str)
    )
    return Statement(kind, predicate if isinstance(predicate, dict) else {}, found)


def attest(subject: Descriptor, predicate_type: str, predicate: Mapping[str, Any], signer: Signer) -> Artifact:
    """A signed statement as a sigstore bundle that refers to the image."""
    payload = statement(subject.digest, predicate_type, predicate)
    return make_referrer(subject, BUNDLE, Literal(bundle(payload, signer), BUNDLE), _notes(predicate_type))


def bundle(payload: bytes, signer: Signer) -> bytes:
    """A statement in an envelope in a bundle, with a key instead of a certificate and no log."""
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
    """The envelope in a bundle. A bundle of another kind (a message's signature) is an IntegrityError: it names no image."""
    value = parse_object(data)
    if value.get("mediaType") not in BUNDLES:
        raise IntegrityError(f"a bundle of the unknown type {value.get('mediaType')!r:.100}")
    material, envelope = value.get("verificationMaterial"), value.get("dsseEnvelope")
    if not isinstance(envelope, dict) or not isinstance(material, dict):
        raise IntegrityError("a bundle without an envelope")
    key = material.get("publicKey")
    hint = key.get("hint", "") if isinstance(key, dict) else ""
    return _envelope(envelope, hint if isinstance(hint, str) else "", "publicKey" not in material)


def parse_envelope(data: bytes) -> Envelope:
    """A DSSE envelope by itself, as cosign's first form of attestations has it."""
    return _envelope(parse_object(data), "", False)


def _envelope(value: Mapping[str, Any], hint: str, certificate: bool) -> Envelope:
    kind, signatures = value.get("payloadType"), value.get("signatures")
    if not isinstance(kind, str) or not isinstance(signatures, list) or not 1 <= len(signatures) <= 16:
        raise IntegrityError("an envelope without a type, or without signatures")
    found = tuple(_bytes(each.get("sig") if isinstance(each, dict) else None) for each in signatures)
    return Envelope(kind, _bytes(value.get("payload")), found, hint, certificate)


def simple_payload(digest: Digest, identity: str) -> bytes:
    """What cosign's first form signs."""
    critical = {
        "identity": {"docker-reference": identity},
        "image": {"docker-manifest-digest": str(digest)},
        "type": "cosign container image signature",
    }
    return canonical_json({"critical": critical, "optional": None})


def simple(subject: Descriptor, identity: str, signer: Signer) -> Artifact:
    """A signature in cosign's first form, under the tag that cosign looks for."""
    payload = Literal(simple_payload(subject.digest, identity), SIMPLE)
    signature = base64.b64encode(signer.sign(payload.data)).decode()
    plain = payload.descriptor
    layer = Descriptor(plain.media_type, plain.digest, plain.size, {SIGNATURE_NOTE: signature})
    return make_tagged(make_digest_tag(subject.digest, ".sig"), [(layer, payload)])


def parse_simple(data: bytes) -> Digest:
    """The image that a payload names; its signature has been verified already."""
    critical = parse_object(data).get("critical")
    image = critical.get("image") if isinstance(critical, dict) else None
    if (
        not isinstance(critical, dict)
        or not isinstance(image, dict)
        or critical.get("type") != "cosign container image signature"
    ):
        raise IntegrityError("a signature's payload that is none of cosign's")
    return Digest.parse(image.get("docker-manifest-digest"))


def signature_of(layer: Descriptor) -> bytes:
    return _bytes(layer.annotations.get(SIGNATURE_NOTE))


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise IntegrityError("a signed thing without its bytes")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise IntegrityError("a signed thing whose base64 is none") from None
