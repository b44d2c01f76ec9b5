"""The kinds of layers, one file each. A kind is a frozen value that knows its key and can make its tree.

Making the tree may list folders and read the directories of archives; it reads no contents that it can leave for later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from modelcrate_layers.content import Digest
from modelcrate_layers.tar.sources import sha256
from modelcrate_layers.tar.tree import Entry, Tree, show

SMALL = 1 << 20
"""Bytes of a file that is hashed once more for the sake of a word that names it; a larger one is known by its layer's digest."""

READ_ON = 8192
"""Characters of inputs after which nobody reads on (a manifest carries half of it): files after that are not hashed for it."""


class LayerKind(Protocol):
    """A layer that is wanted."""

    @property
    def role(self) -> str:
        """`base`, `dependencies`, `server`, `model` or `entry`."""
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

    def inputs(self) -> tuple[str, ...]:
        """What it is made of, in words that people compare: `numpy 2.4.6`, `src/score.py 9f86d081884c`. Asked when it is made."""
        ...


@runtime_checkable
class FileBased(Protocol):
    """A kind that has no key, for it is made of files: its tree follows from what was listed of them."""

    @property
    def fingerprint(self) -> str:
        """Stands for all entries that decide the tree (`recipe.fingerprint`): as long as it is the same, so are the bytes."""
        ...

    def listed(self) -> Iterable[Entry]:
        """The entries, in any order."""
        ...


def file_inputs(entries: Iterable[Entry], above: bytes) -> tuple[str, ...]:
    """Files as inputs: their paths below `above`, and a few digits of the digest of a small one, or the size of a large one."""
    out: list[str] = []
    length = 0
    for entry in entries:
        if entry.source is not None:
            large = entry.size > SMALL or length > READ_ON
            told = f"{entry.size} bytes" if large else sha256(entry.source)[:12]
            out.append(f"{show(entry.path.removeprefix(above))} {told}")
            length += len(out[-1])
    return tuple(out)
