"""Verification of an image with plain keys: who signed it, what was attested, and what was not looked at. No service is called.

A signature counts only when one of the given keys made it and it names this very manifest by its digest. The manifest names the config and
the layers by theirs, so whoever has verified those has verified every byte; where the image lies on this machine, that is done here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from modelcrate.images.artifact import Artifact, read_original_location
from modelcrate.images.reading import Found, read_image
from modelcrate.security.signing import statements
from modelcrate.security.signing.keys import PublicKey
from modelcrate.security.signing.statements import BUNDLES, DSSE, SIGNED, SIMPLE, Envelope, Statement
from modelcrate.transports.registry import RegistryCollection
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass

MAX_SIGNED = 32 << 20
"""Bytes of one signed document; bills of materials have some hundred thousand."""


@dataclass(frozen=True, slots=True)
class Proven:
    """One thing that a key vouches for: a signature (the predicate type SIGNED), or a statement."""

    digest: Digest
    statement: Statement
    key: str
    form: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found out about an image. `faults` are things that name our key and are not by it: damage, or an attack."""

    name: str
    digest: Digest
    proven: tuple[Proven, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    faults: tuple[CrateError, ...] = field(default=())
    members: tuple[Digest, ...] = ()

    @property
    def signatures(self) -> tuple[Proven, ...]:
        """Those of the whole image."""
        return tuple(
            each for each in self.proven if each.statement.predicate_type == SIGNED and each.digest == self.digest
        )

    def of_type(self, *predicate_types: str) -> tuple[Proven, ...]:
        """The statements of these types, about the image or one of its members."""
        return tuple(each for each in self.proven if each.statement.predicate_type in predicate_types)


def verify(found: Found, keys: Sequence[PublicKey], name: str) -> Verified:
    """Check all that stands beside an image against these keys, and the image's own bytes where they are on this machine.

    It raises an IntegrityError only where bytes are not what their digest says; what is lacking is for `require` to say.
    """
    subject = _subject(found)
    members = found.members()
    about = {subject.digest, *(each.digest for each in members)}
    proven: list[Proven] = []
    faults: list[CrateError] = []
    unchecked: list[str] = []
    for artifact in found.attached():
        for piece in _pieces(artifact, unchecked):
            _judge(piece, keys, about, proven, faults, unchecked)
    checked = [f"the manifest {subject.digest} names what was read"]
    checked += _bytes(found, unchecked)
    distinct = {
        (each.digest, each.statement.predicate_type, each.key, each.form, str(each.statement.predicate)): each
        for each in proven
    }
    return Verified(
        name,
        subject.digest,
        tuple(distinct.values()),
        tuple(checked),
        tuple(unchecked),
        tuple(faults),
        tuple(each.digest for each in members),
    )


def require_signature(verified: Verified) -> None:
    """An error with everything that is wrong, unless a key vouches for the image and nothing contradicts it."""
    if verified.faults:
        first, *rest = verified.faults
        first.also = tuple(rest)
        raise first
    if not verified.signatures:
        raise IntegrityError(
            f"{verified.digest} is not signed by any of these keys",
            where=verified.name,
            why="\n".join(verified.unchecked),
            hint="sign it: modelcrate sign IMAGE --key KEY",
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """One signed thing, its frame read and nothing of it believed."""

    form: str
    envelope: Envelope | None
    payload: bytes
    signature: bytes

    def signed_by(self, key: PublicKey) -> bool:
        if self.envelope is not None:
            return self.envelope.signed_by(key)
        return key.verifies(self.signature, self.payload)

    def said(self) -> Statement:
        """What it says: to be asked only after `signed_by`."""
        if self.envelope is not None:
            if self.envelope.payload_type != statements.IN_TOTO:
                raise IntegrityError(f"a signed text of the unknown type {self.envelope.payload_type[:80]!r}")
            return statements.parse_statement(self.payload)
        return Statement(SIGNED, {}, (statements.parse_simple(self.payload),))


def _subject(found: Found) -> Descriptor:
    """What was signed: the manifest itself or, in an archive for Docker, the image's own, if it is of the same config and layers."""
    wanted = read_original_location(found.descriptor)
    if wanted is None:
        found.document()
        return found.descriptor
    signed = parse_object(found.collection.read(wanted), found.collection.where)
    image = read_image(found.collection, found.descriptor)
    if Descriptor.parse(signed.get("config")).digest != image.id:
        raise IntegrityError(
            "the archive's image is not the one whose manifest lies beside it", where=found.collection.where
        )
    if [layer.descriptor.digest for layer in image.layers] != [layer.layer.diff_id for layer in image.layers]:
        raise IntegrityError("the archive's layers are not those of its config", where=found.collection.where)
    return wanted


def _pieces(artifact: Artifact, unchecked: list[str]) -> Iterator[_Piece]:
    """The signed things of an artifact. All its blobs are read, also those that say nothing: a changed byte is never passed over."""
    blobs = {blob.descriptor.digest: _read(blob) for blob in artifact.blobs}
    for layer in artifact.layers:
        data = blobs[layer.digest]
        if layer.media_type in BUNDLES:
            envelope = statements.parse_bundle(data)
            yield _Piece("bundle", envelope, envelope.payload, b"")
        elif layer.media_type == DSSE:
            envelope = statements.parse_envelope(data)
            yield _Piece("attestation under a tag", envelope, envelope.payload, b"")
        elif layer.media_type == SIMPLE:
            yield _Piece("signature under a tag", None, data, statements.signature_of(layer))
        else:
            unchecked.append(f"{layer.media_type} {layer.digest}: not signed, so nothing of it was believed")


def _read(blob: Blob) -> bytes:
    size = blob.descriptor.size
    if size > MAX_SIGNED:
        raise IntegrityError(f"something of {size} bytes stands beside the image; the limit is {MAX_SIGNED}")
    return b"".join(blob.chunks())


def _judge(
    piece: _Piece,
    keys: Sequence[PublicKey],
    about: set[Digest],
    proven: list[Proven],
    faults: list[CrateError],
    unchecked: list[str],
) -> None:
    key = next((each for each in keys if piece.signed_by(each)), None)
    if key is None:
        hint = piece.envelope.hint if piece.envelope is not None else ""
        if hint and any(each.hint == hint for each in keys):
            faults.append(IntegrityError(f"a {piece.form} says that it is by a key that did not make it"))
        else:
            who = (
                "by a certificate, which this check doesn't know"
                if piece.envelope and piece.envelope.certificate
                else "by another key"
            )
            unchecked.append(f"a {piece.form} {who}: not counted")
        return
    said = piece.said()
    subjects = [digest for digest in said.subjects if digest in about]
    if not subjects:
        faults.append(
            IntegrityError(
                f"a {piece.form} by {key.name} is about another image", why=", ".join(map(str, said.subjects[:3]))
            )
        )
    proven += [Proven(digest, said, key.name, piece.form) for digest in subjects]


def _bytes(found: Found, unchecked: list[str]) -> list[str]:
    """Read every blob of an image that lies here; a wrong byte ends it in an IntegrityError."""
    graph = found.graph()
    size = sum(blob.descriptor.size for blob in graph.blobs)
    if isinstance(found.collection, RegistryCollection):
        for blob in graph.blobs:
            if blob.descriptor.media_type in (MediaType.CONFIG, MediaType.DOCKER_CONFIG):
                for _ in blob.chunks():
                    pass
        unchecked.append(
            f"the layers, {size} bytes: they lie in the registry, and whoever fetches them holds them to their digests"
        )
        return ["manifests and configs are what their digests say"]
    for blob in graph.blobs:
        for _ in blob.chunks():
            pass
    return [f"manifests, configs and layers, {size} bytes, are what their digests say"]
