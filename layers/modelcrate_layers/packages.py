"""A package of the distribution, as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Deb:
    """A pinned package and its place in the cache, where it may not be yet. `pool` is its path in the archive, for people."""

    package: str
    version: str
    architecture: str
    path: Path
    sha256: str
    size: int
    pool: str
