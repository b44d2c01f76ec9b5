"""Artifacts about an image: signatures, attestations, bills of materials. Pure.

An artifact is a manifest with its blobs. It is found by its `subject` (image-spec manifest.md, "subject"), or by a tag that is made of
the image's digest (the form of cosign before version 3). In a layout or an archive one index lists all artifacts of an image. The
annotation ARTIFACTS_ANNOTATION of the image's entry in index.json names that index, so the image stays the only image of the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from modelcrate_layers.content import Blob, Descriptor, Digest, Literal, MediaType, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.store import REF_NAME

ARTIFACTS_ANNOTATION = "io.modelcrate.attached"
"""Annotation of an image's entry in index.json: digest and size of the index of its artifacts."""

ORIGINAL_ANNOTATION = "io.modelcrate.manifest"
"""Annotation of the entry in an archive for Docker: digest and size of the image's original manifest, which was signed."""

GOLDEN = "application/vnd.modelcrate.tests.v1+json"
"""The type of the artifact with golden requests. Its document names no image, and is mostly that of the image before."""

ONCE_ANNOTATION = "io.modelcrate.once"
"""Annotation of an artifact that an image has once: of those about one image with an equal value the newest counts, by CREATED_ANNOTATION. An image
that is built again and again without a change would else have a statement of each build, and at last more artifacts than are read.
"""

CREATED_ANNOTATION = "org.opencontainers.image.created"

MAX_ARTIFACTS = 1000
"""Artifacts of one image that are read: a scan each night adds some hundred a year, and an endless list is an attack (CVE-2023-46737)."""

MAX_LAYERS = 1000
"""Signatures under one tag that are read; cosign reads as many."""

EMPTY = Literal(b"{}", MediaType.EMPTY)
TAG_SUFFIXES = (".sig", ".att")
"""Suffixes of the tags under which cosign before version 3 keeps signatures and attestations."""

_ARTIFACT_TAG = compile_later(r"sha256-[0-9a-f]{64}(\.[a-z]+)?")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest about an image, with its blobs.

    Attributes:
        manifest: The manifest.
        blobs: Its config and layers.
        tag: The tag that it is found by; empty if it is found by its subject.
    """

    manifest: Literal
    blobs: tuple[Blob, ...] = field(repr=False)
    tag: str = ""

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor for an index of artifacts."""
        document = parse_object(self.manifest.data)
        kind = document.get("artifactType") or (document.get("config") or {}).get("mediaType")
        plain = self.manifest.descriptor
        annotations = {**(document.get("annotations") or {}), **({REF_NAME: self.tag} if self.tag else {})}
        return replace(plain, annotations=annotations, rest={"artifactType": kind} if kind else {})

    @property
    def kind(self) -> str:
        """The artifact type; empty if it has none."""
        return str(self.descriptor.rest.get("artifactType", ""))

    @property
    def subject(self) -> Digest | None:
        """The digest of the manifest that the artifact is about, if it names one."""
        subject = parse_object(self.manifest.data).get("subject")
        return Descriptor.parse(subject).digest if subject else None

    def is_about(self, digests: Collection[Digest]) -> bool:
        """Returns whether it is about one of these manifests, by its subject or by its tag."""
        return self.subject in digests or self.tag.partition(".")[0] in {make_digest_tag(each, "") for each in digests}

    @property
    def layers(self) -> list[Descriptor]:
        """The descriptors of the layers."""
        return read_layers(self.manifest.data)


def make_referrer(subject: Descriptor, kind: str, blob: Blob, annotations: Mapping[str, str] | None = None) -> Artifact:
    """Returns an artifact of one blob that is found by its subject.

    Args:
        subject: The manifest or index that the artifact is about.
        kind: The artifact type.
        blob: The only layer.
        annotations: The annotations of the manifest.
    """
    document = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "artifactType": kind,
        "config": {**EMPTY.descriptor.json(), "data": "e30="},
        "layers": [blob.descriptor.json()],
        "subject": {"mediaType": subject.media_type, "digest": str(subject.digest), "size": subject.size},
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return Artifact(Literal(canonical_json(document), MediaType.MANIFEST), (EMPTY, blob))


def make_document(
    kind: str, config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]
) -> Literal:
    """Returns the manifest of an artifact that is found by a tag of its own."""
    document = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "artifactType": kind,
        "config": config.json(),
        "layers": [each.json() for each in layers],
        "annotations": dict(annotations),
    }
    return Literal(canonical_json(document), MediaType.MANIFEST)


def make_tagged(tag: str, layers: Sequence[tuple[Descriptor, Blob]]) -> Artifact:
    """Returns an artifact that is found by its tag: an image whose layers are the payloads, as cosign before version 3 writes it."""
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
    """Returns two artifacts of one tag as one, with the layers of both. Equal layers are kept once."""
    blobs = {blob.descriptor.digest: blob for blob in (*old.blobs, *new.blobs)}
    layers = {(each.digest, str(sorted(each.annotations.items()))): each for each in (*old.layers, *new.layers)}
    return make_tagged(new.tag, [(each, blobs[each.digest]) for each in layers.values()])


def make_digest_tag(digest: Digest, suffix: str) -> str:
    """Returns the tag for artifacts of an image, such as `sha256-....sig`."""
    return f"{digest.algorithm}-{digest.hex}{suffix}"


def is_artifact_tag(tag: str) -> bool:
    """Returns whether a tag is one of artifacts: the referrers tag of the distribution specification, or one of cosign's."""
    return _ARTIFACT_TAG.fullmatch(tag) is not None


