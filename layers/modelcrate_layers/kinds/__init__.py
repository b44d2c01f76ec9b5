"""The kinds of layers, one file each. A kind is a frozen value that knows its key and can make its tree.

Making the tree may list folders and read the directories of archives; it reads no contents that it can leave for later.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from operator import attrgetter
from typing import Protocol

from modelcrate_layers.content import Blob, Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.conflicts import Owned
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.tar.recipe import Layer
from modelcrate_layers.tar.sources import sha256
from modelcrate_layers.tar.tree import Entry, Tree, show

SMALL = 1 << 20
"""Bytes of a file that is hashed once more for a line that names it; a larger one is known by its layer's digest."""

MAX_DESCRIBED = 8192
"""Characters of inputs after which files are named without a hash: a manifest carries half as many."""


@dataclass(frozen=True, slots=True)
class Materials:
    """What a layer is made of.

    Attributes:
        packages: Pinned packages, with their places in the cache, where they may not be yet.
        parts: The number of layers that the files of these packages are spread over.
        files: The entries of a layer that is made of files, as they were listed.
        fingerprint: Stands for the state of these files (`recipe.fingerprint`): while it is equal, so are the layer's bytes.
        existing: The layer itself and its bytes, where it exists and is never made.
        deflated: Whether the packages' files are deflated streams, of which a layer can be made as they are (`tar.splice`).
        estimate: The bytes of the layer, about, where it has other bytes than its packages and files.
    """

    packages: tuple[Package, ...] = ()
    parts: int = 1
    files: tuple[Entry, ...] = ()
    fingerprint: str = ""
    existing: tuple[Layer, Blob] | None = None
    deflated: bool = False
    estimate: int | None = None

    @property
    def size(self) -> int:
        """Bytes of packages and files, or about those of the layer. Of packages that are spread over several layers, the share of one."""
        if self.estimate is not None:
            return self.estimate
        return sum(each.size for each in self.packages) // self.parts + sum(each.size for each in self.files)

    def missing(self) -> tuple[Package, ...]:
        """Returns the packages that are not in the cache."""
        return tuple(each for each in self.packages if not os.path.exists(each.path))


class LayerKind(Protocol):
    """A layer that is wanted."""

    @property
    def role(self) -> str:
        """`base`, `dependencies`, `server`, `model` or `entry`."""
        ...

    @property
    def name(self) -> str:
        """The name of the layer, in a few words for people: `scikit-learn 1.9.1`."""
        ...

    def key(self) -> Digest | None:
        """Returns the digest of all that decides the bytes, where that is known without reading them."""
        ...

    def materials(self) -> Materials:
        """Returns the packages or files that it is made of. Reads nothing."""
        ...

    def tree(self) -> Tree:
        """Returns its entries. Its packages must have been fetched."""
        ...

    def inputs(self) -> tuple[str, ...]:
        """Returns what it is made of, in words that people compare: `numpy 2.4.6`, `src/score.py 9f86d081884c`."""
        ...


class DependencyKind(LayerKind, Protocol):
    """A layer of installed packages, or of the environment that they are in."""

    def installed(self) -> Iterable[Owned]:
        """Yields the files that no other package of the image may own. Its packages must have been fetched."""
        ...

    def notices(self) -> Iterable[str]:
        """Yields what a user should know of the packages, a sentence each. Its packages must have been fetched."""
        ...


def file_inputs(entries: Iterable[Entry], above: bytes) -> tuple[str, ...]:
    """Returns files as inputs: their paths below `above`, and a few digits of the digest of a small one, or the size of a large one.

    They come in the order of a layer, for they stand in the manifest, and a file system lists them in its own.
    """
    out: list[str] = []
    length = 0
    for entry in sorted(entries, key=attrgetter("path")):
        if entry.source is not None:
            large = entry.size > SMALL or length > MAX_DESCRIBED
            version = f"{entry.size} bytes" if large else sha256(entry.source)[:12]
            out.append(f"{show(entry.path.removeprefix(above))} {version}")
            length += len(out[-1])
    return tuple(out)
