"""A resolved base: the layers below ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from modelcrate.images.image import ImageLayer
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import LayerKind

if TYPE_CHECKING:
    from modelcrate.resolve.scan import LayerScan
    from modelcrate_layers.packages.compiler import Compiler

ReceivedScans: TypeAlias = "Callable[[Platform, Sequence[ImageLayer]], Mapping[Digest, LayerScan]]"
"""Returns the scans of layers of a base, by diff id, that came with images of others; for as many of them as there are."""

HIDING = {
    "PYTHONHOME": "Python would not find the packages of the image",
    "PYTHONPATH": "Python would look there before it looks at the packages of the image; set it in 'env' to have it",
    "PYTHONPLATLIBDIR": "Python would not find the packages of the image",
}
"""Variables of a base that an image with packages can't have, and why."""


@dataclass(frozen=True, slots=True)
class ResolvedBase:
    """A resolved base for one platform.

    Attributes:
        layers: Those of an existing base; they stay as they are.
        kinds: Those that we make.
        interpreter: The absolute path of its Python; empty where it has none.
        python: The version of that Python, major and minor.
        glibc: The version of its C library, which decides which wheels run on it (PEP 600).
        musl: The version of its C library where that is musl (PEP 656), and `glibc` counts for nothing.
        lacking: Top modules of the standard library that its Python does not have, as far as it was looked at.
        compiler: What makes bytecode for its Python; None where the image is to have none.
    """

    name: str
    config: Mapping[str, Any] = field(repr=False, hash=False)
    layers: tuple[ImageLayer, ...] = ()
    kinds: tuple[LayerKind, ...] = ()
    interpreter: str = ""
    python: str = ""
    glibc: tuple[int, int] = (2, 28)
    musl: tuple[int, int] | None = None
    digest: Digest | None = None
    reference: str = ""
    lacking: frozenset[str] = frozenset()
    compiler: Compiler | None = None


def no_scans(_: Platform, __: Sequence[ImageLayer]) -> Mapping[Digest, LayerScan]:
    """Returns none."""
    return {}
