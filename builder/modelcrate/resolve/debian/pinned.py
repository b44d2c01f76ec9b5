"""A Debian package in a lock. A module of its own, so that reading a lock imports no resolver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelcrate.resolve.debian.releases import ARCHIVE, SECURITY, UBUNTU, UBUNTU_PORTS
from modelcrate.resolve.debian.versions import version_key
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.debian import Deb
from modelcrate_layers.patterns import compile_later

MAX_DEB = 4 << 30
"""Bytes of one package."""

NAME = compile_later(r"[a-z0-9][a-z0-9+.-]{0,127}")
POOL = compile_later(r"pool(?:/(?!\.)[A-Za-z0-9+._~%:-]+)+\.deb")


@dataclass(frozen=True, slots=True)
class PinnedDeb:
    """A Debian package, as a `resolve.pinned.Pinned`: any mirror that has the bytes can serve it."""

    kind: ClassVar[str] = "deb"

    package: str
    version: str
    architecture: str
    archive: str
    pool: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        good = self.archive in (ARCHIVE, SECURITY, UBUNTU, UBUNTU_PORTS) and POOL.fullmatch(self.pool)
        good = good and NAME.fullmatch(self.package) and NAME.fullmatch(self.architecture)
        version_key(self.version)
        if not good or not re.fullmatch(r"[0-9a-f]{64}", self.sha256) or not 0 < self.size <= MAX_DEB:
            raise IntegrityError(f"not a pinned Debian package: {self.package[:80]!r} {self.pool[:200]!r}")

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.package

    @property
    def filename(self) -> str:
        """The name of the file in the archive."""
        return self.pool.rpartition("/")[2]

    @property
    def purl(self) -> str:
        """The package URL (purl-spec)."""
        return f"pkg:deb/debian/{self.package}@{self.version}?arch={self.architecture}"

    def place(self, cache: Path) -> Path:
        """Returns the path of the package in the cache."""
        return cache / "debs" / f"{self.sha256}.deb"

    def as_package(self, cache: Path, size: int) -> Deb:
        """Returns the package at its place in the cache. `size` is in bytes."""
        return Deb(self.package, self.version, self.architecture, self.place(cache), self.sha256, size, self.pool)

    def json(self) -> dict[str, Any]:
        """Returns the pin as the lock writes it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def parse(cls, value: object) -> PinnedDeb:
        """Returns a package out of a lock; anything malformed is an IntegrityError."""
        if not isinstance(value, dict) or set(value) != set(cls.__slots__):
            raise IntegrityError(f"not a pinned Debian package: {value!r:.80}")
        if not all(isinstance(part, int if name == "size" else str) for name, part in value.items()):
            raise IntegrityError(f"not a pinned Debian package: {value!r:.80}")
        return cls(**value)


def debs_in(pinned: Sequence[PinnedDeb], cache: Path) -> tuple[Deb, ...]:
    """Returns the packages as a layer takes them."""
    return tuple(each.as_package(cache, each.size) for each in pinned)
