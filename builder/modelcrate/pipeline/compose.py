"""What goes into the image of a project, and what its container does: layers in their order, and settings. Lists files, reads none.

The order is by how often things change, seldom below and often on top: base, dependencies, server, models, entry.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelcrate.images.image_config import HEALTH_LABEL, RunSpec, environment
from modelcrate.pipeline.left_out import LeftOut, data_notices
from modelcrate.pipeline.variables import lay_over
from modelcrate.project.contracts import APP_ROOT, DEFAULT, Promise, promise
from modelcrate.project.ignore_rules import read_ignore_rules
from modelcrate.project.serving import serving_variables
from modelcrate.project.values import AnyModel, Command, HubModel, Model, Project, RegisteredModel, Role
from modelcrate.project.values import Entry as ProjectEntry
from modelcrate.resolve.lock import ModelPin
from modelcrate.resolve.world import Resolved
from modelcrate.security.scan.parts import ScanPart
from modelcrate_layers import host
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import CAR, MODELS, ROOT, ModelLayer, folder, model_layers
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.kinds.server import ServerLayer
from modelcrate_layers.packages.venv import PREFIX
from modelcrate_layers.tar.listing import CLUTTER, Listing, list_inside, list_path
from modelcrate_layers.tar.sources import FileRange, UnfetchedFile
from modelcrate_layers.tar.tree import FILE_MODE, Entry, Kind, show, symlink

if TYPE_CHECKING:
    from modelcrate.resolve.hub.folder import HubFolder
    from modelcrate.resolve.hub_pin import HubPin

_ROLES: Mapping[str, Role] = {
    "base": "base",
    "dependencies": "dependencies",
    "server": "entry",
    "model": "models",
    "entry": "entry",
}
"""Roles of layers, and those of the project file's setting `codec`."""

