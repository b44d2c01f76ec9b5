"""The entry layer: the entry script with its folder. Kilobytes; it is on top because it changes most."""

from __future__ import annotations

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import Materials, file_inputs
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.tar import recipe
from modelcrate_layers.tar.listing import Listing
from modelcrate_layers.tar.tree import Entry, Tree


@dataclass(frozen=True, slots=True)
class EntryLayer:
    """`script` for people, the files of the user's below `ROOT`, and links elsewhere that lead to them."""

    script: str
    sources: Listing = field(repr=False)
    fingerprint: str
    links: tuple[Entry, ...] = ()

    role = "entry"

    @classmethod
    def of(cls, script: str, sources: Listing, links: tuple[Entry, ...] = ()) -> EntryLayer:
        """Returns the layer with these files and links."""
        return cls(script, sources, recipe.fingerprint((*sources.entries, *links)), links)

    @property
    def name(self) -> str:
        """The path of the script."""
        return self.script

    def key(self) -> Digest | None:
        """Returns None: files are known by their bytes only."""
        return None

    def materials(self) -> Materials:
        """Returns the files that the layer is made of."""
        return Materials(files=self.sources.entries, fingerprint=self.fingerprint)

    def tree(self) -> Tree:
        """Returns the entries of the layer."""
        return Tree.of((*self.sources.entries, *self.links), [ROOT, *(link.path for link in self.links)])

    def inputs(self) -> tuple[str, ...]:
        """Returns the user's files."""
        return file_inputs(self.sources.entries, ROOT + b"/")
