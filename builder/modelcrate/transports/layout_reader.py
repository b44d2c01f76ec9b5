"""Images in an OCI layout folder: our own store, and anybody's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from modelcrate.images.artifact import TAG_SUFFIXES, Artifact, make_digest_tag, read_artifact, read_artifact_index
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.reading import Found
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType
from modelcrate_layers.errors import SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME, FileBlob, Layout

_ABOUT = re.compile(r"sha256-[0-9a-f]{64}(\.[a-z]+)?")
"""Tags under which things about an image stand, and no image."""


@dataclass(frozen=True, slots=True)
class LayoutCollection:
    layout: Layout

    @property
    def where(self) -> str:
        return str(self.layout.root)

    def read(self, descriptor: Descriptor) -> bytes:
        return self.layout.read(descriptor)

    def blob(self, descriptor: Descriptor) -> FileBlob:
        return self.layout.blob(descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        return list_layout(self.layout.manifests(), digest, self.read, self.blob)


def find(root: Path, tag: str | None) -> Found:
    """What a layout has under a tag; without one, the only thing that it has."""
    layout = Layout.open(root)
    return Found(LayoutCollection(layout), choose_manifest(layout.manifests(), tag, str(root)))


def list_layout(
    entries: list[Descriptor], digest: Digest, read: Callable[[Descriptor], bytes], blob: Callable[[Descriptor], Blob]
) -> list[Artifact]:
    """Artifacts that other tools have put into an index.json: under the stand-in tag for referrers, and under cosign's tags."""
    found: list[Artifact] = []
    for each in entries:
        name = each.annotations.get(REF_NAME, "")
        if name == make_digest_tag(digest, "") and each.media_type in MediaType.INDEXES:
            found += read_artifact_index(read(each), read, blob)
        elif name and name in {make_digest_tag(digest, suffix) for suffix in TAG_SUFFIXES}:
            found.append(read_artifact(each, read(each), blob, name))
    return found


def choose_manifest(manifests: list[Descriptor], tag: str | None, where: str) -> Descriptor:
    """The manifest with a tag, or the only one; what other tools list about an image is none."""
    manifests = [
        each for each in manifests if tag is not None or not _ABOUT.fullmatch(each.annotations.get(REF_NAME, ""))
    ]
    fitting = [each for each in manifests if tag is None or each.annotations.get(REF_NAME) == tag]
    distinct = {each.digest: each for each in fitting}
    if len(distinct) == 1:
        return fitting[0]
    tags = sorted(filter(None, {each.annotations.get(REF_NAME) for each in manifests}))
    have = f"it has: {', '.join(tags)}" if tags else "it has no tags" if manifests else "it is empty"
    what = f"has no image with the tag {tag!r}" if tag is not None and not fitting else "has several images"
    raise SourceError(
        what if manifests else "has no image", where=where, why=have, hint="name one: PATH:TAG" if tags else ""
    )
