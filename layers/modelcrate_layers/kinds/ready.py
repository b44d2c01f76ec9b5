"""A layer that exists: a registered model's. Its bytes are as they are, and nothing is read to place it."""

from __future__ import annotations

from modelcrate_layers.content import Blob, Digest
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import Materials
from modelcrate_layers.tar.recipe import Layer
from modelcrate_layers.tar.tree import Tree


@dataclass(frozen=True, slots=True)
class ReadyLayer:
    """A measured layer and where its bytes are to be had."""

    role: str
    name: str
    layer: Layer
    blob: Blob = field(repr=False, compare=False)
    gates: int = 0
    """The version of the gates that the model passed when it was registered; 0 for none."""

    def key(self) -> Digest | None:
        """Returns None: it is known by its bytes."""
        return None

    def materials(self) -> Materials:
        """Returns the layer that exists, with its blob."""
        return Materials(existing=(self.layer, self.blob))

    def tree(self) -> Tree:
        """Raises an AssertionError: the layer exists, so it is never made."""
        raise AssertionError("a layer that is ready is not made again")

    def inputs(self) -> tuple[str, ...]:
        """Returns the inputs that the layer was made from."""
        return self.layer.inputs
