"""Packages as a lock holds them. Apart from what pins them, so that reading a lock imports no resolver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.conda import in_cache
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.packages.wheel import Wheel


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel as a lock names it: by name, version, file name and hash, and no host. `size` in bytes, where the index says it.

    `urls` are places where it was seen just now; they are no part of the pin, and are never written.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int | None = None
    urls: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        Wheel(self.name, self.version, self.filename, self.sha256, self.size or 0, "")  # whose rules hold for a pin too

    def place(self, cache: Path) -> Path:
        """Where the wheel is in the cache, or will be once it is fetched."""
        return cache / "wheels" / self.sha256 / self.filename


@dataclass(frozen=True, slots=True)
class PinnedConda:
    """A conda package as a lock names it: by name, version, build, file name and hash, and no host. `size` is in bytes, where it is known."""

    name: str
    version: str
    build: str
    subdir: str
    filename: str
    sha256: str
    size: int | None = None

    def __post_init__(self) -> None:
        if self.subdir not in ("noarch", "linux-64", "linux-aarch64"):
            raise IntegrityError(f"not a folder of a conda channel: {self.subdir[:40]!r}")
        self.package(Path(), 0)  # whose rules hold for a pin too

    def place(self, cache: Path) -> Path:
        """Where the package is in the cache, or will be once it is fetched."""
        return in_cache(cache, self.sha256, self.filename)

    def package(self, cache: Path, size: int) -> CondaPackage:
        return CondaPackage(self.name, self.version, self.build, self.filename, self.sha256, size, self.place(cache))


@dataclass(frozen=True, slots=True)
class Solved:
    """What was chosen, by name. `distributions` are those of them that are Python packages, as PyPI calls them, with their versions."""

    pinned: tuple[PinnedConda, ...] = ()
    distributions: Mapping[str, str] = field(default_factory=dict, hash=False)


def python_of(pinned: Iterable[PinnedConda]) -> str:
    """The version, major and minor, of the Python among conda packages; empty where there is none."""
    return next((".".join(each.version.split(".")[:2]) for each in pinned if each.name == "python"), "")
