"""Keys: made, read, refused; and NaCl's box against its published vector."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from modelcrate.security.signing import keys
from modelcrate.security.signing.secretbox import seal, unseal
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, UserError


def test_the_box_is_nacls() -> None:
    """The vector of NaCl's own tests/secretbox.c."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    plain = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc"
        "e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31"
        "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde"
        "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705"
    )
    box = bytes.fromhex(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce"
        "48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972"
        "71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae"
        "90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5"
    )
    assert seal(plain, key, nonce) == box
    assert unseal(box, key, nonce) == plain
    for at in range(0, len(box), 5):
        with pytest.raises(IntegrityError):
            unseal(box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :], key, nonce)


@pytest.mark.parametrize("password", [None, "a long password"])
def test_a_pair_signs_and_verifies(password: str | None, tmp_path: Path) -> None:
    private, public = keys.write_pair(tmp_path / "k", password)
    signer = keys.load_signer(str(private), password)
    assert keys.needs_password(str(private)) is (password is not None)
    assert private.stat().st_mode & 0o777 == 0o600
    key = keys.load_public(public)
    signature = signer.sign(b"data")
    assert key == signer.public
    assert key.verifies(signature, b"data")
    assert not key.verifies(signature, b"Data")
    assert not key.verifies(b"", b"data")


def test_signatures_are_deterministic(tmp_path: Path) -> None:
    signer = keys.load_signer(str(keys.write_pair(tmp_path / "k", None)[0]), None)
    assert signer.sign(b"x") == signer.sign(b"x")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys.write_pair(tmp_path / "k", None)
    with pytest.raises(UserError, match="never overwritten"):
        keys.write_pair(tmp_path / "k", None)


def test_a_wrong_or_missing_password_is_said(tmp_path: Path) -> None:
    private, _ = keys.write_pair(tmp_path / "k", "right")
    with pytest.raises(UserError, match="no password"):
        keys.load_signer(str(private), None)
    with pytest.raises(UserError, match="password is wrong"):
        keys.load_signer(str(private), "wrong")


def cosign_key(n: int = 65536, label: str = "SIGSTORE", password: bytes = b"pw") -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, nonce = os.urandom(32), os.urandom(24)
    secret = hashlib.scrypt(password, salt=salt, n=min(n, 131072), r=8, p=1, maxmem=256 << 20, dklen=32)
    text = {
        name: base64.b64encode(data).decode()
        for name, data in (("salt", salt), ("nonce", nonce), ("box", seal(key, secret, nonce)))
    }
    value = {
        "kdf": {"name": "scrypt", "params": {"N": n, "r": 8, "p": 1}, "salt": text["salt"]},
        "cipher": {"name": "nacl/secretbox", "nonce": text["nonce"]},
        "ciphertext": text["box"],
    }
    body = base64.b64encode(json.dumps(value).encode())
    return b"-----BEGIN ENCRYPTED %b PRIVATE KEY-----\n%b\n-----END ENCRYPTED %b PRIVATE KEY-----\n" % (
        label.encode(),
        body,
        label.encode(),
    )


@pytest.mark.parametrize("label", ["SIGSTORE", "COSIGN"])
def test_cosigns_form_is_read(label: str, tmp_path: Path) -> None:
    (tmp_path / "c.key").write_bytes(cosign_key(32768, label))
    signer = keys.load_signer(str(tmp_path / "c.key"), "pw")
    assert signer.public.verifies(signer.sign(b"x"), b"x")


def test_a_key_that_wants_all_our_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.key").write_bytes(cosign_key(1 << 30))
    with pytest.raises(UserError, match="in a way that cosign's keys are not"):
        keys.load_signer(str(tmp_path / "c.key"), "pw")


def test_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    ed = ed25519.Ed25519PrivateKey.generate()
    p384 = ec.generate_private_key(ec.SECP384R1())
    for key in (ed, p384):
        (tmp_path / "x.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (tmp_path / "x.pub").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        with pytest.raises(UserError, match="P-256"):
            keys.load_signer(str(tmp_path / "x.key"), None)
        with pytest.raises(UserError, match="P-256"):
            keys.load_public(tmp_path / "x.pub")


def test_what_is_no_key_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    with pytest.raises(UserError, match="not a public key"):
        keys.load_public(tmp_path / "x")
    with pytest.raises(UserError, match="not a private key"):
        keys.load_signer(str(tmp_path / "x"), None)
    with pytest.raises(SourceError):
        keys.load_public(tmp_path / "nothing")
    private, _ = keys.write_pair(tmp_path / "k", None)
    with pytest.raises(UserError, match="is a private key"):
        keys.load_public(private)


@pytest.mark.parametrize("script", ["exit 1", "echo nothing", "cat"])
def test_a_command_that_does_not_sign_is_refused(script: str, tmp_path: Path) -> None:
    _, public = keys.write_pair(tmp_path / "k", None)
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\n[ $1 = public ] && exec cat {public}\n{script}\n")
    command.chmod(0o755)
    with pytest.raises(CrateError):
        keys.load_signer(f"command:{command}", None).sign(b"data")
