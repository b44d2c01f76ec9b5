"""The registered models of a project: which version of each, and their layers as they are in the workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.project.values import Model, Project, RegisteredModel
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import read_lock
from modelcrate.transports.connections import Connections
from modelcrate_layers.kinds.ready import ReadyLayer

if TYPE_CHECKING:
    from modelcrate.pipeline.compose import Registered


def choose_models(
    project: Project, folder: Path, connections: Connections, use_lock: bool
) -> tuple[Project, Registered]:
    """Returns the project with the version of every registered model, and their layers. The default is the locked version, else the latest."""
    if not any(isinstance(model, RegisteredModel) for model in project.models):
        return project, {}
    from modelcrate.workspace.find import get_model, open_layers
    from modelcrate.workspace.opening import open_workspace

    backend = open_workspace(project.workspace or "", connections, folder)
    lock = read_lock(folder / LOCK_NAME) if use_lock else None
    locked = {pin.name: pin.version for pin in lock.models} if lock is not None else {}
    models: list[Model | RegisteredModel] = []
    found: dict[RegisteredModel, tuple[ReadyLayer, ...]] = {}
    for model in project.models:
        if isinstance(model, RegisteredModel):
            record = get_model(backend, model.name, model.version or locked.get(model.name))
            model = RegisteredModel(record.name, record.version)
            found[model] = open_layers(backend, record)
        models.append(model)
    return replace(project, models=tuple(models)), found
