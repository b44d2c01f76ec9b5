"""Writes a model alone, without a project: a file or folder, or a registered model, in any shape or as an image over nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from modelcrate.export.model_shapes import ShapeOutput
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.session import Session
from modelcrate.project.values import Model, Project, RegisteredModel, ScratchBase, model_name
from modelcrate.transports.output import Delivered, Output
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import SourceError, UserError

PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
"""A model runs nowhere, but engines ask for an image of their own platform."""


def export_model(
    model: Path | RegisteredModel,
    outputs: Sequence[Output],
    session: Session,
    workspace: str = "",
    platforms: Sequence[Platform] = PLATFORMS,
) -> tuple[Delivered, ...]:
    """Writes a model to outputs. The gates look at it as in every build.

    Args:
        model: A file or folder, or a registered model.
        outputs: Where it goes: shapes, or any other outputs for an image with the model where Azure's scripts look.
        session: Prepares it, and builds an image where one is wanted; it is open.
        workspace: Where the registered model is.
        platforms: The platforms that its image is for.

    Returns:
        What was written, in the order of the outputs.

    Raises:
        UserError: No output is named.
        SourceError: There is no such model, or it does not pass the gates.
    """
    if not outputs:
        raise UserError("no output is named", hint="name one: -o modelcar:HOST/REPOSITORY:TAG")
    wanted: Model | RegisteredModel = model if isinstance(model, RegisteredModel) else _at(model)
    project = Project(
        wanted.name, None, (wanted,), base=ScratchBase(), platforms=tuple(platforms), workspace=workspace or None
    )
    place = wanted.path.parent if isinstance(wanted, Model) else Path.cwd()
    request = Request(project, place, tuple(outputs), use_lock=False)
    shapes = [each for each in outputs if isinstance(each, ShapeOutput)]
    if len(shapes) < len(outputs):
        return session.build(request).receipt.outputs
    prepared = session.prepare(request)  # no image is made, for which the model would be read once more
    return tuple(each.prepared(prepared).write(None, session.connections, session.emit) for each in shapes)


def _at(path: Path) -> Model:
    place = Path(os.path.abspath(path))  # a folder such as "." has a name, too
    if not place.exists():
        raise SourceError(
            "the model is not there", where=str(path), hint="name a file or folder, or a registered model: NAME:VERSION"
        )
    return Model(place, model_name(place) or "model", 1)
