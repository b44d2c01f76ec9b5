"""The step `assemble`: the image, or the index of several platforms and variants, of the layers of a build. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain

from modelcrate.images import image
from modelcrate.images.image import MODELCAR, VARIANT, Image, ImageLayer, Index
from modelcrate.images.image_config import BASE_DIGEST, BASE_NAME, EPOCH
from modelcrate.pipeline import compose
from modelcrate.pipeline.prepare import Prepared
from modelcrate.pipeline.request import Request
from modelcrate.resolve.world import Resolved


def assemble_parts(
    prepared: Prepared, packed: Iterable[tuple[ImageLayer, ...]], created: datetime | None
) -> list[Image | Index]:
    """Returns what the project and each of its variants is by itself.

    Args:
        prepared: The build.
        packed: The layers of each image, lowest first.
        created: The creation time, where the project has none.
    """
    left = iter(packed)
    return [_assemble(each, [next(left) for _ in each.plans], created) for each in prepared.every]


def join_parts(parts: Sequence[Image | Index]) -> Image | Index:
    """Returns the project and its variants as one: the image, or the index of all images."""
    return parts[0] if len(parts) == 1 else image.combine(chain.from_iterable(each.images for each in parts))


def _assemble(prepared: Prepared, packed: Iterable[tuple[ImageLayer, ...]], created: datetime | None) -> Image | Index:
    project = prepared.request.project
    images = [
        image.assemble(
            resolved.platform,
            resolved.below.config,
            layers,
            compose.run_spec(project, resolved),
            project.created or created or EPOCH,
            _annotations(prepared.request, resolved),
        )
        for resolved, layers in zip(prepared.world.platforms, packed, strict=True)
    ]
    return images[0] if len(images) == 1 else image.combine(images)


def _annotations(request: Request, resolved: Resolved) -> dict[str, str]:
    project, below = request.project, resolved.below
    notes = {"org.opencontainers.image.title": project.name}
    if project.modelcar:
        notes[MODELCAR] = "true"
    if request.variant_name:
        notes[VARIANT] = request.variant_name
    if below.reference:
        notes |= {
            BASE_NAME: below.reference,
            BASE_DIGEST: str(below.digest),
        }
    return notes
