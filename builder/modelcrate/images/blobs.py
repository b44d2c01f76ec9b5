"""Blobs whose bytes are made when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from modelcrate_layers.content import Descriptor
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.recipe import Layer, Recipe, RecipeBlob

FetchPackages = Callable[[LayerKind], None]
"""Fetches what a kind of layer needs before its tree can be made: packages that are not in the cache."""


@dataclass(frozen=True, slots=True)
class DeferredBlob:
    """A known layer. Its bytes come from the store, if they are intact there, else from its recipe, whose inputs are fetched first."""

    store: Layout
    layer: Layer
    kind: LayerKind = field(repr=False)
    fetch: FetchPackages = field(repr=False)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the stored layer."""
        return self.layer.descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes from `start` on: from the store, or else made again once the sources have been fetched."""
        if self.store.intact(self.descriptor):
            stored: Iterator[bytes] = iter(())
            first = b""
            with suppress(CrateError):  # a prune of another process may be faster than the first read
                stored = self.store.blob(self.descriptor).chunks(start)
                first = next(stored, b"")
            if first:
                yield first
                yield from stored
                return
        self.fetch(self.kind)
        yield from RecipeBlob(Recipe.of(self.kind.tree(), self.layer.codec), self.layer).chunks(start)
