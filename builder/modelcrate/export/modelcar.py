"""`modelcar:REF`: an image with the models' files below `/models`, and nothing else: for KServe and for volumes of Kubernetes.

Nothing in it is compressed: KServe's fetcher reads tars that are plain or in gzip, and no zstd, and weights do not shrink.
"""

from __future__ import annotations

from modelcrate.export.model_shapes import Making, ShapeOutput, parse_shape
from modelcrate.home.folder import open_store
from modelcrate.images import image
from modelcrate.images.image import MODELCAR, Deliverable, ImageLayer
from modelcrate.images.image_config import RunSpec
from modelcrate.pipeline.pack import Packer, PackTargets
from modelcrate.pipeline.plan import KnownLayers, plan
from modelcrate.project.values import DEFAULT_PLATFORM
from modelcrate.transports import PLACE
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.model import ModelLayer, model_layers

KIND = "modelcar"
EXAMPLE = PLACE

ONLY = "only"
"""The value of the annotation MODELCAR for an image that has nothing else."""


def parse(target: str) -> ShapeOutput:
    """Returns the output for a target of the command line."""
    return parse_shape(KIND, target, make)


def make(making: Making) -> Deliverable:
    """Returns the image, for each platform of the project: the layers are the same, but engines ask for their own platform."""
    source = making.source
    layers = [layer for _, layer in car_layers(making)]
    notes = {"org.opencontainers.image.title": source.request.project.name, MODELCAR: ONLY}
    images = [
        image.assemble(each.platform, {}, layers, RunSpec(), making.created, notes) for each in source.world.platforms
    ]
    return images[0] if len(images) == 1 else image.combine(images)


def car_layers(making: Making) -> tuple[tuple[ModelLayer, ImageLayer], ...]:
    """Returns the layers of a modelcar with what they are made of: the image's own, if they are for it, too, else some that are made."""
    source, config = making.source, making.connections.config
    if making.shared:
        own = (each for layers in source.files.models for each in layers if isinstance(each, ModelLayer))
        return tuple(zip(own, making.shared, strict=True))
    kinds = tuple(
        layer
        for each in making.models
        for layer in model_layers(each.name, each.version, each.listing, each.under, azure=False)
    )
    known = None if source.request.paranoid else KnownLayers.of(config, making.emit)
    packer = Packer(config, open_store(config), _nothing, making.emit, PackTargets(making.sink))
    (layers,) = packer.pack([plan(DEFAULT_PLATFORM, (), kinds, {"model": "none"}, known)])
    return tuple(zip(kinds, layers, strict=True))


def _nothing(kind: LayerKind) -> None:
    """A model's files need no fetching."""
