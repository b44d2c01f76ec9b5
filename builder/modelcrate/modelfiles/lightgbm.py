"""The header of a LightGBM text model: its format's version, features and classes. Its trees are passed over."""

from __future__ import annotations

from typing import Any, BinaryIO

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

MAX_HEADER = 16 << 20
"""Bytes of a header: a hundred thousand features with their ranges have six."""

_FORMAT = compile_later(r"v[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class LightGBM:
    """The header of a LightGBM model. `format` is such as `v4`; `names` are the features' names, in order."""

    format: str
    names: tuple[str, ...]
    classes: int
    objective: str
    trees: int

    def facts(self) -> dict[str, Any]:
        """Returns the facts for a report, as JSON values."""
        facts = {
            "version": self.format,
            "features": len(self.names),
            "classes": self.classes,
            "objective": self.objective,
            "trees": self.trees,
        }
        return {key: value for key, value in facts.items() if value}


def read(file: BinaryIO, size: int) -> LightGBM:
    """Returns the header.

    Raises:
        IntegrityError: The header has no end, or names more trees than the file has bytes for.
    """
    file.seek(0)
    keys: dict[str, str] = {}
    while line := file.readline(MAX_HEADER):
        key, _, value = line.decode("utf-8", "replace").strip().partition("=")
        if not key:
            break
        if file.tell() > MAX_HEADER:
            raise IntegrityError(f"has a header of more than {MAX_HEADER} bytes")
        keys[key] = value
    else:
        raise IntegrityError("is cut short: its header has no end")
    sizes = _numbers(keys.get("tree_sizes", ""))
    if file.tell() + sum(sizes) > size:
        raise IntegrityError(
            f"is cut short: its {len(sizes)} trees have {sum(sizes)} bytes, and {size - file.tell()} are left"
        )
    version = keys.get("version", "")
    if version and not _FORMAT.fullmatch(version):
        raise IntegrityError(f"has a version that is none: {version[:40]!r}")
    classes = _numbers(keys.get("num_class", ""))
    names = tuple(keys.get("feature_names", "").split())
    objective = keys.get("objective", "").partition(" ")[0][:60]
    return LightGBM(version, names, classes[0] if classes else 1, objective, len(sizes))


def _numbers(text: str) -> list[int]:
    words = text.split()
    if not all(word.isascii() and word.isdigit() and len(word) < 16 for word in words):
        raise IntegrityError(f"has something else where numbers should be: {text[:40]!r}")
    return [int(word) for word in words]
