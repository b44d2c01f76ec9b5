"""Signing an image: the artifacts of a signature in both forms, and of what is attested with it; and putting them where the image is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelcrate.events import ignore_event
from modelcrate.images.artifact import Artifact, read_original_location
from modelcrate.images.reading import Found
from modelcrate.security.signing.keys import Signer
from modelcrate.security.signing.statements import CYCLONEDX, IN_TOTO, PROVENANCE, SIGNED, SPDX, attest, simple
from modelcrate.transports import archive, oci
from modelcrate.transports import registry as registries
from modelcrate.transports.oci import LayoutCollection
from modelcrate.transports.oci_archive import OciArchiveCollection
from modelcrate.transports.registry import RegistryCollection
from modelcrate_layers.content import Descriptor, parse_object
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME

RAW = {
    "application/spdx+json": SPDX,
    "application/vnd.cyclonedx+json": CYCLONEDX,
    IN_TOTO: PROVENANCE,
}
"""Documents that stand beside an image unsigned, and what they are attested as."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """Something to attest about a manifest."""

    subject: Descriptor
    kind: str
    value: Mapping[str, Any]


def signatures(subject: Descriptor, identity: str, signer: Signer) -> tuple[Artifact, Artifact]:
    """A signature in both forms that the world reads: a bundle that refers to the image, and cosign's tag."""
    return attest(subject, SIGNED, {}, signer), simple(subject, identity, signer)


def attestations(predicates: Iterator[Predicate], signer: Signer) -> Iterator[Artifact]:
    for each in predicates:
        yield attest(each.subject, each.kind, each.value, signer)


def sign(found: Found, identity: str, signer: Signer) -> tuple[Artifact, ...]:
    """Sign an image that exists, with all its members, and the unsigned documents beside it; put the signatures there."""
    if read_original_location(found.descriptor) is not None:
        raise UserError(
            "an archive for Docker can't be signed: its manifest is not the image's",
            hint="sign first, and write the archive then",
        )
    subjects = {each.digest: each for each in (found.descriptor, *found.members())}
    made = [artifact for each in subjects.values() for artifact in signatures(each, identity, signer)]
    made += attestations(_unsigned(found.attached(), subjects), signer)
    put(found, tuple(made))
    return tuple(made)


def put(found: Found, artifacts: tuple[Artifact, ...]) -> None:
    """Put artifacts beside an image, wherever it is."""
    match found.collection:
        case RegistryCollection(client=client, reference=reference):
            registries.attach(client, reference, artifacts)
        case LayoutCollection(layout):
            oci.attach(layout, found.descriptor.digest, artifacts)
        case OciArchiveCollection(file):
            _rewrite(found, file.path, artifacts)
        case _:
            raise UserError("nothing can be put beside an image there", where=found.collection.where)


def _rewrite(found: Found, path: Path, artifacts: tuple[Artifact, ...]) -> None:
    """An archive with more in it: written beside and renamed, for an archive can't grow."""
    from dataclasses import replace

    from modelcrate.images.artifact import ARTIFACTS_ANNOTATION, merge_artifacts

    attached = merge_artifacts((*found.attached(), *artifacts))
    graph = replace(found.graph(), attached=attached)
    kept = {
        key: value for key, value in found.descriptor.annotations.items() if key not in (ARTIFACTS_ANNOTATION, REF_NAME)
    }
    root = replace(found.descriptor, annotations=kept)
    archive.write(
        str(path),
        archive.layout_entries(graph, root, None, found.descriptor.annotations.get(REF_NAME), (), ignore_event),
    )


def _unsigned(artifacts: tuple[Artifact, ...], subjects: Mapping[Any, Descriptor]) -> Iterator[Predicate]:
    """The documents beside the image that nobody has signed, as what they are to be attested as."""
    for artifact in artifacts:
        about = parse_object(artifact.manifest.data).get("subject")
        subject = subjects.get(Descriptor.parse(about).digest) if about else None
        if subject is None or artifact.kind not in RAW:
            continue
        (layer,) = artifact.layers
        blob = next(each for each in artifact.blobs if each.descriptor.digest == layer.digest)
        value = parse_object(b"".join(blob.chunks()))
        yield Predicate(subject, RAW[artifact.kind], value.get("predicate", {}) if artifact.kind == IN_TOTO else value)
