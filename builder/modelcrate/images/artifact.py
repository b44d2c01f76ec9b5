"""What stands beside an image and says something about it: signatures, attestations, bills of materials. Pure.

An artifact is a manifest with its blobs. It is found by its `subject` (image-spec manifest.md, "subject") or, as cosign's first form has it,
by a tag made of the image's digest. In a layout or an archive all artifacts of an image are named by one index, whose descriptor stands in
the annotation ATTACHED of the image's own entry: so an image stays the only image there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace

from modelcrate_layers.content import Blob, Descriptor, Digest, Literal, MediaType, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME

ARTIFACTS_ANNOTATION = "io.modelcrate.attached"
"""The annotation of an image's entry in an index.json: digest and size of the index of its artifacts."""

ORIGINAL_ANNOTATION = "io.modelcrate.manifest"
"""The annotation of the entry in an archive for Docker: digest and size of the image's own manifest, which is what was signed."""

MAX_ARTIFACTS = 100
"""How many artifacts of one image are looked at; an endless list is an attack (CVE-2023-46737)."""

MAX_LAYERS = 100
EMPTY = Literal(b"{}", MediaType.EMPTY)
TAG_SUFFIXES = (".sig", ".att")
"""The tags that are looked for beside the referrers: cosign's first form."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """`tag` is the tag that it is found by; empty, where its subject is enough."""

    manifest: Literal
    blobs: tuple[Blob, ...] = field(repr=False)
    tag: str = ""

    @property
    def descriptor(self) -> Descriptor:
        """As an index of artifacts lists it."""
        document = parse_object(self.manifest.data)
        kind = document.get("artifactType") or (document.get("config") or {}).get("mediaType")
        plain = self.manifest.descriptor
        notes = {**(document.get("annotations") or {}), **({REF_NAME: self.tag} if self.tag else {})}
        return replace(plain, annotations=notes, rest={"artifactType": kind} if kind else {})

    @property
    def kind(self) -> str:
        """The artifact's type."""
        return str(self.descriptor.rest.get("artifactType", ""))

    @property
    def subject(self) -> Digest | None:
        """The manifest that it is about, where it says so itself."""
        about = parse_object(self.manifest.data).get("subject")
        return Descriptor.parse(about).digest if about else None

    @property
    def layers(self) -> list[Descriptor]:
        return read_layers(self.manifest.data)


def make_referrer(subject: Descriptor, kind: str, blob: Literal, notes: Mapping[str, str] | None = None) -> Artifact:
    """An artifact of one blob about `subject`, found by it."""
    about = {"mediaType": subject.media_type, "digest": str(subject.digest), "size": subject.size}
    document = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "artifactType": kind,
        "config": {**EMPTY.descriptor.json(), "data": "e30="},
        "layers": [blob.descriptor.json()],
        "subject": about,
        **({"annotations": dict(notes)} if notes else {}),
    }
    return Artifact(Literal(canonical_json(document), MediaType.MANIFEST), (EMPTY, blob))


def make_tagged(tag: str, layers: Sequence[tuple[Descriptor, Blob]]) -> Artifact:
    """cosign's first form: payloads as layers of an image that has nothing but them, under a tag."""
    ids = [str(descriptor.digest) for descriptor, _ in layers]
    config = Literal(
        canonical_json({"architecture": "", "config": {}, "os": "", "rootfs": {"type": "layers", "diff_ids": ids}}),
        MediaType.CONFIG,
    )
    document = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "config": config.descriptor.json(),
        "layers": [descriptor.json() for descriptor, _ in layers],
    }
    return Artifact(Literal(canonical_json(document), MediaType.MANIFEST), (config, *(blob for _, blob in layers)), tag)


def merge(old: Artifact, new: Artifact) -> Artifact:
    """Two artifacts of one tag as one: every layer of both, once."""
    blobs = {blob.descriptor.digest: blob for blob in (*old.blobs, *new.blobs)}
    layers = {(each.digest, str(sorted(each.annotations.items()))): each for each in (*old.layers, *new.layers)}
    return make_tagged(new.tag, [(each, blobs[each.digest]) for each in layers.values()])


def make_digest_tag(digest: Digest, suffix: str) -> str:
    """`sha256-....sig`: the tag of an image's signatures."""
    return f"{digest.algorithm}-{digest.hex}{suffix}"


