"""Verifies an image with plain keys: its signatures, its attestations, and what was not checked. No service is called.

A signature counts only if one of the given keys made it and it names this manifest by its digest. The manifest names the config and the
layers by their digests, so a valid signature covers every byte. If the image is on this machine, all bytes are read and checked here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelcrate.images.artifact import Artifact, read_original_location
from modelcrate.images.reading import Found, read_image
from modelcrate.security.signing import statements
from modelcrate.security.signing.keys import PublicKey
from modelcrate.security.signing.statements import BUNDLES, DSSE, SIGNED, SIMPLE, SOURCES, Envelope, Statement
from modelcrate.transports.registry import RegistryCollection
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass, field

MAX_SIGNED = 32 << 20
"""Bytes of one signed document; a bill of materials has some 100,000."""


@dataclass(frozen=True, slots=True)
class Proven:
    """One verified statement about a digest; a signature has the predicate type SIGNED.

    Attributes:
        digest: The image or member that it is about.
        statement: The statement.
        key: The name of the key that signed it.
        form: Its form: bundle, attestation under a tag, or signature under a tag.
    """

    digest: Digest
    statement: Statement
    key: str
    form: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification.

    Attributes:
        name: The name of the image.
        digest: The digest of its manifest or index.
        proven: Statements with a valid signature.
        checked: What was checked, as sentences.
        unchecked: What was not checked or does not count, as sentences.
        faults: Signatures that claim a given key and are not by it, or are about another image: damage, or an attack.
        members: The digests of an index's images.
    """

    name: str
    digest: Digest
    proven: tuple[Proven, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    faults: tuple[CrateError, ...] = field(default=())
    members: tuple[Digest, ...] = ()

    @property
    def signatures(self) -> tuple[Proven, ...]:
        """The signatures of the image itself, not of one member."""
        return tuple(
            each for each in self.proven if each.statement.predicate_type == SIGNED and each.digest == self.digest
        )

    @property
    def sources(self) -> frozenset[Digest]:
        """The artifacts of sources that are signed."""
        named = (each.statement.predicate.get("artifact") for each in self.of_type(SOURCES))
        return frozenset(Digest.parse(each) for each in named)

    def of_type(self, *predicate_types: str) -> tuple[Proven, ...]:
        """Returns the statements of these types, about the image or one of its members."""
        return tuple(each for each in self.proven if each.statement.predicate_type in predicate_types)


def verify(found: Found, keys: Sequence[PublicKey], name: str) -> Verified:
    """Verifies all artifacts beside an image with these keys, and the image's own bytes if they are on this machine.

    Args:
        found: The image.
        keys: The keys that count.
        name: The image's name, for messages.

    Raises:
        IntegrityError: Bytes differ from their digest. A missing signature is no error here; see `require_signature`.
    """
    subject = _subject(found)
    members = found.members()
    digests = {subject.digest, *(each.digest for each in members)}
    proven: list[Proven] = []
    faults: list[CrateError] = []
    unchecked: list[str] = []
    indexes = {each.digest for each in found.part_indexes()}  # what is about them is beside it in a layout
    for artifact in [each for each in found.attached() if not each.is_about(indexes)]:
        for piece in _pieces(artifact, unchecked):
            _judge(piece, keys, digests, proven, faults, unchecked)
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


def signed_beside(found: Found) -> Iterator[tuple[bytes, bytes]]:
    """Yields what the signatures beside an image sign, and the signatures, in DER. None of them is verified."""
    for artifact in found.attached():
        for piece in _pieces(artifact, []):
            if piece.envelope is None:
                yield piece.payload, piece.signature
            else:
                data = statements.pae(piece.envelope.payload_type, piece.payload)
                yield from ((data, signature) for signature in piece.envelope.signatures)


def require_signature(verified: Verified) -> None:
    """Checks that an image has a valid signature and no faults.

    Raises:
        IntegrityError: It has none, or it has faults; one error with all reasons.
    """
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
    """One signed document, not verified yet: only its envelope was parsed."""

    form: str
    envelope: Envelope | None
    payload: bytes
    signature: bytes

    def signed_by(self, key: PublicKey) -> bool:
        if self.envelope is not None:
            return self.envelope.signed_by(key)
        return key.verifies(self.signature, self.payload)

    def statement(self) -> Statement:
        """Parses the statement; only after `signed_by`."""
        if self.envelope is not None:
            if self.envelope.payload_type != statements.IN_TOTO:
                raise IntegrityError(f"a signed document has the unknown type {self.envelope.payload_type[:80]!r}")
            return statements.parse_statement(self.payload)
        return Statement(SIGNED, {}, (statements.parse_simple(self.payload),))


def _subject(found: Found) -> Descriptor:
    """Returns what was signed: the manifest, or for an archive for Docker the original manifest, if config and layers are the same."""
    wanted = read_original_location(found.descriptor)
    if wanted is None:
        found.document()
        return found.descriptor
    signed = parse_object(found.collection.read(wanted), found.collection.where)
    image = read_image(found.collection, found.descriptor)
    if Descriptor.parse(signed.get("config")).digest != image.id:
        raise IntegrityError(
            "the archive's image has another config than its original manifest", where=found.collection.where
        )
    if [layer.descriptor.digest for layer in image.layers] != [layer.layer.diff_id for layer in image.layers]:
        raise IntegrityError("the archive's layers differ from those in its config", where=found.collection.where)
    return wanted


def _pieces(artifact: Artifact, unchecked: list[str]) -> Iterator[_Piece]:
    """Yields the signed documents of an artifact. All its blobs are read and checked, also unused ones."""
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
            unchecked.append(f"{layer.media_type} {layer.digest}: not signed, so it does not count")


def _read(blob: Blob) -> bytes:
    size = blob.descriptor.size
    if size > MAX_SIGNED:
        raise IntegrityError(f"a document beside the image has {size} bytes; the limit is {MAX_SIGNED}")
    return b"".join(blob.chunks())


def _judge(
    piece: _Piece,
    keys: Sequence[PublicKey],
    digests: set[Digest],
    proven: list[Proven],
    faults: list[CrateError],
    unchecked: list[str],
) -> None:
    key = next((each for each in keys if piece.signed_by(each)), None)
    if key is None:
        hint = piece.envelope.hint if piece.envelope is not None else ""
        if hint and any(each.hint == hint for each in keys):
            faults.append(IntegrityError(f"a {piece.form} names a given key, but that key did not make it"))
        else:
            who = (
                "by a certificate (certificates are not checked)"
                if piece.envelope and piece.envelope.certificate
                else "by another key"
            )
            unchecked.append(f"a {piece.form} {who}: does not count")
        return
    statement = piece.statement()
    subjects = [digest for digest in statement.subjects if digest in digests]
    if not subjects:
        faults.append(
            IntegrityError(
                f"a {piece.form} by {key.name} is about another image", why=", ".join(map(str, statement.subjects[:3]))
            )
        )
    proven += [Proven(digest, statement, key.name, piece.form) for digest in subjects]


def _bytes(found: Found, unchecked: list[str]) -> list[str]:
    """Reads and checks the image: every blob if it is on this machine, of a registry's image only manifests and configs."""
    graph = found.graph()
    size = sum(blob.descriptor.size for blob in graph.blobs)
    if isinstance(found.collection, RegistryCollection):
        for blob in graph.blobs:
            if blob.descriptor.media_type in (MediaType.CONFIG, MediaType.DOCKER_CONFIG):
                for _ in blob.chunks():
                    pass
        unchecked.append(
            f"the layers, {size} bytes: they are in the registry, and each client checks their digests when it fetches them"
        )
        return ["manifests and configs match their digests"]
    for blob in graph.blobs:
        for _ in blob.chunks():
            pass
    return [f"manifests, configs and layers, {size} bytes, match their digests"]
