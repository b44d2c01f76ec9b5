"""Layers of installed wheels.

Such a layer is a pure function of the wheels' hashes, the Python version, the prefix and the policy, so that the same wheel is the
same blob in every project and every registry.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import NamedTuple, dataclass
from modelcrate_layers.kinds import Materials
from modelcrate_layers.packages import wheel
from modelcrate_layers.packages.checked import check_hash
from modelcrate_layers.packages.conflicts import OnConflict, Owned, merge
from modelcrate_layers.packages.grouping import HEAVY, LARGEST, MAX_LAYERS, group
from modelcrate_layers.packages.split import part_title, split_entries
from modelcrate_layers.packages.venv import PREFIX, Venv
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.tar import recipe, writer
from modelcrate_layers.tar.sources import FileRange, Stamp
from modelcrate_layers.tar.tree import Entry, Tree

KIND = "wheels"
POLICY = 1
"""The policy of `wheel_install`, repeated so that a key is known without importing it; a test keeps the two equal."""

_READING = tuple(threading.Lock() for _ in range(64))
"""A thread that needs a wheel which another one reads waits for it. A few locks serve all wheels, each wheel always the same one."""


@dataclass(frozen=True, slots=True)
class WheelsLayer:
    """One or more wheels, installed under a prefix; or one `part` of their files, where they are too large for one layer.

    The wheels' sizes decide how many parts there are, and their contents which files each has (see `split`).
    """

    wheels: tuple[Wheel, ...]
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
        """The heaviest wheel, and how many others there are."""
        first = min(self.wheels, key=lambda each: (-each.size, each.name))
        more = f" + {len(self.wheels) - 1} wheels" if len(self.wheels) > 1 else ""
        return part_title(f"{first}{more}", self.part, self.parts)

    def key(self) -> Digest:
        """Returns a key that is known before any wheel is fetched."""
        inputs: dict[str, Any] = {
            "policy": POLICY,
            "prefix": self.prefix,
            "python": self.python,
            "wheels": sorted(each.sha256 for each in self.wheels),
        }
        if self.parts > 1:
            inputs["part"] = [self.part, self.parts]
        if self.on_conflict != "refuse":  # else an image that refuses could have a layer that does not
            inputs["on-conflict"] = self.on_conflict
        return recipe.key(KIND, inputs)

    def inputs(self) -> tuple[str, ...]:
        """Returns the wheels, and what else decides: the Python that they are installed for, and our rules."""
        return (*sorted(map(str, self.wheels)), f"python {self.python}", f"rules {writer.POLICY}.{POLICY}")

    def materials(self) -> Materials:
        """Returns the wheels that the layer is made of."""
        return Materials(packages=self.wheels, parts=self.parts, deflated=True)

    def tree(self) -> Tree:
        """Returns the installed files. The hashes of the wheels are checked; of their contents, only the directories are read."""
        stamps = {each.path: check_hash(each) for each in self.wheels}
        owned = merge(self._installed(stamps), self.on_conflict).files
        entries = sorted((entry for _, entry in owned.values()), key=itemgetter(0))
        return Tree.of(split_entries(entries, self.part, self.parts), roots=(self.prefix[1:].encode(),))

    def installed(self) -> Iterator[Owned]:
        """Yields the paths of all parts, from the first part only."""
        if self.part == 0:  # the files of all parts
            yield from self._installed(self._stamps())

    def notices(self) -> Iterator[str]:
        """Yields what is notable about the installed wheels, from the first part only."""
        stamps = self._stamps()
        for each in self.wheels if self.part == 0 else ():
            yield from _installation(each, stamps[each.path], Venv(self.python, self.prefix)).notices

    def _stamps(self) -> dict[str, Stamp]:
        """The stamps of the wheels as they are now: enough to look at them, and not to make a layer of them."""
        return {each.path: FileRange.of_file(each.path).stamp for each in self.wheels}

    def _installed(self, stamps: Mapping[str, Stamp]) -> Iterator[Owned]:
        venv = Venv(self.python, self.prefix)
        for each in sorted(self.wheels, key=lambda each: (each.name, each.sha256)):
            for entry in _installation(each, stamps[each.path], venv).entries:
                yield Owned(str(each), entry)


def wheel_layers(
    wheels: Iterable[Wheel],
    python: str,
    prefix: str = PREFIX,
    budget: int = MAX_LAYERS,
    largest: int = LARGEST,
    on_conflict: OnConflict = "refuse",
    heavy: int = HEAVY,
) -> tuple[WheelsLayer, ...]:
    """Returns the layers of these wheels, grouped by `grouping`'s rules."""
    groups = group(wheels, budget, largest, heavy)
    return tuple(WheelsLayer(each.packages, python, prefix, each.part, each.parts, on_conflict) for each in groups)


class _Installation(NamedTuple):
    entries: tuple[Entry, ...]
    notices: tuple[str, ...]


def _installation(one: Wheel, stamp: Stamp, venv: Venv) -> _Installation:
    """What a wheel installs. Up to three threads of a build ask for it (conflicts, the layer, its bill), and it is read once."""
    with _READING[int(one.sha256[:8], 16) % len(_READING)]:
        return _read(one, one.path, stamp, venv)


@lru_cache(maxsize=512)  # more wheels than a project has: the three go through all of them one after the other
def _read(one: Wheel, path: str, stamp: Stamp, venv: Venv) -> _Installation:
    """`path` is where it lies, for wheels are equal wherever they lie."""
    from modelcrate_layers.packages import wheel_install  # imports installer, and with it email and zipfile

    contents = wheel.read(one, stamp)
    return _Installation(wheel_install.entries(contents, venv), contents.notices)
