"""Images that lie."""

from __future__ import annotations

import json
from dataclasses import replace

from modelcrate.images.image import Image
from modelcrate_layers.content import Digest, Literal, canonical_json
from modelcrate_layers.tar.recipe import Measuring

NOTHING = bytes(10240)
"""A tar with nothing in it."""


def forge(image: Image, name: str, tar: bytes = NOTHING) -> Image:
    """The image with other bytes in the keyed layer of this name. Its digests and diff ids are right, and so is the key: it lies."""
    at = next(n for n, layer in enumerate(image.layers) if layer.key and name in layer.name)
    old = image.layers[at]
    measuring = Measuring([tar], old.layer.codec, len(tar))
    stored = b"".join(measuring)
    new = replace(
        old,
        layer=replace(measuring.layer, inputs=old.layer.inputs),
        blob=Literal(stored, measuring.descriptor.media_type),
    )
    layers = (*image.layers[:at], new, *image.layers[at + 1 :])
    config = json.loads(image.config.data)
    config["rootfs"]["diff_ids"][at] = str(Digest.of(tar))
    made = Literal(canonical_json(config), image.config.media_type)
    manifest = json.loads(image.manifest.data) | {"config": made.descriptor.json()}
    manifest["layers"] = [each.descriptor.json() for each in layers]
    return Image(image.platform, made, Literal(canonical_json(manifest), image.manifest.media_type), layers)