ANYBODY = {"HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108 - the one folder of the container that everybody may write
"""For a user that the image does not define, on a read-only root file system."""


Registered = Mapping[RegisteredModel, tuple[ReadyLayer, ...]]
"""The layers of registered models, as the workspace has them."""


@dataclass(frozen=True, slots=True)
class Files:
    """The user's files, as listed: the same for every platform."""

    named: tuple[Model | RegisteredModel, ...]
    models: tuple[tuple[ModelLayer | ReadyLayer, ...], ...]
    entry: EntryLayer | None
    notices: tuple[str, ...] = ()
    """Sentences about what was left out by rule, and what is large and looks like data."""
    hub: tuple[HubPin | None, ...] = ()
    """What pins each model that comes from a hub."""

    @property
    def pins(self) -> tuple[ModelPin, ...]:
        """The pins of the models' files for a lock. A registered model is pinned by its layers alone."""
        listed = zip(map(_pin, self.named, self.by_model), self.hub, strict=True)
        return tuple(replace(pin, hub=hub) for pin, hub in listed)

    @property
    def by_model(self) -> tuple[tuple[Entry, ...], ...]:
        """The files of each model; none of a registered one."""
        return tuple(tuple(entry for each in layers for entry in each.materials().files) for layers in self.models)

    @property
    def fingerprints(self) -> tuple[tuple[str, ...], ...]:
        """Those of each model's layers."""
        found = ((each.materials().fingerprint for each in layers) for layers in self.models)
        return tuple(tuple(filter(None, each)) for each in found)


def list_files(
    project: Project, place: Path, registered: Registered, hub: Mapping[Model, HubFolder] = MappingProxyType({})
) -> Files:
    """Lists models and entry as they are on the disk now; registered models as they are.

    Raises:
        UserError: An ignore file leaves the entry script out.
        SourceError: A file can't be read, or can't go into an image.
    """
    entry = project.entry
    top = project.command.source if project.command else entry.source if entry else None
    source = [place / top] if top is not None else []
    rules = LeftOut(read_ignore_rules([*source, place]))
    models = tuple(
        _model(model, place, registered, hub, rules, car_folder(project, model.name)) for model in project.models
    )
    made = None
    if project.command is not None and project.command.source is not None:
        program = next(iter(project.command.argv), "sources")
        listing = _command_sources(project, project.command.source, place, rules)
        made = EntryLayer.of(program, listing, _alias(project, project.command))
    if entry is not None:
        made = EntryLayer.of(_script_name(project, entry), _sources(project, entry, place, rules))
        rules.check_entry(entry.file, place)
    listed = [layer.files for layers in models for layer in layers if isinstance(layer, ModelLayer)]
    pins = tuple(hub[model].pin if isinstance(model, Model) and model in hub else None for model in project.models)
    notices = (*rules.notices(), *data_notices(made, listed))
    if host.WINDOWS:
        from modelcrate.pipeline.line_ends import line_end_notices

        packed = [entry for entries in (made.sources.entries if made else (), *listed) for entry in entries]
        notices = (*notices, *line_end_notices(place, packed))
    return Files(placed_models(project), models, made, notices, pins)


def placed_models(project: Project) -> tuple[Model | RegisteredModel, ...]:
    """Returns the models of a project whose models have been chosen: none is of a hub any more."""
    return tuple(model for model in project.models if not isinstance(model, HubModel))


def scan_parts(project: Project, folder: Path, files: Files) -> Iterator[ScanPart]:
    """Yields what the gates look at, without the registered models, which have no files here."""
    for model, entries, fingerprints in zip(project.models, files.by_model, files.fingerprints, strict=True):
        if isinstance(model, Model):
            yield ScanPart(folder / model.path, entries, fingerprints, True)
    if files.entry is not None and project.entry is not None:
        top, made = folder / (project.entry.source or project.entry.file), files.entry
        yield ScanPart(top, made.sources.entries, (made.fingerprint,), False)
    if files.entry is not None and project.command is not None and project.command.source is not None:
        made = files.entry
        yield ScanPart(folder / project.command.source, made.sources.entries, (made.fingerprint,), False)


def serving(project: Project) -> Promise | None:
    """What the image promises to its platforms; nothing, where it starts nothing."""
    if project.entry is None:
        return None
    ours = promise(project.contracts)
    return ours if project.server == "modelcrate" else _original(ours, _script_name(project, project.entry))


def _original(ours: Promise, script: str) -> Promise:
    """The same, kept by Microsoft's own server: a wheel of the image, which takes its script as an argument."""
    env = tuple((name, value) for name, value in ours.env if name != "PYTHONPATH")
    return replace(ours, env=env, argv=(f"{PREFIX}/bin/azmlinfsrv", "--entry_script", script), files=())


def kinds(project: Project, resolved: Resolved, files: Files) -> tuple[LayerKind, ...]:
    """Returns the layers that we make, lowest first."""
    out: list[LayerKind] = [*resolved.below.kinds, *resolved.dependencies]
    if (served := serving(project)) is not None and served.files:
        server = ServerLayer(served.files)
        out += [server, *_bytecode(resolved, server, checked=False)]
    out += [layer for layers in files.models for layer in layers]
    if files.entry is not None:
        out += [files.entry, *_bytecode(resolved, files.entry, checked=True)]
    return tuple(out)


def _bytecode(resolved: Resolved, of: LayerKind, *, checked: bool) -> Iterator[LayerKind]:
    """Yields the bytecode of a layer, if the image is to have it. `checked` as in `BytecodeLayer`."""
    if resolved.below.compiler is not None:
        from modelcrate_layers.kinds.bytecode import BytecodeLayer

        yield BytecodeLayer(of, resolved.below.compiler, checked)


def policies(project: Project) -> dict[str, str]:
    """The codec setting of every role. What KServe reads is never in zstd."""
    found: dict[str, str] = {role: project.codecs.of(named) for role, named in _ROLES.items()}
    return {**found, "model": "none"} if project.modelcar and found["model"] == "auto" else found


def car_folder(project: Project, name: str) -> bytes:
    """Returns the folder of a model for KServe: one for all files where there is one model; empty where the image is no modelcar."""
    if not project.modelcar:
        return b""
    return CAR + b"/" + name.encode() if len(project.models) > 1 else CAR


def run_spec(project: Project, resolved: Resolved) -> RunSpec:
    """Returns the container's settings: ours over the base's, the project's over ours."""
    served = serving(project)
    if project.command is not None:
        return _command_spec(project, project.command, resolved)
    if served is None:
        return RunSpec(env=dict(project.env), user=project.user, labels=project.labels)
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", **environment(resolved.below.config)}
    paths = ":".join([f"{PREFIX}/bin", *served.path])
    image = {
        **ANYBODY,
        **_cuda(resolved),
        **dict(served.env),
        "PATH": paths,
        **_azure(project),
        **_named(project),
        **serving_variables(project.serving),
    }
    env = lay_over(image, base, project.env)
    return RunSpec(served.argv, env, served.ports, project.user, served.working_dir, project.labels, "SIGTERM")


def _cuda(resolved: Resolved) -> dict[str, str]:
    if not any(wheel.name.startswith(("nvidia-", "torch")) for wheel in resolved.pins.wheels):
        return {}
    from modelcrate.resolve.cuda import cuda_variables

    return cuda_variables(resolved.pins.wheels, environment(resolved.below.config))


def _command_spec(project: Project, command: Command, resolved: Resolved) -> RunSpec:
    """Returns the settings of a container that starts a program of the project's own."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", **environment(resolved.below.config)}
    sources = f"{APP_ROOT}/{command_folder(project)}" if command.source is not None else ""
    image = {**ANYBODY, **_cuda(resolved), "PYTHONUNBUFFERED": "1", **model_folder(project)}
    if resolved.target is not None:
        image["PATH"] = f"{PREFIX}/bin"
    if sources:
        image["PYTHONPATH"] = sources
    labels = {**({HEALTH_LABEL: command.health} if command.health else {}), **project.labels}
    folder = str(command.workdir) if command.workdir is not None else sources
    env = lay_over(image, base, project.env)
    return RunSpec(command.argv, env, command.ports, project.user, folder, labels, "SIGTERM")


def command_folder(project: Project) -> str:
    """What the folder of a command's sources is called in the image."""
    assert project.command is not None and project.command.source is not None  # noqa: PT018
    return project.command.source.name or project.name


def _alias(project: Project, command: Command) -> tuple[Entry, ...]:
    """The link to a command's sources from where an orchestrator looks for them."""
    if command.alias is None:
        return ()
    target = os.fsencode(f"{APP_ROOT}/{command_folder(project)}")
    return (symlink(os.fsencode(str(command.alias).lstrip("/")), target),)


def _command_sources(project: Project, source: Path, place: Path, rules: LeftOut) -> Listing:
    under = ROOT + b"/" + os.fsencode(command_folder(project))
    return list_inside(place / source, under, CLUTTER, _apart(project, place), rules.in_sources)


def _apart(project: Project, place: Path) -> frozenset[str]:
    """What a folder of sources does not take along: models and wheels, which have layers of their own."""
    house = project.dependencies.wheelhouse
    apart = [place / model.path for model in project.models if isinstance(model, Model)]
    return frozenset(map(str, [*apart, *([place / house] if house else [])]))


def model_folder(project: Project) -> dict[str, str]:
    """Returns the variable with the folder of the models, by Azure's convention: one model's own, or the root of several."""
    root = "/" + MODELS.decode()
    one = project.models[0] if len(project.models) == 1 else None
    if not project.models:
        return {}
    return {"AZUREML_MODEL_DIR": f"{root}/{one.name}/{one.version}" if one else root}


def _azure(project: Project) -> dict[str, str]:
    """The variables that entry scripts look at, by Azure's conventions. The folder of models is named without a model, too."""
    out = {"AZUREML_MODEL_DIR": "/" + MODELS.decode(), **model_folder(project)}
    if project.entry is not None:
        source = source_name(project, project.entry)
        out["AZUREML_ENTRY_SCRIPT"] = _script_name(project, project.entry)
        if source:
            out["AZUREML_SOURCE_DIRECTORY"] = source
    return out


def _named(project: Project) -> dict[str, str]:
    """What the model is called by protocols that name one: as the only model, else as the project. Azure's doesn't."""
    if project.contracts == (DEFAULT,):
        return {}
    one = project.models[0] if len(project.models) == 1 else None
    name, version = (one.name, one.version) if one else (project.name, 1)
    return {"MODELCRATE_MODEL_NAME": name, "MODELCRATE_MODEL_VERSION": str(version)}


def _script_name(project: Project, entry: ProjectEntry) -> str:
    """Returns the path of the entry script below the app's root. A script without a folder goes there under its base name."""
    if entry.source is None:
        return entry.script.name
    return (Path(source_name(project, entry)) / entry.script).as_posix()


def source_name(project: Project, entry: ProjectEntry) -> str:
    """What the source folder is called in the image; empty for a script that goes alone."""
    return "" if entry.source is None else entry.source.name or project.name


def import_roots(project: Project) -> tuple[str, ...]:
    """Returns the folders below the app's root from which the server imports modules; empty for the root itself.

    They are the source folder, the root, and what the project adds to PYTHONPATH below it.
    """
    source = source_name(project, project.entry) if project.entry is not None else ""
    added = (posixpath.normpath(each) for each in project.env.get("PYTHONPATH", "").split(":") if each)
    below = [each.removeprefix(APP_ROOT).lstrip("/") for each in added if is_below_root(each)]
    if project.command is not None:
        return tuple(
            dict.fromkeys((*below, *([command_folder(project)] if project.command.source is not None else [])))
        )
    return tuple(dict.fromkeys((*below, source, "")))


def is_below_root(folder: str) -> bool:
    """Returns whether a folder of the image is the app's root or below it."""
    return f"{posixpath.normpath(folder)}/".startswith(f"{APP_ROOT}/")


def _sources(project: Project, entry: ProjectEntry, place: Path, rules: LeftOut) -> Listing:
    if entry.source is None:
        return list_path(place / entry.script, ROOT)
    under = ROOT + b"/" + os.fsencode(source_name(project, entry))
    top = place / entry.source
    return list_inside(top, under, CLUTTER, _apart(project, place), rules.in_sources)


def _model(
    model: AnyModel,
    place: Path,
    registered: Registered,
    hub: Mapping[Model, HubFolder],
    rules: LeftOut,
    car: bytes,
) -> tuple[ModelLayer | ReadyLayer, ...]:
    """Returns a model's layers. `car` is its folder in a modelcar, if the image is to be one, too."""
    if isinstance(model, RegisteredModel):
        return registered[model]
    assert isinstance(model, Model), "`choose_models` has made a folder of it"
    if model in hub:
        return model_layers(model.name, model.version, list_hub_model(model, hub[model]), car)
    listed = list_path(place / model.path, folder(model.name, model.version), ignored=rules.in_models)
    if all(each.kind is Kind.DIRECTORY for each in listed.entries):
        rules.check_model(model.path, place)
    return model_layers(model.name, model.version, listed, car)


def list_hub_model(model: Model, found: HubFolder) -> Listing:
    """Lists a model of a hub. No file of it is a program, whatever the tool that has downloaded it has thought."""
    listed = list_path(model.path, folder(model.name, model.version), follow=found.places)

    def entry(each: Entry) -> Entry:
        source = each.source
        if not isinstance(source, FileRange):
            return each
        if source.path in found.unfetched:
            source = UnfetchedFile(*source)
        return each._replace(mode=FILE_MODE, source=source)

    return Listing(tuple(map(entry, listed.entries)))


def _pin(model: Model | RegisteredModel, entries: Sequence[Entry]) -> ModelPin:
    assert model.version is not None, "`prepare` fills it in"
    above = folder(model.name, model.version) + b"/"
    files = [(show(each.path.removeprefix(above)), each.size) for each in entries if each.kind is Kind.FILE]
    return ModelPin(model.name, model.version, tuple(sorted(files)), ())
