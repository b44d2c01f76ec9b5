"""Attacks on signatures and policies: duplicate keys, swapped payloads, wrong subjects, confused algorithms and types, lookalike names."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.artifact import make_digest_tag, make_referrer, make_tagged
from modelcrate.images.reading import Found
from modelcrate.security.signing import keys, statements
from modelcrate.security.signing.keys import LocalKey
from modelcrate.security.signing.naming import image_identity
from modelcrate.security.signing.policy import Policy, PolicyRule
from modelcrate.security.signing.signing import put
from modelcrate.security.signing.verifying import require_signature, verify
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Descriptor, Digest, Literal
from modelcrate_layers.errors import IntegrityError
from support.trusted import small_image


@pytest.fixture
def signer(tmp_path: Path) -> LocalKey:
    signer = keys.load_signer(str(keys.write_pair(tmp_path / "k", None)[0]), None)
    assert isinstance(signer, LocalKey)
    return signer


@pytest.fixture
def image(tmp_path: Path) -> Callable[[], Found]:
    connections = Connections(Config(tmp_path / "home"))
    parse(f"oci:{tmp_path}/layout:1").deliver(small_image(), connections, ignore_event)
    return lambda: find(f"oci:{tmp_path}/layout:1", connections)


def dsse(payload: bytes, signer: LocalKey, kind: str = statements.IN_TOTO) -> bytes:
    """A bundle whose envelope has this payload and type, signed by the key."""
    bundle = json.loads(statements.bundle(payload, signer))
    signature = base64.b64encode(signer.sign(statements.pae(kind, payload))).decode()
    bundle["dsseEnvelope"] |= {"payloadType": kind, "signatures": [{"sig": signature}]}
    return json.dumps(bundle).encode()


def attach(found: Found, bundle: bytes) -> None:
    put(found, (make_referrer(found.descriptor, statements.BUNDLE, Literal(bundle, statements.BUNDLE)),))


def attach_simple(found: Found, payload: bytes, signature: bytes) -> None:
    """A signature in cosign's older form."""
    body = Literal(payload, statements.SIMPLE)
    plain, text = body.descriptor, base64.b64encode(signature).decode()
    layer = Descriptor(plain.media_type, plain.digest, plain.size, {statements.SIGNATURE_NOTE: text})
    put(found, (make_tagged(make_digest_tag(found.descriptor.digest, ".sig"), [(layer, body)]),))


def refused(found: Found, signer: LocalKey, match: str) -> None:
    with pytest.raises(IntegrityError, match=match):
        require_signature(verify(found, [signer.public], "demo"))


def signature_of(digest: Digest) -> bytes:
    return statements.statement(digest, statements.SIGNED, {})


def test_the_forms_that_the_attacks_change_are_valid(image: Callable[[], Found], signer: LocalKey) -> None:
    found = image()
    attach(found, dsse(signature_of(found.descriptor.digest), signer))
    payload = statements.simple_payload(found.descriptor.digest, "demo")
    attach_simple(image(), payload, signer.sign(payload))
    verified = verify(image(), [signer.public], "demo")
    require_signature(verified)
    assert len(verified.signatures) == 2


@pytest.mark.parametrize("member", ["subject", "predicateType", "_type"])
def test_a_signed_statement_with_a_duplicate_key_is_refused(
    member: str, image: Callable[[], Found], signer: LocalKey
) -> None:
    payload = signature_of(image().descriptor.digest)
    value = json.dumps(json.loads(payload)[member])
    attach(image(), dsse(payload[:-1] + f',"{member}":{value}}}'.encode(), signer))
    refused(image(), signer, "a key stands twice")


@pytest.mark.parametrize("member", ["dsseEnvelope", "verificationMaterial", "mediaType"])
def test_a_bundle_with_a_duplicate_key_is_refused(member: str, image: Callable[[], Found], signer: LocalKey) -> None:
    bundle = dsse(signature_of(image().descriptor.digest), signer)
    value = json.dumps(json.loads(bundle)[member])
    attach(image(), bundle[:-1] + f',"{member}":{value}}}'.encode())
    refused(image(), signer, "a key stands twice")


def test_a_simple_signing_with_a_duplicate_key_is_refused(image: Callable[[], Found], signer: LocalKey) -> None:
    mine = statements.simple_payload(image().descriptor.digest, "demo")
    other = json.loads(statements.simple_payload(Digest.of(b"other"), "demo"))["critical"]
    payload = mine[:-1] + f',"critical":{json.dumps(other)}}}'.encode()
    attach_simple(image(), payload, signer.sign(payload))
    refused(image(), signer, "a key stands twice")


