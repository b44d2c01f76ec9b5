"""Images in an OCI layout folder: our own store, and anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelcrate.inputs import Found
from modelcrate_layers.content import Descriptor
from modelcrate_layers.errors import SourceError
from modelcrate_layers.store import REF_NAME, FileBlob, Layout


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


def find(root: Path, tag: str | None) -> Found:
    """What a layout has under a tag; without one, the only thing that it has."""
    layout = Layout.open(root)
    return Found(LayoutCollection(layout), choose(layout.manifests(), tag, str(root)))


def split_tag(target: str) -> tuple[str, str | None]:
    """`DIR[:TAG]`: what follows the last colon is a tag, if it can be one."""
    folder, colon, tag = target.rpartition(":")
    return (folder, tag) if colon and folder and "/" not in tag and tag else (target, None)


def choose(manifests: list[Descriptor], tag: str | None, where: str) -> Descriptor:
    """The manifest with a tag, or the only one."""
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
