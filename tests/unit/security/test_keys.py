"""Keys: made, read, refused."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from nacl.secret import SecretBox

from modelcrate.security.signing import keys
from modelcrate_layers.errors import CrateError, MachineError, SourceError, UserError


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
        for name, data in (("salt", salt), ("nonce", nonce), ("box", SecretBox(secret).encrypt(key, nonce).ciphertext))
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


def test_a_wrong_password_or_a_changed_byte_does_not_open_cosigns_form(tmp_path: Path) -> None:
    path = tmp_path / "c.key"
    path.write_bytes(cosign_key(32768))
    with pytest.raises(UserError, match="password is wrong"):
        keys.load_signer(str(path), "other")
    label, body, end = path.read_bytes().split(b"\n", 2)
    value = json.loads(base64.b64decode(body))
    box = bytearray(base64.b64decode(value["ciphertext"]))
    for changed in (box[:-1], box[:15], b"", bytes([box[0] ^ 1]) + box[1:]):
        value["ciphertext"] = base64.b64encode(changed).decode()
        path.write_bytes(b"\n".join((label, base64.b64encode(json.dumps(value).encode()), end)))
        with pytest.raises(UserError, match=r"password is wrong|as cosign writes it"):
            keys.load_signer(str(path), "pw")


def test_without_pynacl_the_command_to_install_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.key").write_bytes(cosign_key(32768))
    script = "import sys; sys.modules['nacl'] = None; from modelcrate.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", script, "sign", "oci:nothing:1", "--key", str(tmp_path / "c.key")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "MODELCRATE_HOME": str(tmp_path / "home"),
            "COSIGN_PASSWORD": "pw",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert "pip install 'modelcrate[cosign]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_wants_all_our_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.key").write_bytes(cosign_key(1 << 30))
    with pytest.raises(UserError, match="not encrypted in the way of cosign"):
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


def test_half_a_pair_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def full(path: str | Path, *more: int) -> int:
        if str(path).endswith(".pub"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *more)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(MachineError, match="No space left"):
        keys.write_pair(tmp_path / "k", None)
    assert list(tmp_path.iterdir()) == []
