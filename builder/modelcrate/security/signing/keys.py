"""Keys for signatures and their verification: ECDSA on P-256 with SHA-256, which all common tools support.

Private keys are PKCS#8 in PEM, encrypted or not, or cosign's own encrypted form. A key in hardware or in a service signs by a command
(`command:PROGRAM ARGUMENTS`). With the argument `sign` the command reads the bytes and writes the signature; with `public` it writes the
public key.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from modelcrate_layers import host
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import IntegrityError, MachineError, UserError, unreadable
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.named_file import read_named_file
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

EXTRA = "modelcrate[cosign]"
COMMAND = "command:"
MAX_KEY = 64 << 10
SECONDS = 120
"""Time limit of a command; a user may have to touch a token."""

_COSIGN = compile_later(rb"-----BEGIN ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END")
_SCRYPT = frozenset({(32768, 8, 1), (65536, 8, 1), (131072, 8, 1)})
"""Allowed N, r and p: those that cosign writes. Others could take any amount of memory."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures. `name` is shown to users: the path of its file."""

    key: EllipticCurvePublicKey = field(repr=False, compare=False)
    der: bytes = field(repr=False)
    name: str = field(default="", compare=False)

    @property
    def hint(self) -> str:
        """The name of the key in a sigstore bundle: base64 of the SHA-256 of its DER form."""
        return base64.b64encode(hashlib.sha256(self.der).digest()).decode()

    @property
    def pem(self) -> bytes:
        """The key in PEM (SubjectPublicKeyInfo)."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Returns whether this key made this signature (DER) of the data."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self.key.verify(signature, data, ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(Protocol):
    """Anything that signs with a private key."""

    @property
    def public(self) -> PublicKey:
        """The public key of the pair."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Returns the signature of the data, in DER."""
        ...


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A private key in memory. Its signatures are deterministic (RFC 6979), so a second signature of an image adds nothing."""

    key: EllipticCurvePrivateKey = field(repr=False)
    name: str = ""

    @property
    def public(self) -> PublicKey:
        """The public key of the pair."""
        return _public(self.key.public_key(), self.name)

    def sign(self, data: bytes) -> bytes:
        """Returns the signature of the data, in DER."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            return self.key.sign(data, ECDSA(SHA256(), deterministic_signing=True))
        except (TypeError, UnsupportedAlgorithm):  # an older cryptography or OpenSSL: a random signature is as secure
            return self.key.sign(data, ECDSA(SHA256()))


@dataclass(frozen=True, slots=True)
class CommandKey:
    """A key behind a command. Each signature is verified at once, so a faulty token can't leave a wrong one."""

    words: tuple[str, ...]
    public: PublicKey

    def sign(self, data: bytes) -> bytes:
        """Returns the signature of the data, in DER.

        Raises:
            MachineError: The command fails.
            IntegrityError: Its signature is not by its public key.
        """
        output = _run(self.words, "sign", data)
        signature = output if output[:1] == b"\x30" and self.public.verifies(output, data) else _base64(output)
        if not self.public.verifies(signature, data):
            raise IntegrityError("the command's signature is not by its public key", where=self.words[0])
        return signature


PASSWORD_VARIABLES = ("MODELCRATE_KEY_PASSWORD", "COSIGN_PASSWORD")
"""Environment variables with the password of a private key; the first that is set counts."""


def given_password(environment: Mapping[str, str]) -> str | None:
    """Returns the password of a private key from the environment's variables; None, if none of them is set."""
    return next((environment[name] for name in PASSWORD_VARIABLES if name in environment), None)


def load_signer(text: str, password: str | None) -> Signer:
    """Returns the signer of a key.

    Args:
        text: The path of a private key, or `command:PROGRAM ARGUMENTS`.
        password: The password of an encrypted key.

    Raises:
        UserError: The key is encrypted and the password is missing or wrong, or it is not a private key on P-256.
        SourceError: The file can't be read.
        MachineError: The command fails, or a library is not installed.
    """
    if text.startswith(COMMAND):
        words = tuple(shlex.split(text.removeprefix(COMMAND)))
        if not words:
            raise UserError("the command to sign with is empty", hint="expected command:PROGRAM ARGUMENTS")
        return CommandKey(words, read_public(_run(words, "public", b""), words[0]))
    return LocalKey(_private(_read(Path(text)), text, password), text)


def needs_password(text: str) -> bool:
    """Returns whether the file of a key is encrypted."""
    return not text.startswith(COMMAND) and b"ENCRYPTED" in _read(Path(text))


def load_public(path: Path) -> PublicKey:
    """Reads a public key from a PEM file."""
    return read_public(_read(path), str(path))


