"""Packages as files in a cache: what a lock pins, and where it is or will be once it is fetched."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Protocol

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

CONDA_ENDINGS = (".conda", ".tar.bz2")

_SEPARATORS = compile_later(r"[-_.]+")
_WORD = compile_later(r"[A-Za-z0-9_.+!~-]{1,200}")


def normalise_name(name: str) -> str:
    """Returns the name of a Python package as indexes compare it (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


class Package(Protocol):
    """A pinned package and its place in the cache, where it may not be yet. `size` is in bytes."""

    @property
    def name(self) -> str:
        """The name of the package."""

    @property
    def version(self) -> str:
        """The version of the package."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, in hexadecimal."""

    @property
    def size(self) -> int:
        """The size of the file in bytes."""

    @property
    def path(self) -> str | PathLike[str]:
        """The path of the file in the cache."""


@dataclass(frozen=True, slots=True)
class Deb:
    """A Debian package as a `Package`. `pool` is its path in the archive, for people."""

    package: str
    version: str
    architecture: str
    path: Path
    sha256: str
    size: int
    pool: str

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.package


@dataclass(frozen=True, slots=True)
class CondaPackage:
    """A conda package as a `Package`."""

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
