"""What the gates look at, a part at a time, and what they find there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from os.path import basename
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import NamedTuple, dataclass, field
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry, Kind, follow_links, show

if TYPE_CHECKING:
    from modelcrate.modelfiles.facts import ModelFacts


class GatedFiles(NamedTuple):
    """A file that goes into the image; `name` is what its part calls it, `top` is the path of the part.

    A file to which a link leads is there once more, `linked`, with the name of the link: loaders go by names.
    """

    source: FileRange
    name: str
    top: str
    linked: bool = False

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.source.path

    @property
    def where(self) -> str:
        """Its place for messages: its path, where it lies in its part."""
        below = self.path == self.top or self.path.startswith(f"{self.top}{os.sep}")
        return show(os.fsencode(self.path)) if below and not self.linked else f"{self.top}{os.sep}{self.name}"


@dataclass(frozen=True, slots=True)
class ScanPart:
    """A model, or the files of the entry script.

    `top` is its path, `entries` are those of its files that are packed, and `fingerprints` are those of its layers.
    """

    top: Path
    entries: tuple[Entry, ...]
    fingerprints: tuple[str, ...]
    model: bool

    @property
    def above(self) -> bytes:
        """The path in the layer that is above all its files."""
        return min((each.path for each in self.entries), key=len, default=b"")

    def link_ends(self) -> dict[str, str]:
        """Returns where its symbolic links lead, by their paths in the layer."""
        links = {os.fsdecode(each.path): os.fsdecode(each.link) for each in self.entries if each.kind is Kind.SYMLINK}
        return {path: follow_links(path, links.get) for path in links}

    @property
    def files(self) -> Iterator[GatedFiles]:
        """Its files, sorted by path, and then what links lead to."""
        above = self.above
        found = sorted(
            (each.source, each.path[len(above) + 1 :]) for each in self.entries if isinstance(each.source, FileRange)
        )
        top = str(self.top)
        for (source, path), name in zip(found, _names([path for _, path in found]), strict=True):
            yield GatedFiles(source, name if path else basename(source.path), top)
        if ends := self.link_ends():
            sources = {os.fsdecode(each.path): each.source for each in self.entries}
            for link in sorted(ends, key=os.fsencode):
                if isinstance(end := sources.get(ends[link]), FileRange):
                    yield GatedFiles(end, show(os.fsencode(link)[len(above) + 1 :]), top, linked=True)


def _names(paths: list[bytes]) -> list[str]:
    """Returns paths for people. Nearly all are printable, which one look at all of them shows."""
    whole = b"/\0".join(paths)
    text = whole.decode("utf-8", "replace")
    names = text.split("/\0")
    if len(names) == len(paths) and text.replace("\0", "").isprintable() and "\ufffd" not in text:
        return names
    return [show(path) for path in paths]


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of the gates: `refused` ends the build, `warned` is only reported, and `facts` were read from the models' files."""

    refused: tuple[CrateError, ...]
    warned: tuple[str, ...]
    facts: Mapping[FileRange, ModelFacts] = field(default_factory=dict, hash=False, repr=False)