def read_public(pem: bytes, where: str) -> PublicKey:
    """Parses a public key in PEM.

    Raises:
        UserError: It is not a public key on P-256; `where` is named in the message.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in pem:
        raise UserError("is a private key; to verify, the public one is needed", where=where)
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UserError("is not a public key in PEM", where=where, hint="modelcrate keygen makes a pair") from None
    return _public(_p256(key, where), where)


def generate(password: str | None) -> tuple[bytes, bytes]:
    """Returns a new private key (PKCS#8 in PEM, encrypted if there is a password) and its public key in PEM."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = generate_private_key(SECP256R1())
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), _public(key.public_key(), "").pem


def write_pair(prefix: Path, password: str | None) -> tuple[Path, Path]:
    """Writes a new pair of keys and returns the paths: PREFIX.key with mode 600, and PREFIX.pub.

    Raises:
        UserError: One of the files exists; a key is never overwritten.
    """
    private, public = generate(password)
    paths = prefix.with_name(prefix.name + ".key"), prefix.with_name(prefix.name + ".pub")
    for path in paths:
        if path.exists():
            raise UserError("exists, and a key is never overwritten", where=str(path))
    made: list[Path] = []
    try:
        for path, data, mode in zip(paths, (private, public), (0o600, 0o644), strict=True):
            with as_machine_error(path):
                handle = os.open(path, host.WRITE | os.O_EXCL, mode)
                made.append(path)
                with os.fdopen(handle, "wb") as out:
                    out.write(data)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)  # half of a pair is of no use
        raise
    return paths


def _private(pem: bytes, where: str, password: str | None) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    secret = password.encode() if password is not None else None
    if b"ENCRYPTED" in pem and secret is None:
        raise UserError(
            "is an encrypted key, and there is no password",
            where=where,
            hint="set MODELCRATE_KEY_PASSWORD, or COSIGN_PASSWORD",
        )
    try:
        if match := _COSIGN.search(pem):
            return _p256(load_der_private_key(_cosign(_base64(match[1]), secret or b"", where), None), where)
        return _p256(load_pem_private_key(pem, secret if b"ENCRYPTED" in pem else None), where)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UserError("is not a private key in PEM, or the password is wrong", where=where) from None


def _cosign(data: bytes, password: bytes, where: str) -> bytes:
    """Decrypts cosign's form of a private key (go-securesystemslib, "encrypted"), and returns PKCS#8 in DER."""
    try:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox
    except ImportError:
        raise MachineError(
            "PyNaCl is not installed; it decrypts the private keys of cosign",
            where=where,
            hint=f"pip install '{EXTRA}'; or a key without it: modelcrate keygen",
        ) from None
    try:
        document = parse_object(data, where)
        kdf, cipher = document["kdf"], document["cipher"]
        costs = tuple(kdf["params"][name] for name in ("N", "r", "p"))
        salt, nonce, box = (
            base64.b64decode(text, validate=True) for text in (kdf["salt"], cipher["nonce"], document["ciphertext"])
        )
        if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox") or costs not in _SCRYPT or len(box) > MAX_KEY:
            raise UserError("is not encrypted in the way of cosign (scrypt and nacl/secretbox)", where=where)
        n, r, p = costs
        key = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=256 << 20, dklen=32)
        return SecretBox(key).decrypt(box, nonce)
    except (KeyError, TypeError, ValueError):
        raise UserError("is not a private key as cosign writes it", where=where) from None
    except CryptoError:
        raise UserError("does not open: the password is wrong, or a byte of it has changed", where=where) from None


def _p256(key: object, where: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    if not isinstance(key, EllipticCurvePrivateKey | EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise UserError("is not a key on the curve P-256", where=where, hint="modelcrate keygen makes one")
    return key


def _public(key: EllipticCurvePublicKey, name: str) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return PublicKey(key, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), name)


def _read(path: Path) -> bytes:
    try:
        return read_named_file(path, MAX_KEY)
    except OSError as fault:
        raise unreadable(fault, path, "the key") from None


def _run(words: tuple[str, ...], verb: str, data: bytes) -> bytes:
    try:
        done = subprocess.run([*words, verb], input=data, stdout=subprocess.PIPE, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise MachineError(f"the command to sign with can't be started: {fault}", where=words[0]) from None
    if done.returncode or len(done.stdout) > MAX_KEY:
        raise MachineError(
            f"the command to sign with failed with code {done.returncode}",
            where=words[0],
            why=f"its argument was {verb!r}",
        )
    return done.stdout


def _base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        return b""
