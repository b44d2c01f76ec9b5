"""The kinds of layers, one file each. A kind is a frozen value that knows its key and can make its tree.

Making the tree may list folders and read the directories of archives; it reads no contents that it can leave for later.
"""

from __future__ import annotations

from typing import Protocol

from modelcrate_layers.content import Digest
from modelcrate_layers.tree import Tree


class LayerKind(Protocol):
    """A layer that is wanted."""

    @property
    def role(self) -> str:
        """`base`, `dependencies`, `model` or `entry`."""
        ...

    @property
    def name(self) -> str:
        """What it is, in a few words for people: `scikit-learn 1.9.1`."""
        ...

    def key(self) -> Digest | None:
        """The digest of all that decides the bytes, where that is known without reading them; else None."""
        ...

    def tree(self) -> Tree:
        """Its entries."""
        ...
