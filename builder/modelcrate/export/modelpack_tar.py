"""`modelpack-tar:REF`: the models as a ModelPack artifact whose layers are a modelcar's: tars with the files below `models/`.

A registry that has the modelcar, or the image of a project with `modelcar: true`, gets two documents for it and no layer.
"""

from __future__ import annotations

from modelcrate.events import Notice
from modelcrate.export.model_shapes import ARTIFACT_PLACES, Making, ShapeOutput, parse_shape
from modelcrate.export.modelcar import car_layers
from modelcrate.export.modelpack import ArtifactLayer, artifact, content
from modelcrate.images.image import Deliverable, ImageLayer
from modelcrate.images.modelpack import FILEPATH, UNTESTED, content_of, tar_type
from modelcrate.transports import PLACE
from modelcrate_layers.content import Descriptor
from modelcrate_layers.kinds.model import CAR, ModelLayer
from modelcrate_layers.tar.tree import Kind, show

KIND = "modelpack-tar"
EXAMPLE = PLACE


def parse(target: str) -> ShapeOutput:
    """Returns the output for a target of the command line."""
    return parse_shape(KIND, target, make, ARTIFACT_PLACES)


def make(making: Making) -> Deliverable:
    """Returns the artifact."""
    layers, formats = [], set()
    for kind, layer in car_layers(making):
        _notify(kind, layer, making)
        contents = [content(each) for each in kind.files if each.kind is Kind.FILE]
        formats |= {each.format for each in contents if each.format}
        plain = layer.layer.descriptor
        notes = {
            FILEPATH: _place(kind),
            UNTESTED: "false" if contents and all(each.format for each in contents) else "true",
        }
        media_type = tar_type(content_of([each.content for each in contents]), plain.media_type)
        layers.append(
            ArtifactLayer(Descriptor(media_type, plain.digest, plain.size, notes), layer.layer.diff_id, layer.blob)
        )
    return artifact(making, layers, formats)


def _notify(kind: ModelLayer, layer: ImageLayer, making: Making) -> None:
    """Says what modctl does not read: compressed tars, and in a tar links, and paths with two dots anywhere."""
    if layer.layer.codec.name != "none":
        making.emit(
            Notice(
                f"the layer {layer.name} is in {layer.layer.codec.name}, which modctl does not read: codec: {{models: none}}"
            )
        )
    for each in kind.files:
        if each.kind is Kind.SYMLINK:
            making.emit(
                Notice(f"{show(each.path)} is a link: modctl passes over it in a tar; -o modelpack:REF has its file")
            )
        elif b".." in each.path:
            making.emit(Notice(f"{show(each.path)} has two dots in its name: modctl refuses such a tar"))


def _place(kind: ModelLayer) -> str:
    """The file of a layer; the folder of all of them, where there are several."""
    assert kind.car is not None, "it is a modelcar's"
    files = [each for each in kind.files if each.kind is not Kind.DIRECTORY]
    return show(kind.car.path(files[0].path)) if len(files) == 1 else CAR.decode()
