"""Our bundles under other people's verifiers: npm's @sigstore/verify, openssl, securesystemslib."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from modelcrate.security.signing import keys, statements
from modelcrate_layers.content import Digest
from support.tools import cache
from support.trusted import judged
from support.waiting import HANG

pytestmark = pytest.mark.interop

DIGEST = Digest.of(b"an image")

NODE = """
const fs = require('fs'), { createPublicKey } = require('crypto');
const { bundleFromJSON } = require('@sigstore/bundle'), { Verifier, toSignedEntity } = require('@sigstore/verify');
const [file, pem] = process.argv.slice(1);
const publicKey = createPublicKey(fs.readFileSync(pem));
const material = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [],
  publicKey: () => ({ publicKey, validFor: () => true }) };
const none = { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0, tsaThreshold: 0 };
try {
  new Verifier(material, none).verify(toSignedEntity(bundleFromJSON(JSON.parse(fs.readFileSync(file)))));
  console.log('good');
} catch (fault) { console.log('bad', fault.code); }
"""


@pytest.fixture
def signed(tmp_path: Path) -> tuple[bytes, Path]:
    private, public = keys.write_pair(tmp_path / "k", None)
    signer = keys.load_signer(str(private), None)
    return statements.bundle(statements.statement(DIGEST, statements.SIGNED, {}), signer), public


def changed(bundle: bytes) -> bytes:
    value = json.loads(bundle)
    payload = bytearray(base64.b64decode(value["dsseEnvelope"]["payload"]))
    payload[-3] ^= 1
    value["dsseEnvelope"]["payload"] = base64.b64encode(bytes(payload)).decode()
    return json.dumps(value).encode()


def test_npms_verifier(signed: tuple[bytes, Path], tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = cache() / "sigstore-verify"
    if not (folder / "node_modules/@sigstore/verify").exists():
        folder.mkdir(parents=True, exist_ok=True)
        words = ["npm", "install", "--silent", "--no-fund", "--no-audit", "@sigstore/verify", "@sigstore/bundle"]
        if subprocess.run(words, cwd=folder, capture_output=True, timeout=HANG).returncode:
            pytest.skip("npm can't install @sigstore/verify")
    told = []
    for data in (signed[0], changed(signed[0])):
        (tmp_path / "bundle.json").write_bytes(data)
        done = subprocess.run(
            ["node", "-e", NODE, str(tmp_path / "bundle.json"), str(signed[1])],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        told.append(done.stdout.strip() or done.stderr)
    assert told == ["good", "bad SIGNATURE_ERROR"]


def test_openssl(signed: tuple[bytes, Path], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    envelope = statements.parse_bundle(signed[0])
    (tmp_path / "sig").write_bytes(envelope.signatures[0])
    words = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        str(signed[1]),
        "-signature",
        str(tmp_path / "sig"),
        str(tmp_path / "data"),
    ]
    (tmp_path / "data").write_bytes(statements.pae(envelope.payload_type, envelope.payload))
    assert subprocess.run(words, capture_output=True).returncode == 0
    (tmp_path / "data").write_bytes(statements.pae(envelope.payload_type, envelope.payload + b" "))
    assert subprocess.run(words, capture_output=True).returncode == 1


def test_openssl_reads_our_keys_and_we_read_openssls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    private, public = keys.write_pair(tmp_path / "k", "secret")
    told = subprocess.run(
        ["openssl", "pkey", "-in", private, "-passin", "pass:secret", "-pubout"], capture_output=True, check=True
    ).stdout
    assert told == public.read_bytes()
    made = tmp_path / "openssl.key"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", made],
        check=True,
        capture_output=True,
    )
    signer = keys.load_signer(str(made), None)
    assert signer.public.verifies(signer.sign(b"x"), b"x")


def test_a_key_behind_a_command(tmp_path: Path) -> None:
    """As with a token or a service: openssl holds the key, we get only signatures."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    private, public = keys.write_pair(tmp_path / "k", None)
    script = tmp_path / "token"
    script.write_text(
        f"#!/bin/sh\ncase $1 in\npublic) cat {public};;\nsign) openssl dgst -sha256 -sign {private} | base64;;\nesac\n"
    )
    script.chmod(0o755)
    signer = keys.load_signer(f"command:{script}", None)
    assert signer.public == keys.load_public(public)
    assert signer.public.verifies(signer.sign(b"data"), b"data")


def test_securesystemslib(signed: tuple[bytes, Path], tmp_path: Path) -> None:
    script = """
import json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
envelope = json.load(open(sys.argv[1]))['dsseEnvelope']
key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[2], 'rb').read()))
for each in envelope['signatures']:
    each['keyid'] = key.keyid
try:
    print(len(Envelope.from_dict(envelope).verify([key], 1)))
except Exception as fault:
    print(type(fault).__name__)
"""
    told = []
    for data in (signed[0], changed(signed[0])):
        (tmp_path / "bundle.json").write_bytes(data)
        told.append(judged("securesystemslib", script, str(tmp_path / "bundle.json"), str(signed[1])).strip())
    assert told == ["1", "VerificationError"]
