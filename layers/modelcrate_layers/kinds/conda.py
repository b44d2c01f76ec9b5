"""Layers of linked conda packages. Such a layer is a pure function of the packages' hashes, the Python version, the prefix and the
policy: no conda and no solver is needed to make it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.packages.split import part_title, split_entries
from modelcrate_layers.packages.venv import PREFIX
from modelcrate_layers.tar import recipe, writer
from modelcrate_layers.tar.tree import Tree

KIND = "conda"
POLICY = 1
"""The policy of `conda_files`, repeated so that a key is known without importing it; a test keeps the two equal."""


@dataclass(frozen=True, slots=True)
class CondaLayer:
    """One or more packages, linked under a prefix; or one `part` of their files, where they are too large for one layer (see `cutting`).

    `python` is the environment's version, empty where it has none.
    """

    wanted: tuple[CondaPackage, ...]
    python: str
    prefix: str = PREFIX
    part: int = 0
    parts: int = 1

    @property
    def role(self) -> str:
        return "dependencies"

    @property
    def name(self) -> str:
        """The heaviest package, and how many others there are."""
        first = min(self.wanted, key=lambda each: (-each.size, each.name))
        more = f"+ {len(self.wanted) - 1} conda packages" if len(self.wanted) > 1 else "of conda"
        return part_title(f"{first.name} {first.version} {more}", self.part, self.parts)

    def key(self) -> Digest:
        """Known before any package is fetched."""
        inputs: dict[str, Any] = {
            "packages": sorted(each.sha256 for each in self.wanted),
            "policy": POLICY,
            "prefix": self.prefix,
            "python": self.python,
        }
        if self.parts > 1:
            inputs["part"] = [self.part, self.parts]
        return recipe.key(KIND, inputs)

    def inputs(self) -> tuple[str, ...]:
        """The packages, and what else decides: the Python that they are linked for, and our rules."""
        return (*sorted(map(str, self.wanted)), f"python {self.python}", f"rules {writer.POLICY}.{POLICY}")

    def packages(self) -> tuple[tuple[Path, int], ...]:
        """The packages' places in the cache, and their sizes in bytes."""
        return tuple((each.path, each.size) for each in self.wanted)

    def tree(self) -> Tree:
        """The linked files. The packages must have been fetched."""
        from modelcrate_layers.packages import conda_link

        owned = conda_link.owned(self.wanted, self.python, self.prefix)
        entries = [entry for _, entry in sorted(owned.items())]
        return Tree.of(split_entries(entries, self.part, self.parts), (self.prefix[1:].encode(),))


def check_conflicts(packages: Iterable[CondaPackage], python: str, prefix: str = PREFIX) -> None:
    """A UserError naming both packages, where two of one image bring the same file with different bytes, whatever layers they are in."""
    from modelcrate_layers.packages import conda_link

    conda_link.owned(packages, python, prefix)


def scripts(packages: Iterable[CondaPackage]) -> tuple[str, ...]:
    """What an installer, or a shell that enters the environment, would have run and nobody runs here, a line each."""
    from modelcrate_layers.packages.conda import read_package

    return tuple(f"{each.name}: {path}" for each in packages for path in read_package(each).scripts)


def in_cache(cache: Path, sha256: str, filename: str) -> Path:
    """Where a package is in the cache, or will be once it is fetched."""
    return cache / "conda" / sha256 / filename