def newest(entries: Iterable[Descriptor]) -> list[Descriptor]:
    """Returns the entries of artifacts about one image without those that a newer one stands for. The order is kept."""
    listed = list(entries)
    last: dict[str | Digest, Descriptor] = {}
    for each in sorted(listed, key=lambda one: one.annotations.get(CREATED_ANNOTATION, "")):
        last[each.annotations.get(ONCE_ANNOTATION, each.digest)] = each
    kept = {each.digest for each in last.values()}
    return [each for each in listed if each.digest in kept]


def merge_artifacts(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """Returns the artifacts without duplicates, and without those that a newer one stands for. Those with one tag are merged. The order is kept."""
    found: dict[str, Artifact] = {}
    about: dict[Digest | None, list[Descriptor]] = {}
    for each in artifacts:
        key = each.tag or str(each.manifest.descriptor.digest)
        found[key] = merge(found[key], each) if each.tag and key in found else each
    for each in found.values():
        about.setdefault(each.subject, []).append(each.descriptor)
    kept = {one.digest for entries in about.values() for one in newest(entries)}
    return tuple(each for each in found.values() if each.descriptor.digest in kept)


def make_artifact_index(artifacts: Sequence[Artifact]) -> Literal:
    """Returns the index that lists all artifacts of an image."""
    index = {
        "schemaVersion": 2,
        "mediaType": MediaType.INDEX,
        "manifests": [each.descriptor.json() for each in artifacts],
    }
    return Literal(canonical_json(index), MediaType.INDEX)


def make_artifact_annotations(artifacts: Sequence[Artifact], root: Descriptor) -> dict[str, str]:
    """Returns the annotations for the image's entry in index.json: modelcrate's, and the one by which cosign finds the image.

    Without artifacts there are none.
    """
    if not artifacts:
        return {}
    kind = "imageIndex" if root.media_type in MediaType.INDEXES else "image"
    return {
        ARTIFACTS_ANNOTATION: format_location(make_artifact_index(artifacts)),
        "kind": f"dev.cosignproject.cosign/{kind}",
    }


def format_location(document: Literal) -> str:
    """Returns a document's digest and size as the text of an annotation."""
    return f"{document.descriptor.digest} {document.descriptor.size}"


def list_blobs(artifacts: Sequence[Artifact]) -> tuple[Blob, ...]:
    """Returns all blobs that a layout needs for the artifacts, the index included."""
    if not artifacts:
        return ()
    found: dict[Digest, Blob] = {}
    for each in artifacts:
        for blob in (*each.blobs, each.manifest):
            found.setdefault(blob.descriptor.digest, blob)
    index = make_artifact_index(artifacts)
    return (*found.values(), index)


def read_artifact_index_location(entry: Descriptor) -> Descriptor | None:
    """Returns the descriptor of the index of artifacts that an entry of index.json names, if it names one.

    Raises:
        IntegrityError: The annotation is malformed.
    """
    return _read_location(entry, ARTIFACTS_ANNOTATION, MediaType.INDEX)


def read_original_location(entry: Descriptor) -> Descriptor | None:
    """Returns the descriptor of the original manifest that an entry of index.json names, if it names one (in archives for Docker).

    Raises:
        IntegrityError: The annotation is malformed.
    """
    return _read_location(entry, ORIGINAL_ANNOTATION, MediaType.MANIFEST)


def _read_location(entry: Descriptor, key: str, media_type: str) -> Descriptor | None:
    text = entry.annotations.get(key)
    if text is None:
        return None
    digest, _, size = text.partition(" ")
    if not (size.isascii() and size.isdigit()) or len(size) > 9:
        raise IntegrityError(f"not the digest and size of a document: {text[:100]!r}")
    return Descriptor(media_type, Digest.parse(digest), int(size))


def read_artifact_index(
    index: bytes, read: Callable[[Descriptor], bytes], blob: Callable[[Descriptor], Blob], images: int = 1
) -> list[Artifact]:
    """Returns the artifacts that an index lists.

    Args:
        index: The bytes of the index.
        read: Returns the bytes of a document.
        blob: Returns a blob.
        images: How many manifests the artifacts are about.

    Raises:
        IntegrityError: The index is malformed, or lists more than MAX_ARTIFACTS an image.
    """
    entries = parse_object(index).get("manifests")
    if not isinstance(entries, list) or len(entries) > MAX_ARTIFACTS * images:
        raise IntegrityError(f"an index of more than {MAX_ARTIFACTS * images} artifacts, or of none")
    found = [Descriptor.parse(each) for each in entries]
    return [read_artifact(each, read(each), blob, each.annotations.get(REF_NAME, "")) for each in found]


def read_artifact(descriptor: Descriptor, data: bytes, blob: Callable[[Descriptor], Blob], tag: str = "") -> Artifact:
    """Returns an artifact from its manifest.

    Args:
        descriptor: The descriptor of the manifest.
        data: The bytes of the manifest.
        blob: Returns a blob.
        tag: The tag that the artifact was found by, if any.

    Raises:
        IntegrityError: The manifest is malformed, or has more than MAX_LAYERS layers.
    """
    document = parse_object(data)
    Descriptor.parse({**descriptor.json(), "annotations": document.get("annotations")})
    if not isinstance(document.get("artifactType", ""), str):
        raise IntegrityError("the type of an artifact is not a text")
    named = [Descriptor.parse(document.get("config")), *read_layers(data)]
    blobs = {each.digest: blob(each) for each in named}
    return Artifact(Literal(data, descriptor.media_type), tuple(blobs.values()), tag)


def read_layers(data: bytes) -> list[Descriptor]:
    """Returns the descriptors of the layers in a manifest.

    Raises:
        IntegrityError: The manifest is malformed, or has more than MAX_LAYERS layers.
    """
    layers = parse_object(data).get("layers")
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise IntegrityError(f"an artifact with more than {MAX_LAYERS} layers, or with none")
    return [Descriptor.parse(each) for each in layers]
