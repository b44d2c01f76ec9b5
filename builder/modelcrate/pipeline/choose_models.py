"""The models of a project that are not in its folder: registered ones, with their layers, and those of a hub, as folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.project.values import AnyModel, HubModel, Model, Project, RegisteredModel
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import Lock, read_lock
from modelcrate.transports.connections import Connections
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.kinds.ready import ReadyLayer

if TYPE_CHECKING:
    from modelcrate.pipeline.compose import Registered
    from modelcrate.resolve.hub.folder import HubFolder


@dataclass(frozen=True, slots=True)
class ChosenModels:
    """A project with every model at a place and a version.

    Attributes:
        project: The project. A model of a hub has become a model in a folder of the cache.
        registered: The layers of registered models.
        hub: The models of hubs, by what they have become.
    """

    project: Project
    registered: Registered = field(default_factory=dict, hash=False)
    hub: Mapping[Model, HubFolder] = field(default_factory=dict, hash=False)

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about what was taken of models of a hub."""
        return tuple(notice for each in self.hub.values() for notice in each.notices)


@dataclass(frozen=True, slots=True)
class GivenModels:
    """Models that are at hand, by what the project names: registered ones with their layers, and those of hubs as folders."""

    registered: Mapping[AnyModel, tuple[RegisteredModel, tuple[ReadyLayer, ...]]] = field(
        default_factory=dict, hash=False
    )
    hub: Mapping[AnyModel, tuple[Model, HubFolder]] = field(default_factory=dict, hash=False)


def choose_models(
    project: Project,
    folder: Path,
    connections: Connections,
    use_lock: bool,
    *,
    fetch: bool,
    given: GivenModels | None = None,
) -> ChosenModels:
    """Returns the project with the version of every registered model, and with the models of hubs on this machine.

    The default version and the commit of a branch are those of the lock, if it has them, else the latest.

    Args:
        project: The project.
        folder: Its folder.
        connections: The connections of the run.
        use_lock: Whether the lock beside the project counts.
        fetch: Whether models of a hub are fetched as a whole.
        given: Models that are at hand; then no workspace and no hub is asked.
    """
    if all(isinstance(model, Model) for model in project.models):
        return ChosenModels(project)
    lock = read_lock(folder / LOCK_NAME) if use_lock else None
    if given is None:
        registered = _registered(project, folder, connections, lock)
        hub = _of_hubs(project, connections, lock, fetch=fetch)
        given = GivenModels(registered, hub)
    models = tuple(
        given.registered[model][0] if model in given.registered else given.hub.get(model, (model,))[0]
        for model in project.models
    )
    return ChosenModels(replace(project, models=models), dict(given.registered.values()), dict(given.hub.values()))


def _registered(
    project: Project, folder: Path, connections: Connections, lock: Lock | None
) -> dict[AnyModel, tuple[RegisteredModel, tuple[ReadyLayer, ...]]]:
    wanted = [model for model in project.models if isinstance(model, RegisteredModel)]
    if not wanted:
        return {}
    from modelcrate.workspace.find import get_model, open_layers
    from modelcrate.workspace.opening import open_workspace

    backend = open_workspace(project.workspace or "", connections, folder)
    locked = {pin.name: pin.version for pin in lock.models} if lock is not None else {}
    found: dict[AnyModel, tuple[RegisteredModel, tuple[ReadyLayer, ...]]] = {}
    for model in wanted:
        record = get_model(backend, model.name, model.version or locked.get(model.name))
        found[model] = RegisteredModel(record.name, record.version), open_layers(backend, record)
    return found


def _of_hubs(
    project: Project, connections: Connections, lock: Lock | None, *, fetch: bool
) -> dict[AnyModel, tuple[Model, HubFolder]]:
    wanted = [model for model in project.models if isinstance(model, HubModel)]
    if not wanted:
        return {}
    from modelcrate.resolve.hub.folder import provide_model

    pins = {(pin.name, pin.version): pin.hub for pin in lock.models} if lock is not None else {}
    found: dict[AnyModel, tuple[Model, HubFolder]] = {}
    for model in wanted:
        folder = provide_model(model, pins.get((model.name, model.version)), connections, fetch=fetch)
        found[model] = Model(folder.path, model.name, model.version), folder
    return found