def test_a_swapped_payload_is_refused(image: Callable[[], Found], signer: LocalKey) -> None:
    bundle = json.loads(statements.bundle(signature_of(Digest.of(b"other")), signer))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(signature_of(image().descriptor.digest)).decode()
    attach(image(), json.dumps(bundle).encode())
    refused(image(), signer, "that key did not make it")


def test_a_swapped_simple_payload_does_not_count(image: Callable[[], Found], signer: LocalKey) -> None:
    other = statements.simple_payload(Digest.of(b"other"), "demo")
    attach_simple(image(), statements.simple_payload(image().descriptor.digest, "demo"), signer.sign(other))
    refused(image(), signer, "not signed by any of these keys")


@pytest.mark.parametrize("form", ["bundle", "simple"])
def test_a_signature_of_another_image_is_refused(form: str, image: Callable[[], Found], signer: LocalKey) -> None:
    if form == "bundle":
        attach(image(), dsse(signature_of(Digest.of(b"other")), signer))
    else:
        payload = statements.simple_payload(Digest.of(b"other"), "demo")
        attach_simple(image(), payload, signer.sign(payload))
    refused(image(), signer, "is about another image")


def test_a_statement_about_a_digest_of_another_algorithm_is_refused(
    image: Callable[[], Found], signer: LocalKey
) -> None:
    value = json.loads(signature_of(image().descriptor.digest))
    value["subject"] = [{"digest": {"sha512": "0" * 128}}, {"digest": {"gitCommit": image().descriptor.digest.hex}}]
    attach(image(), dsse(json.dumps(value).encode(), signer))
    refused(image(), signer, "is about another image")


def test_an_attestation_is_no_signature(image: Callable[[], Found], signer: LocalKey) -> None:
    attach(image(), dsse(statements.statement(image().descriptor.digest, statements.PROVENANCE, {}), signer))
    refused(image(), signer, "not signed by any of these keys")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/vnd.in-toto+json ", ""])
def test_a_signed_payload_of_another_type_is_no_statement(
    kind: str, image: Callable[[], Found], signer: LocalKey
) -> None:
    attach(image(), dsse(signature_of(image().descriptor.digest), signer, kind))
    refused(image(), signer, "unknown type")


def test_a_signature_of_an_envelope_is_none_of_a_simple_signing(image: Callable[[], Found], signer: LocalKey) -> None:
    signed = statements.pae(statements.IN_TOTO, signature_of(image().descriptor.digest))
    attach_simple(image(), signed, signer.sign(signed))
    refused(image(), signer, "not valid JSON")


def test_a_signature_of_a_simple_signing_is_none_of_an_envelope(image: Callable[[], Found], signer: LocalKey) -> None:
    payload = statements.simple_payload(image().descriptor.digest, "demo")
    bundle = json.loads(statements.bundle(payload, signer))
    bundle["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(signer.sign(payload)).decode()}]
    attach(image(), json.dumps(bundle).encode())
    refused(image(), signer, "that key did not make it")


def test_signatures_of_another_hash_or_encoding_do_not_count(signer: LocalKey) -> None:
    r, s = decode_dss_signature(signer.sign(b"data"))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    zero = b"\x30\x06\x02\x01\x00\x02\x01\x00"  # r = s = 0 (CVE-2022-21449)
    for signature in (signer.key.sign(b"data", ECDSA(SHA384())), raw, zero, b""):
        assert not signer.public.verifies(signature, b"data")
    assert signer.public.verifies(signer.sign(b"data"), b"data")


@pytest.mark.parametrize(
    "name",
    [
        "registry.example/t\N{CYRILLIC SMALL LETTER IE}am/x",
        "registry.example/te\N{ZERO WIDTH SPACE}am/x",
        "registry.example/\N{FULLWIDTH LATIN SMALL LETTER T}eam/x",
        "registry\N{ONE DOT LEADER}example/team/x",
        "\N{RIGHT-TO-LEFT OVERRIDE}registry.example/team/x",
    ],
)
def test_a_name_that_only_looks_like_another_has_none_of_its_rules(name: str) -> None:
    policy = Policy("policy.yaml", (PolicyRule(("registry.example/team/*",)),))
    assert policy.rule_for(image_identity("registry.example/team/x:1")) is policy.rules[0]
    with pytest.raises(IntegrityError, match="no rule"):
        policy.rule_for(image_identity(f"{name}:1"))
