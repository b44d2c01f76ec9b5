"""What is beside an image, in words: signatures, attestations, bills of materials, provenance, golden requests. Nothing is verified here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modelcrate.images.artifact import Artifact
from modelcrate.inspect import golden_requests
from modelcrate.reports.facts import BesideFacts
from modelcrate.security.sbom import contents_artifact, cyclonedx, spdx
from modelcrate.security.signing import statements
from modelcrate_layers.content import Digest, parse_object
from modelcrate_layers.errors import CrateError

MAX_READ = 4 << 20
"""Bytes of one document that are read."""

MAX_NAMED = 5
"""Golden requests that are named."""

_UNVERIFIED = "by a key that was not checked here (modelcrate verify IMAGE --key KEY)"

_PREDICATES = {
    statements.SIGNED: "signature",
    statements.SPDX: "bill of materials, SPDX",
    statements.CYCLONEDX: "bill of materials, CycloneDX",
    statements.PROVENANCE: "provenance",
    contents_artifact.PREDICATE: "contents of layers, for the next build",
}


def list_beside(artifacts: Iterable[Artifact], subjects: Iterable[Digest]) -> tuple[BesideFacts, ...]:
    """Returns what the artifacts about some images are, in the order of their kinds.

    Args:
        artifacts: The artifacts.
        subjects: The images.
    """
    wanted = set(subjects)
    found = {
        fact
        for each in artifacts
        if each.tag or each.subject in wanted
        for fact in _facts(each)
    }  # fmt: skip
    return tuple(sorted(found, key=lambda each: (each.what, each.says)))


def _facts(artifact: Artifact) -> Iterator[BesideFacts]:
    try:
        yield from _read(artifact)
    except CrateError as fault:
        yield BesideFacts(artifact.kind or "an artifact without a type", f"can't be read: {fault.what}")


def _read(artifact: Artifact) -> Iterator[BesideFacts]:
    kind = artifact.kind
    if artifact.tag.endswith((".sig", ".att")):
        what = "signature" if artifact.tag.endswith(".sig") else "attestation"
        yield BesideFacts(what, f"under the tag of cosign, {_UNVERIFIED}")
    elif kind in statements.BUNDLES:
        statement = parse_object(statements.parse_bundle(_document(artifact)).payload)
        predicate = str(statement.get("predicateType"))
        says = _provenance(statement) if predicate == statements.PROVENANCE else ""
        yield BesideFacts(
            _PREDICATES.get(predicate, f"attestation {predicate[:200]}"), f"{says and says + ', '}signed {_UNVERIFIED}"
        )
    elif kind == golden_requests.KIND:
        tests = golden_requests.parse(_document(artifact), kind)
        names = [each.name for each in tests[:MAX_NAMED]] + (["..."] if len(tests) > MAX_NAMED else [])
        number = f"{len(tests)} golden request{'s' * (len(tests) != 1)}"
        yield BesideFacts("golden requests", f"{number}: {', '.join(names)} (modelcrate test IMAGE asks them)")
    elif kind == statements.IN_TOTO:
        yield BesideFacts("provenance", f"{_provenance(parse_object(_document(artifact)))}, not signed")
    elif kind in (spdx.MEDIA_TYPE, cyclonedx.MEDIA_TYPE):
        form = "SPDX" if kind == spdx.MEDIA_TYPE else "CycloneDX"
        yield BesideFacts(f"bill of materials, {form}", "not signed")
    elif kind == contents_artifact.KIND:
        yield BesideFacts("contents of layers, for the next build", "not signed")
    else:
        yield BesideFacts(kind[:200] or "an artifact without a type", "not read")


def _document(artifact: Artifact) -> bytes:
    """Returns the bytes of the only layer."""
    named = {each.digest for each in artifact.layers[:1]}
    blob = next((each for each in artifact.blobs if each.descriptor.digest in named), None)
    if blob is None or blob.descriptor.size > MAX_READ:
        return b"{}"
    return b"".join(blob.chunks())


def _provenance(statement: dict[str, Any]) -> str:
    """Returns who built the image from which revision, as a statement of provenance says it (SLSA v1)."""
    predicate = _object(statement.get("predicate"))
    builder = _object(_object(predicate.get("runDetails")).get("builder")).get("id")
    sources = _object(predicate.get("buildDefinition")).get("resolvedDependencies")
    commits = [
        str(_object(each.get("digest")).get("gitCommit"))[:40]
        for each in (sources if isinstance(sources, list) else ())
        if isinstance(each, dict) and "gitCommit" in _object(each.get("digest"))
    ]
    return f"built by {str(builder)[:200]}" + (f" from the revision {commits[0]}" if commits else "")


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
