"""What is known of an image's layers, as an artifact beside the image: the next build needs less of them.

It writes its bill of materials by their contents, and knows the Python of its base by the scans of the base's layers.

An unsigned artifact is trusted as much as the cache keys of layers: both need write access to the repository. A build that signs uses
only artifacts that its own key has signed, and with --paranoid none is used. A faulty artifact is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from modelcrate.images.artifact import Artifact, make_referrer
from modelcrate.images.image import Image
from modelcrate.images.reading import Found
from modelcrate.resolve.scan import VERSION, LayerScan
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.signing import statements
from modelcrate_layers.content import Descriptor, Digest, Literal, canonical_json, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.tar import codec

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import PublicKey, Signer

KIND = "application/vnd.modelcrate.contents.v1+json+zstd"
PREDICATE = "urn:modelcrate:contents:v1"

MAX_STORED = 8 << 20
"""Bytes of the compressed document; for an image with PyTorch it has some 30,000."""

MAX_LISTED = 1000
"""Layers whose contents are read from one document; of the scans as many."""

_SCANS = f"scans.{VERSION}"
"""Where a document has the scans. Those of another version say other things, and are not read."""

_PREDICATE_NOTE = "dev.sigstore.bundle.predicateType"


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What is known of an image's layers, by diff id.

    Attributes:
        contents: Their contents.
        scans: The scans of layers of its base.
    """

    contents: Mapping[Digest, LayerContents] = field(default_factory=dict, hash=False)
    scans: Mapping[Digest, LayerScan] = field(default_factory=dict, hash=False)

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.contents or self.scans)

    def of(self, image: Image) -> LayerFacts:
        """Returns what is known of the layers of one image."""
        ours = {each.layer.diff_id for each in image.layers}
        return LayerFacts(
            {diff_id: each for diff_id, each in self.contents.items() if diff_id in ours},
            {diff_id: each for diff_id, each in self.scans.items() if diff_id in ours},
        )


def contents_artifact(subject: Descriptor, facts: LayerFacts, signer: Signer | None) -> Artifact:
    """Returns the artifact of an image; a signed attestation if there is a signer.

    Args:
        subject: The image.
        facts: What is known of its layers.
        signer: The key.
    """
    value = {"layers": _by_name(facts.contents)} | ({_SCANS: _by_name(facts.scans)} if facts.scans else {})
    if signer is not None:
        return statements.attest(subject, PREDICATE, value, signer)
    data = canonical_json(value)
    return make_referrer(subject, KIND, Literal(b"".join(codec.zstd().encode([data], len(data))), KIND))


def _by_name(values: Mapping[Digest, LayerContents] | Mapping[Digest, LayerScan]) -> dict[str, object]:
    return {str(diff_id): values[diff_id].json() for diff_id in sorted(values, key=str)}


def read_contents(found: Found, image: Image, key: PublicKey | None) -> LayerFacts:
    """Reads what is known of an image's layers from the artifacts beside it.

    Args:
        found: The image, with the artifacts beside it.
        image: Its layers; what is said of other layers is dropped.
        key: If given, only artifacts with a signature of this key count.

    Returns:
        What is known; nothing if an artifact is faulty.
    """
    subject = image.manifest.descriptor.digest
    unpack = _plain if key is None else _verified(key, subject)
    contents, scans = dict[Digest, LayerContents](), dict[Digest, LayerScan]()
    try:
        for artifact in found.about(subject, _signed if key is not None else _unsigned):
            if artifact.subject == subject:
                facts = parse(unpack(_stored(artifact)))
                contents, scans = {**contents, **facts.contents}, {**scans, **facts.scans}
    except CrateError:
        return LayerFacts()
    return LayerFacts(contents, scans).of(image)


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


def parse(value: object) -> LayerFacts:
    """Parses the document of an artifact.

    Raises:
        IntegrityError: It is malformed.
    """
    layers, scans = (value.get("layers"), value.get(_SCANS, {})) if isinstance(value, dict) else (None, None)
    if not isinstance(layers, dict) or not isinstance(scans, dict):
        raise IntegrityError("the artifact with the contents of layers lists no layers")
    return LayerFacts(
        {Digest.parse(diff_id): LayerContents.parse(each) for diff_id, each in islice(layers.items(), MAX_LISTED)},
        {Digest.parse(diff_id): LayerScan.parse(each) for diff_id, each in islice(scans.items(), MAX_LISTED)},
    )
