"""A Debian package as a lock holds it. Apart from what pins it, so that reading a lock imports no resolver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelcrate.resolve.debian.releases import ARCHIVE, SECURITY
from modelcrate.resolve.debian.versions import version_key
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.debian import Deb

MAX_DEB = 4 << 30
"""Bytes of one package."""

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}")
POOL = re.compile(r"pool(?:/(?!\.)[A-Za-z0-9+._~%:-]+)+\.deb")


@dataclass(frozen=True, slots=True)
class PinnedDeb:
    """A package as a lock holds it. No host: any mirror that has the bytes can serve it."""

    package: str
    version: str
    architecture: str
    archive: str
    pool: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        good = self.archive in (ARCHIVE, SECURITY) and POOL.fullmatch(self.pool)
        good = good and NAME.fullmatch(self.package) and NAME.fullmatch(self.architecture)
        version_key(self.version)
        if not good or not re.fullmatch(r"[0-9a-f]{64}", self.sha256) or not 0 < self.size <= MAX_DEB:
            raise IntegrityError(f"not a pinned Debian package: {self.package[:80]!r} {self.pool[:200]!r}")

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def parse(cls, value: object) -> PinnedDeb:
        """A package out of a lock; anything malformed is an IntegrityError."""
        if not isinstance(value, dict) or set(value) != set(cls.__slots__):
            raise IntegrityError(f"not a pinned Debian package: {value!r:.80}")
        if not all(isinstance(part, int if name == "size" else str) for name, part in value.items()):
            raise IntegrityError(f"not a pinned Debian package: {value!r:.80}")
        return cls(**value)


def debs_in(pinned: Sequence[PinnedDeb], cache: Path) -> tuple[Deb, ...]:
    """The packages as a layer takes them, with the places in the cache where they are, or will be. Nothing is fetched."""
    return tuple(
        Deb(
            package=each.package,
            version=each.version,
            architecture=each.architecture,
            path=cache / "debs" / f"{each.sha256}.deb",
            sha256=each.sha256,
            size=each.size,
            pool=each.pool,
        )
        for each in pinned
    )
