"""The result of a build, push or copy: the same facts as values, as JSON, and as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelcrate.images.image import Deliverable, Image, ImageLayer
from modelcrate.images.reference import Reference
from modelcrate.pipeline.request import PUSHED
from modelcrate.transports.output import Delivered
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a build, push or copy has done.

    Attributes:
        outputs: Where the image was delivered.
        timings: Seconds by step.
    """

    name: str
    image: Deliverable
    outputs: tuple[Delivered, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __repr__(self) -> str:
        places = ", ".join(f"{each.kind}:{each.target}" for each in self.outputs) or "nowhere yet"
        return f"<receipt of {self.name} {self.image.digest.short}: {places}>"

    @property
    def sent_bytes(self) -> int:
        """Bytes that were written to all outputs."""
        return sum(each.sent for each in self.outputs)

    @property
    def references(self) -> tuple[str, ...]:
        """HOST/REPOSITORY@DIGEST in every registry that the image was pushed to."""
        pushed = (each for each in self.outputs if each.kind == PUSHED)
        return tuple(str(Reference.parse(each.target).at(each.digest)) for each in pushed)

    def json(self) -> dict[str, Any]:
        """Returns the documented receipt (docs/reference/receipt.md)."""
        images = [_image(image) for image in self.image.images]
        return {
            "name": self.name,
            "digest": str(self.image.digest),
            **(images[0] if len(images) == 1 else {"images": images}),
            "outputs": [output_facts(each) for each in self.outputs],
            "timings": {step: round(seconds, 4) for step, seconds in self.timings.items()},
        }


def _image(image: Image) -> dict[str, Any]:
    return {
        "digest": str(image.digest),
        "id": str(image.id),
        "platform": str(image.platform),
        **({"variant": image.variant} if image.variant else {}),
        "layers": [_layer(layer) for layer in image.layers],
    }


def _layer(layer: ImageLayer) -> dict[str, Any]:
    return {
        "role": layer.role,
        "name": layer.name,
        "digest": str(layer.descriptor.digest),
        "diff_id": str(layer.layer.diff_id),
        "size": layer.descriptor.size,
        "tar_size": layer.layer.tar_size if layer.layer.tar_size >= 0 else None,
        "codec": str(layer.layer.codec),
        "origin": layer.origin,
        "key": str(layer.key) if layer.key else None,
    }


def output_facts(each: Delivered) -> dict[str, Any]:
    """Returns what was written to one output, as the receipt has it."""
    return {
        "kind": each.kind,
        "target": each.target,
        "digest": str(each.digest),
        "bytes_sent": each.sent,
        "bytes_there": each.reused,
        "requests": each.requests,
        **({"variants": dict(each.variants)} if each.variants else {}),
    }
