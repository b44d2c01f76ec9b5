"""Images over layers that are a few bytes in memory and say of themselves what a test wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from modelcrate.images.image import Image, ImageLayer, Origin, assemble
from modelcrate.images.image_config import EPOCH, RunSpec
from modelcrate_layers.content import Digest, Literal, MediaType, Platform
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.recipe import Layer

AMD64 = Platform.parse("linux/amd64")


def made_layer(
    role: str,
    name: str,
    data: bytes,
    *,
    inputs: Sequence[str] = (),
    origin: Origin = "built",
    why: str = "",
    key: Digest | None = None,
) -> ImageLayer:
    """A layer whose bytes are not compressed."""
    blob = Literal(data, MediaType.LAYER)
    layer = Layer(blob.descriptor, Digest.of(data), len(data), Codec("none"), tuple(inputs))
    return ImageLayer(role, name, layer, blob, origin, why, key)


def made_image(
    *layers: ImageLayer, platform: Platform = AMD64, config: Mapping[str, Any] | None = None, created: datetime = EPOCH
) -> Image:
    """The image of these layers over a base with this config."""
    return assemble(platform, {"config": dict(config or {})}, layers, RunSpec(), created)
