"""Layers of linked conda packages.

Such a layer is a pure function of the packages' hashes, the Python version, the prefix and the policy: neither conda nor a solver is
needed to make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import Materials
from modelcrate_layers.packages.conflicts import OnConflict, Owned, merge
from modelcrate_layers.packages.grouping import LARGEST, MAX_LAYERS, group
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.packages.split import part_title, split_entries
from modelcrate_layers.packages.venv import PREFIX
from modelcrate_layers.tar import recipe, writer
from modelcrate_layers.tar.tree import Tree

KIND = "conda"
POLICY = 1
"""The policy of `conda_link`, repeated so that a key is known without importing it; a test keeps the two equal."""


@dataclass(frozen=True, slots=True)
class CondaLayer:
    """One or more packages, linked under a prefix; or one `part` of their files, where they are too large for one layer (see `split`).

    `python` is the environment's version, empty where it has none.
    """

    wanted: tuple[CondaPackage, ...]
    python: str
    prefix: str = PREFIX
    part: int = 0
    parts: int = 1
    on_conflict: OnConflict = "refuse"

    @property
    def role(self) -> str:
        """The role of the layer."""
        return "dependencies"

    @property
    def name(self) -> str:
        """The heaviest package, and how many others there are."""
        first = min(self.wanted, key=lambda each: (-each.size, each.name))
        more = f"+ {len(self.wanted) - 1} conda packages" if len(self.wanted) > 1 else "of conda"
        return part_title(f"{first.name} {first.version} {more}", self.part, self.parts)

    def key(self) -> Digest:
        """Returns a key that is known before any package is fetched."""
        inputs: dict[str, Any] = {
            "packages": sorted(each.sha256 for each in self.wanted),
            "policy": POLICY,
            "prefix": self.prefix,
            "python": self.python,
        }
        if self.parts > 1:
            inputs["part"] = [self.part, self.parts]
        if self.on_conflict != "refuse":  # else an image that refuses could have a layer that does not
            inputs["on-conflict"] = self.on_conflict
        return recipe.key(KIND, inputs)

    def inputs(self) -> tuple[str, ...]:
        """Returns the packages, and what else decides: the Python that they are linked for, and our rules."""
        return (*sorted(map(str, self.wanted)), f"python {self.python}", f"rules {writer.POLICY}.{POLICY}")

    def materials(self) -> Materials:
        """Returns the packages that the layer is made of."""
        return Materials(packages=self.wanted, parts=self.parts)

    def tree(self) -> Tree:
        """Returns the linked files."""
        owned = merge(self._installed(), self.on_conflict).files
        entries = [entry for _, (_, entry) in sorted(owned.items())]
        return Tree.of(split_entries(entries, self.part, self.parts), (self.prefix[1:].encode(),))

    def installed(self) -> Iterator[Owned]:
        """Yields the paths of all parts, from the first part only."""
        if self.part == 0:  # the files of all parts
            yield from self._installed()

    def notices(self) -> Iterator[str]:
        """Yields the scripts that an installer, or a shell that enters the environment, would run."""
        from modelcrate_layers.packages.conda import read_package

        for each in self.wanted if self.part == 0 else ():
            for path in read_package(each).scripts:
                yield f"not run: {each.name}: {path}, which conda would run on the machine that it installs on"

    def _installed(self) -> Iterator[Owned]:
        from modelcrate_layers.packages.conda_link import entries

        for each in sorted(self.wanted, key=lambda each: (each.name, each.sha256)):
            for entry in entries(each, self.python, self.prefix):
                yield Owned(str(each), entry)


def conda_layers(
    packages: Iterable[CondaPackage],
    python: str,
    prefix: str = PREFIX,
    budget: int = MAX_LAYERS,
    largest: int = LARGEST,
    on_conflict: OnConflict = "refuse",
) -> tuple[CondaLayer, ...]:
    """Returns the layers of these packages, grouped by `grouping`'s rules."""
    groups = group(packages, budget, largest)
    return tuple(CondaLayer(each.packages, python, prefix, each.part, each.parts, on_conflict) for each in groups)


def in_cache(cache: Path, sha256: str, filename: str) -> Path:
    """Returns where a package is in the cache, or will be once it is fetched."""
    return cache / "conda" / sha256 / filename
