"""Packages as a lock holds them. Apart from what pins them, so that reading a lock imports no resolver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds.conda import in_cache
from modelcrate_layers.packages.pinned import CondaPackage, Package
from modelcrate_layers.packages.wheel import Wheel

P_co = TypeVar("P_co", bound=Package, covariant=True)


class Pinned(Protocol[P_co]):
    """A package as a lock names it: by name, version, file name and hash, and no host. `size` is in bytes, where it is known."""

    kind: ClassVar[str]
    """`deb`, `wheel` or `conda`, as in a bill of materials."""

    @property
    def name(self) -> str:
        """The name of the package."""

    @property
    def version(self) -> str:
        """The version of the package."""

    @property
    def filename(self) -> str:
        """The name of the file."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, in hexadecimal."""

    @property
    def size(self) -> int | None:
        """The size of the file in bytes, where it is known."""

    @property
    def purl(self) -> str:
        """The package URL (purl-spec)."""
        ...

    def place(self, cache: Path) -> Path:
        """Returns where the package is in the cache, or will be once it is fetched."""
        ...

    def as_package(self, cache: Path, size: int) -> P_co:
        """Returns the package as a layer takes it."""
        ...

    def json(self) -> dict[str, Any]:
        """Returns the package as a lock holds it."""
        ...


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel, as a `Pinned`.

    `urls` are places where it was seen just now; they are no part of the pin, and are never written.
    """

    kind: ClassVar[str] = "wheel"

    name: str
    version: str
    filename: str
    sha256: str
    size: int | None = None
    urls: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        self.as_package(Path(), 0)  # whose rules hold for a pin too

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """Returns a wheel out of a lock; anything malformed is an IntegrityError."""
        return cls(**_texts(value, "name", "version", "filename", "sha256"), size=value.get("size"))

    @property
    def purl(self) -> str:
        """The package URL (purl-spec)."""
        return f"pkg:pypi/{self.name}@{self.version}"

    def place(self, cache: Path) -> Path:
        """Returns the path of the wheel in the cache."""
        return cache / "wheels" / self.sha256 / self.filename

    def as_package(self, cache: Path, size: int) -> Wheel:
        """Returns the wheel at its place in the cache. `size` is in bytes."""
        return Wheel(self.name, self.version, self.filename, self.sha256, size, str(self.place(cache)))

    def json(self) -> dict[str, Any]:
        """Returns the pin as the lock writes it, without URLs."""
        return _json(self, "urls")


@dataclass(frozen=True, slots=True)
class PinnedConda:
    """A conda package, as a `Pinned`. `subdir` is the folder of a channel that has it."""

    kind: ClassVar[str] = "conda"

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
        self.as_package(Path(), 0)  # whose rules hold for a pin too

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """Returns a package out of a lock; anything malformed is an IntegrityError."""
        texts = _texts(value, "name", "version", "build", "subdir", "filename", "sha256")
        return cls(**texts, size=value.get("size"))

    @property
    def purl(self) -> str:
        """The package URL (purl-spec)."""
        return f"pkg:conda/{self.name}@{self.version}?build={self.build}&subdir={self.subdir}"

    def place(self, cache: Path) -> Path:
        """Returns the path of the package in the cache."""
        return in_cache(cache, self.sha256, self.filename)

    def as_package(self, cache: Path, size: int) -> CondaPackage:
        """Returns the package at its place in the cache. `size` is in bytes."""
        return CondaPackage(self.name, self.version, self.build, self.filename, self.sha256, size, self.place(cache))

    def json(self) -> dict[str, Any]:
        """Returns the pin as the lock writes it."""
        return _json(self)


@dataclass(frozen=True, slots=True)
class Solved:
    """What was chosen, by name. `distributions` are those of them that are Python packages, as PyPI calls them, with their versions."""

    pinned: tuple[PinnedConda, ...] = ()
    distributions: Mapping[str, str] = field(default_factory=dict, hash=False)


def python_of(pinned: Iterable[PinnedConda]) -> str:
    """Returns the version, major and minor, of the Python among conda packages; empty where there is none."""
    return next((".".join(each.version.split(".")[:2]) for each in pinned if each.name == "python"), "")


def _texts(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Returns the texts of a pinned package; what is none, or no size, is an IntegrityError."""
    size = value.get("size")
    texts = {key: value[key] for key in keys}
    if not all(isinstance(text, str) for text in texts.values()) or not (size is None or isinstance(size, int)):
        raise IntegrityError(f"not a pinned package: {dict(value)!r:.120}")
    Digest("sha256", texts["sha256"])
    return texts


def _json(pinned: Any, *left_out: str) -> dict[str, Any]:
    found = {key: getattr(pinned, key) for key in pinned.__slots__ if key not in left_out}
    return {key: value for key, value in found.items() if value is not None}
