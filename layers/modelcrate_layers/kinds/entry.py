"""The entry layer: the entry script with its folder, and the server that calls it. Kilobytes; it is on top because it changes most."""

from __future__ import annotations

from dataclasses import field

from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.kinds import file_inputs
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.listing import Listing
from modelcrate_layers.sources import Bytes
from modelcrate_layers.tree import Entry, Tree, file
from modelcrate_layers.value import dataclass

PREFIX = b"opt/modelcrate"
"""The folder that is ours in an image: the environment and the server."""


@dataclass(frozen=True, slots=True)
class EntryLayer:
    """`script` for people, the files of the user's below `ROOT`, and the server's, by their paths below the image's root, if it is ours."""

    script: str
    sources: Listing = field(repr=False)
    server: tuple[tuple[str, bytes], ...] = field(repr=False)

    role = "entry"

    @property
    def name(self) -> str:
        return self.script

    def key(self) -> Digest | None:
        """None: files are known by their bytes only."""
        return None

    def listed(self) -> tuple[Entry, ...]:
        return (*self.sources.entries, *(file(path.encode(), Bytes(data), _mode(data)) for path, data in self.server))

    def tree(self) -> Tree:
        return Tree.of(self.listed(), [ROOT, PREFIX])

    def inputs(self) -> tuple[str, ...]:
        """The user's files, and the server as one thing."""
        sources = file_inputs(self.sources.entries, ROOT + b"/")
        if not self.server:
            return sources
        server = Digest.of(canonical_json([[path, Digest.of(data).hex] for path, data in self.server]))
        return (*sources, f"server {server.short}")


def _mode(data: bytes) -> int:
    """A program may be started."""
    return 0o775 if data.startswith(b"#!") else 0o664