def merge_artifacts(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """Each artifact once, those of one tag as one, in the order of their coming."""
    found: dict[str, Artifact] = {}
    for each in artifacts:
        key = each.tag or str(each.manifest.descriptor.digest)
        found[key] = merge(found[key], each) if each.tag and key in found else each
    return tuple(found.values())


def make_artifact_index(artifacts: Sequence[Artifact]) -> Literal:
    """The index that names all artifacts of an image."""
    index = {
        "schemaVersion": 2,
        "mediaType": MediaType.INDEX,
        "manifests": [each.descriptor.json() for each in artifacts],
    }
    return Literal(canonical_json(index), MediaType.INDEX)


def make_artifact_annotations(artifacts: Sequence[Artifact], root: Descriptor) -> dict[str, str]:
    """The annotations of the image's entry: ours, and the one by which cosign finds the image in a layout; none without artifacts."""
    if not artifacts:
        return {}
    kind = "imageIndex" if root.media_type in MediaType.INDEXES else "image"
    return {
        ARTIFACTS_ANNOTATION: format_location(make_artifact_index(artifacts)),
        "kind": f"dev.cosignproject.cosign/{kind}",
    }


def format_location(document: Literal) -> str:
    """A document's digest and size, as an annotation has them."""
    return f"{document.descriptor.digest} {document.descriptor.size}"


def list_blobs(artifacts: Sequence[Artifact]) -> tuple[Blob, ...]:
    """All blobs that have to be in a layout for these artifacts."""
    if not artifacts:
        return ()
    found: dict[Digest, Blob] = {}
    for each in artifacts:
        for blob in (*each.blobs, each.manifest):
            found.setdefault(blob.descriptor.digest, blob)
    index = make_artifact_index(artifacts)
    return (*found.values(), index)


def read_artifact_index_location(entry: Descriptor) -> Descriptor | None:
    """The index of artifacts that an image's entry names, if it does."""
    return _read_location(entry, ARTIFACTS_ANNOTATION, MediaType.INDEX)


def read_original_location(entry: Descriptor) -> Descriptor | None:
    """The manifest that was signed, where the entry's own is another (in an archive for Docker)."""
    return _read_location(entry, ORIGINAL_ANNOTATION, MediaType.MANIFEST)


def _read_location(entry: Descriptor, key: str, media_type: str) -> Descriptor | None:
    text = entry.annotations.get(key)
    if text is None:
        return None
    digest, _, size = text.partition(" ")
    if not (size.isascii() and size.isdigit()) or len(size) > 9:
        raise IntegrityError(f"not the place of a document: {text[:100]!r}")
    return Descriptor(media_type, Digest.parse(digest), int(size))


def read_artifact_index(
    index: bytes, read: Callable[[Descriptor], bytes], blob: Callable[[Descriptor], Blob]
) -> list[Artifact]:
    """The artifacts that an index names, out of the place that `read` and `blob` know."""
    entries = parse_object(index).get("manifests")
    if not isinstance(entries, list) or len(entries) > MAX_ARTIFACTS:
        raise IntegrityError(f"an index of more than {MAX_ARTIFACTS} artifacts, or of none")
    found = [Descriptor.parse(each) for each in entries]
    return [read_artifact(each, read(each), blob, each.annotations.get(REF_NAME, "")) for each in found]


def read_artifact(descriptor: Descriptor, data: bytes, blob: Callable[[Descriptor], Blob], tag: str = "") -> Artifact:
    """An artifact out of its manifest's bytes."""
    document = parse_object(data)
    Descriptor.parse({**descriptor.json(), "annotations": document.get("annotations")})
    if not isinstance(document.get("artifactType", ""), str):
        raise IntegrityError("an artifact whose type is no text")
    named = [Descriptor.parse(document.get("config")), *read_layers(data)]
    blobs = {each.digest: blob(each) for each in named}
    return Artifact(Literal(data, descriptor.media_type), tuple(blobs.values()), tag)


def read_layers(data: bytes) -> list[Descriptor]:
    layers = parse_object(data).get("layers")
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise IntegrityError(f"an artifact with more than {MAX_LAYERS} layers, or with none")
    return [Descriptor.parse(each) for each in layers]
