"""What the gates look at, a part at a time, and what they find there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from os.path import basename
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry, show

if TYPE_CHECKING:
    from modelcrate.modelfiles.recognition import ModelFacts


class GatedFiles(NamedTuple):
    """A file that goes into the image; `name` is what its part calls it, `where` its place for messages."""

    source: FileRange
    name: str
    where: str

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.source.path


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
    def files(self) -> Iterator[GatedFiles]:
        """Its files, sorted by path."""
        top = min((each.path for each in self.entries), key=len, default=b"")
        found = [(each.source, each.path) for each in self.entries if isinstance(each.source, FileRange)]
        for source, path in sorted(found):
            name = show(path[len(top) + 1 :]) or basename(source.path)
            below = source.path.startswith(f"{self.top}{os.sep}") or source.path == str(self.top)
            yield GatedFiles(source, name, source.path if below else f"{self.top}{os.sep}{name}")


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of the gates: `refused` ends the build, `warned` is only reported, and `facts` were read from the models' files."""

    refused: tuple[CrateError, ...]
    warned: tuple[str, ...]
    facts: Mapping[FileRange, ModelFacts] = field(default_factory=dict, hash=False, repr=False)
