"""Signs an image: makes signatures in both common forms and attestations, and stores them beside the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelcrate.events import ignore_event
from modelcrate.images.artifact import Artifact, read_original_location
from modelcrate.images.reading import Found
from modelcrate.security.signing.keys import Signer
from modelcrate.security.signing.repeated import repeated
from modelcrate.security.signing.statements import CYCLONEDX, IN_TOTO, PROVENANCE, SIGNED, SPDX, attest, simple
from modelcrate.transports import archive, archive_file, oci
from modelcrate.transports import registry as registries
from modelcrate.transports.oci import LayoutCollection
from modelcrate.transports.oci_archive import OciArchiveCollection
from modelcrate.transports.registry import RegistryCollection
from modelcrate_layers.content import Descriptor, Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME

RAW = {
    "application/spdx+json": SPDX,
    "application/vnd.cyclonedx+json": CYCLONEDX,
    IN_TOTO: PROVENANCE,
}
"""Media types of unsigned documents beside an image, and the predicate types that they are attested as."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A predicate about a manifest that will be attested."""

    subject: Descriptor
    kind: str
    value: Mapping[str, Any]


def signatures(subject: Descriptor, identity: str, signer: Signer) -> tuple[Artifact, Artifact]:
    """Returns a signature in both common forms: a bundle that refers to the image, and one under cosign's tag."""
    return attest(subject, SIGNED, {}, signer), simple(subject, identity, signer)


def attestations(predicates: Iterator[Predicate], signer: Signer) -> Iterator[Artifact]:
    """Yields a signed attestation for each predicate."""
    for each in predicates:
        yield attest(each.subject, each.kind, each.value, signer)


def sign(found: Found, identity: str, signer: Signer, predicates: Sequence[Predicate] = ()) -> tuple[Artifact, ...]:
    """Signs an image with all its members, stores the result beside it, and returns it.

    Args:
        found: The image.
        identity: Its name in signatures.
        signer: The key.
        predicates: What is attested about it as well. Never a document that was found beside it: anyone may put one there.

    Raises:
        UserError: Nothing can be stored beside an image of this kind.
    """
    if read_original_location(found.descriptor) is not None:
        raise UserError(
            "an archive for Docker can't be signed: its manifest is not the image's",
            hint="sign first, then write the archive",
        )
    signer = repeated(signer, [found])
    subjects = {each.digest: each for each in (found.descriptor, *found.members(), *found.part_indexes())}
    made = [artifact for each in subjects.values() for artifact in signatures(each, identity, signer)]
    made += attestations(iter(predicates), signer)
    put(found, tuple(made))
    return tuple(made)


def put(found: Found, artifacts: tuple[Artifact, ...]) -> None:
    """Stores artifacts beside an image.

    Raises:
        UserError: Nothing can be stored beside an image of this kind.
    """
    match found.collection:
        case RegistryCollection(client=client, reference=reference):
            registries.attach(client, reference, artifacts)
        case LayoutCollection(layout):
            oci.attach(layout, found.descriptor.digest, artifacts)
        case OciArchiveCollection(file):
            _rewrite(found, file.path, artifacts)
        case _:
            raise UserError("nothing can be stored beside an image of this kind", where=found.collection.where)


def _rewrite(found: Found, path: Path, artifacts: tuple[Artifact, ...]) -> None:
    """Writes the archive anew with more artifacts, and renames it: an archive can't grow."""
    from modelcrate.images.artifact import ARTIFACTS_ANNOTATION, merge_artifacts
    from modelcrate_layers.frozen import replace

    attached = merge_artifacts((*found.attached(), *artifacts))
    graph = replace(found.graph(), attached=attached)
    kept = {
        key: value for key, value in found.descriptor.annotations.items() if key not in (ARTIFACTS_ANNOTATION, REF_NAME)
    }
    root = replace(found.descriptor, annotations=kept)
    archive_file.write(
        str(path),
        archive.layout_entries(graph, root, None, found.descriptor.annotations.get(REF_NAME), (), ignore_event),
    )


def unsigned(found: Found) -> dict[Digest, set[str]]:
    """Returns the kinds of the unsigned documents beside an image, as predicate types, by what they are about."""
    kinds: dict[Digest, set[str]] = {}
    for artifact in found.attached():
        if artifact.kind in RAW and (subject := artifact.subject) is not None:
            kinds.setdefault(subject, set()).add(RAW[artifact.kind])
    return kinds
