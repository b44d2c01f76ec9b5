"""A wheel as a lock holds it. Apart from what pins it, so that reading a lock imports no resolver."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from modelcrate_layers.wheel import Wheel


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
