"""Packages of others, as files."""

from __future__ import annotations

import re
from pathlib import Path

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

CONDA_ENDINGS = (".conda", ".tar.bz2")

_WORD = re.compile(r"[A-Za-z0-9_.+!~-]{1,200}")


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


@dataclass(frozen=True, slots=True)
class CondaPackage:
    """A pinned package and its place in the cache, where it may not be yet. `size` is in bytes."""

    name: str
    version: str
    build: str
    filename: str
    sha256: str
    size: int
    path: Path

    def __post_init__(self) -> None:
        whole = f"{self.name}-{self.version}-{self.build}"
        words = all(_WORD.fullmatch(each) for each in (self.name, self.version, self.build))
        if not words or self.filename not in {whole + ending for ending in CONDA_ENDINGS}:
            raise IntegrityError(f"not the name of a conda package: {self.filename[:200]!r}")
        Digest("sha256", self.sha256)

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.build}"
