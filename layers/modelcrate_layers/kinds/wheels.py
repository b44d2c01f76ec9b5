"""Layers of installed wheels. Such a layer is a pure function of the wheels' hashes, the Python version, the prefix and the
policy, so that the same wheel is the same blob in every project and every registry.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.runtime import RuntimeLayer
from modelcrate_layers.packages import wheel
from modelcrate_layers.packages.split import part_title, split_entries
from modelcrate_layers.packages.venv import PREFIX, Venv
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.tar import recipe, sources, writer
from modelcrate_layers.tar.sources import ZipMember
from modelcrate_layers.tar.tree import Entry, Kind, Tree, show

KIND = "wheels"
POLICY = 1
"""The policy of `installation`, repeated so that a key is known without importing it; a test keeps the two equal."""

_TURNS = tuple(threading.Lock() for _ in range(64))
"""Whoever wants a wheel that is just being read waits for it; a few locks serve all wheels, the same always the same one."""


@dataclass(frozen=True, slots=True)
class WheelsLayer:
    """One or more wheels, installed under a prefix; or one `part` of their files, where they are too large for one layer.

    How many parts there are is known by the wheels' sizes, and which files each has by the wheels' contents (see `cutting`).
    """

    wheels: tuple[Wheel, ...]
    python: str
    prefix: str = PREFIX
    part: int = 0
    parts: int = 1

    @property
    def role(self) -> str:
        return "dependencies"

    @property
    def name(self) -> str:
        """The heaviest wheel, and how many others there are."""
        first = min(self.wheels, key=lambda each: (-each.size, each.name))
        more = f" + {len(self.wheels) - 1} wheels" if len(self.wheels) > 1 else ""
        return part_title(f"{first}{more}", self.part, self.parts)

    def key(self) -> Digest:
        """Known before any wheel is fetched."""
        inputs: dict[str, Any] = {
            "policy": POLICY,
            "prefix": self.prefix,
            "python": self.python,
            "wheels": sorted(each.sha256 for each in self.wheels),
        }
        if self.parts > 1:
            inputs["part"] = [self.part, self.parts]
        return recipe.key(KIND, inputs)

    def inputs(self) -> tuple[str, ...]:
        """The wheels, and what else decides: the Python that they are installed for, and our rules."""
        return (*sorted(map(str, self.wheels)), f"python {self.python}", f"rules {writer.POLICY}.{POLICY}")

    def packages(self) -> tuple[tuple[Path, int], ...]:
        """The wheels' places in the cache, and their sizes in bytes."""
        return tuple((Path(each.path), each.size) for each in self.wheels)

    def tree(self) -> Tree:
        """The installed files. The wheels must have been fetched; only their directories are read."""
        venv = Venv(self.python, self.prefix)
        owned = _owned(_installed(self.wheels, venv))
        entries = sorted((entry for _, entry in owned.values()), key=itemgetter(0))
        return Tree.of(split_entries(entries, self.part, self.parts), roots=(venv.root,))


def check_conflicts(wheels: Iterable[Wheel], python: str, prefix: str = PREFIX) -> None:
    """A UserError naming both wheels and the path, where two wheels of one image own the same file with different bytes.

    It takes all wheels of an image, whatever layers they are in, for a layer would silently cover a file of another. What the
    environment itself owns (`bin/python`) belongs to no wheel.
    """
    venv = Venv(python, prefix)
    environment = (("the environment itself", entry) for entry in RuntimeLayer(python, prefix=prefix).tree().entries)
    links = ((owner, entry) for owner, entry in environment if entry.kind is not Kind.DIRECTORY)
    owned = _owned((*links, *_installed(wheels, venv)))
    for path, (owner, _) in owned.items():
        parent = path.rpartition(b"/")[0]
        while parent:
            if parent in owned:
                raise _conflict(parent, owned[parent][0], owner, "a file of the one is a folder of the other")
            parent = parent.rpartition(b"/")[0]


def _installed(wheels: Iterable[Wheel], venv: Venv) -> Iterator[tuple[str, Entry]]:
    for each in sorted(wheels, key=lambda each: (each.name, each.sha256)):
        for entry in _files(each, each.path, venv):
            yield str(each), entry


def _files(one: Wheel, path: str, venv: Venv) -> tuple[Entry, ...]:
    """What a wheel installs. Asked for up to three times in a build (conflicts, the layer, its bill), by several threads, and read once;
    `path` is where it lies, for wheels are equal wherever they lie."""
    with _TURNS[int(one.sha256[:8], 16) % len(_TURNS)]:
        return _read(one, path, venv)


@lru_cache(maxsize=64)
def _read(one: Wheel, path: str, venv: Venv) -> tuple[Entry, ...]:
    from modelcrate_layers.packages import (
        wheel_install,  # installer, and with it email and zipfile, is of use only from here on
    )

    return wheel_install.entries(wheel.read(one), venv)


def _owned(installed: Iterable[tuple[str, Entry]]) -> dict[bytes, tuple[str, Entry]]:
    """Each path with its owner. Where two own the same bytes, they are one file, executable if one of them says so."""
    owned: dict[bytes, tuple[str, Entry]] = {}
    for owner, entry in installed:
        first, other = owned.setdefault(entry.path, (owner, entry))
        if other is entry:
            continue
        if not _same(entry, other):
            raise _conflict(entry.path, first, owner, "and not with the same bytes")
        owned[entry.path] = (first, other._replace(mode=other.mode | entry.mode))
    return owned


def _same(one: Entry, other: Entry) -> bool:
    a, b = one.source, other.source
    if a is None or b is None or a.size != b.size:
        return False
    if isinstance(a, ZipMember) and isinstance(b, ZipMember) and a.crc != b.crc:
        return False
    return sources.sha256(a) == sources.sha256(b)


def _conflict(path: bytes, one: str, other: str, why: str) -> UserError:
    return UserError(
        f"{one} and {other} both own /{show(path)}" if one != other else f"{one} has /{show(path)} twice",
        why=why,
        hint="leave one of the two out, or take a version that doesn't bring the file",
    )
