"""A resolved base: what lies below our layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from modelcrate.images.image import ImageLayer
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import LayerKind


@dataclass(frozen=True, slots=True)
class ResolvedBase:
    """A resolved base for one platform.

    `layers` are somebody else's and stay as they are; `kinds` are those that we make. `interpreter` is the absolute path of its
    Python and `python` that one's version; both are empty where there is none. `glibc` decides which wheels run on it.
    """

    name: str
    config: Mapping[str, Any] = field(repr=False, hash=False)
    layers: tuple[ImageLayer, ...] = ()
    kinds: tuple[LayerKind, ...] = ()
    interpreter: str = ""
    python: str = ""
    glibc: tuple[int, int] = (2, 28)
    digest: Digest | None = None
    reference: str = ""
