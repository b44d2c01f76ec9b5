"""Projects without an entry script: the model decides the script, its description and the packages, and the build reports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from modelcrate import modelfiles
from modelcrate.config import Config
from modelcrate.modelfiles.framework_reading import (
    NO_FILES,
    FileFacts,
    ModelDescription,
    describe_model,
    read_file_model,
    read_registered_model,
    unpacked,
)
from modelcrate.modelfiles.frameworks import FrameworkModel
from modelcrate.pipeline.choose_models import ChosenModels
from modelcrate.pipeline.compose import Registered, list_hub_model, placed_models
from modelcrate.pipeline.model_versions import family, judge, lacking, mismatches
from modelcrate.project.values import DebianBase, Dependencies, Entry, Model, Project, RegisteredModel
from modelcrate.resolve.world import World, wheel_note
from modelcrate.transports.connections import Connections
from modelcrate_layers.atomic import remove
from modelcrate_layers.atomic import write_file as write
from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.tree import Entry as Listed

SOURCE = "served"
"""What the folder with the script is called in the image."""

MODEL_FILE = "MODELCRATE_MODEL_FILE"
"""The variable with the path of the model's file, below AZUREML_MODEL_DIR."""


@dataclass(frozen=True, slots=True)
class AutoServed:
    """The project as it is built; what was assumed, in sentences; the packages that its script can't do without; modules that go with it."""

    project: Project
    notices: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    own: tuple[Path, ...] = ()


def complete(chosen: ChosenModels, place: Path, config: Config) -> AutoServed:
    """Returns the project completed by its model. A project that has a script, or starts nothing, is unchanged."""
    project, registered = chosen.project, chosen.registered
    if not project.served_by_model:
        return AutoServed(project)
    if len(project.models) != 1:
        raise UserError(
            f"{len(project.models)} models and no entry script",
            hint="one model can do without a script; for several, write one and name it: entry: score.py",
        )
    (model,) = placed_models(project)
    listed = (
        list_hub_model(model, chosen.hub[model]).entries if isinstance(model, Model) and model in chosen.hub else ()
    )
    described = reading_of(model, place, registered, config, listed)
    served = described.understood or _refusal(model, place, registered)
    needs, how = _dependencies(project.dependencies, served)
    python, which = _python(project, served)
    from modelcrate.pipeline.start_check.own_modules import own_modules

    own = own_modules(described, place)
    taken = [
        f"it takes {path.relative_to(place)} along, because {described.pickles[0].where} names {name}"
        for name, path in own.items()
    ]
    made = replace(
        project,
        entry=Entry(Path(served.template), _written(served, own, config)),
        python=python,
        dependencies=needs,
        env={MODEL_FILE: served.file, **project.env},
    )
    first = f"no entry script: {served.template} serves it as {served.framework}, with {how}"
    named = tuple(_name(line) for line in served.requirements)
    return AutoServed(
        made,
        tuple(f"{_shown(model)}: {line}" for line in (first, *served.assumed, *which, *taken)),
        named,
        tuple(own.values()),
    )


def read_models(
    completed: AutoServed,
    place: Path,
    registered: Registered,
    config: Config,
    listed: Sequence[Sequence[Listed]],
    facts: FileFacts,
) -> tuple[ModelDescription, ...]:
    """Returns the descriptions of the models. A registered model is not read where the project has a script: it may be far away.

    Args:
        completed: The project with the script and the requirements that were generated for it.
        place: The folder of the project.
        registered: The models that come from a registry.
        config: The settings of this run.
        listed: Each model's files, in the order of the models, so that no folder is listed twice.
        facts: The facts in the files that the gates have read, so that no pickle is followed twice.
    """
    both = zip(placed_models(completed.project), listed, strict=True)
    read = [each for each in both if isinstance(each[0], Model) or completed.needs]
    return tuple(reading_of(model, place, registered, config, files, facts) for model, files in read)


def check_model_versions(
    completed: AutoServed, models: Sequence[ModelDescription], world: World, connections: Connections
) -> tuple[str, ...]:
    """Holds the versions that the models name to those of the image; returns what is only a notice.

    Raises:
        UserError: A version does not fit, and loading is known to fail or the project refuses it.
    """
    gate, pinned = completed.project.gates.versions, world.packages
    if gate == "allow":
        return ()
    note = partial(wheel_note, world=world, connections=connections)
    found = list(mismatches((each for model in models for each in model.versions), pinned, note, gate))
    certain = [*lacking(completed.needs, pinned), *(fault for fault, fails in found if fails)]
    pickles = [each for model in models for each in model.pickles]
    if pickles or "numpy" in pinned:
        from modelcrate.pipeline.known_failures import binary_faults, loading_faults

        certain += [*binary_faults(pinned), *loading_faults(pickles, pinned, note)]
    return judge(gate, [fault for fault, fails in found if not fails], certain)


def reading_of(
    model: Model | RegisteredModel,
    place: Path,
    registered: Registered,
    config: Config,
    listed: Sequence[Listed] = (),
    facts: FileFacts = NO_FILES,
) -> ModelDescription:
    """Returns the description of a model."""
    if isinstance(model, Model):
        return read_file_model(model, place, config, listed, facts)
    return read_registered_model(str(model), registered[model], config)


def _refusal(model: Model | RegisteredModel, place: Path, registered: Registered) -> FrameworkModel:
    """Reads a model once more, for the error, which is not remembered."""
    from modelcrate.modelfiles.framework_files import ModelFiles

    if isinstance(model, Model):
        return describe_model(ModelFiles.of(place / model.path))
    with unpacked(str(model), registered[model]) as files:
        return describe_model(files)


def _dependencies(given: Dependencies, served: FrameworkModel) -> tuple[Dependencies, str]:
    """Returns the dependencies and their words. The project's own lines go before the model's; a file or a lock is taken alone."""
    if given.pylock is not None or isinstance(given.requirements, Path):
        return given, str(given.pylock or given.requirements)
    named = {family(_name(line)) for line in given.requirements}
    lines = (*given.requirements, *(line for line in served.requirements if family(_name(line)) not in named))
    if not any(_name(line) == "numpy" for line in lines) and any(map(_needs_old_numpy, lines)):
        lines = (*lines, "numpy<2")
    return replace(given, requirements=lines), ", ".join(lines)


def _needs_old_numpy(line: str) -> bool:
    """Returns whether a requirement names one version, which is built for numpy 1 and does not say so."""
    from modelcrate.pipeline.known_failures import numpy_needed

    name, equal, version = line.partition("==")
    return bool(equal) and numpy_needed(_name(name), version.strip())


def _name(line: str) -> str:
    from modelcrate.resolve.requirements import package_of

    return package_of(line)


def _python(project: Project, served: FrameworkModel) -> tuple[str | None, Sequence[str]]:
    """Returns the Python that made the model, where the base can have it: a pickle of functions holds bytecode."""
    if not served.python or project.python or not isinstance(project.base, DebianBase) or project.base.release:
        return project.python, ()
    from modelcrate.resolve.debian.releases import nearest_python

    found = nearest_python(served.python)
    if found == served.python:
        return found, (f"Python {found}, which made it",)
    taken = f"{found}, the nearest," if found else "the default's"
    return found, (f"it was made with Python {served.python}, which no release of Debian has; {taken} is taken",)


def _written(served: FrameworkModel, own: Mapping[str, Path], config: Config) -> Path:
    """Writes the script, its description and the project's own modules into a folder of the home that is named by their digest."""
    from modelcrate.pipeline.start_check.own_modules import read_module
    from modelcrate_server.described import SCHEMA_FILE

    script = (Path(modelfiles.__file__).parent / "scripts" / served.template).read_bytes()
    schema = canonical_json({"input": dict(served.takes), "output": dict(served.gives)}) + b"\n"
    files = {served.template: script, SCHEMA_FILE: schema, **dict(chain.from_iterable(map(read_module, own.values())))}
    digests = [Digest.of(script).hex, Digest.of(schema).hex]
    if own:
        digests += [f"{name} {Digest.of(data).hex}" for name, data in sorted(files.items())]
    folder = config.home / "entries" / Digest.of(canonical_json(digests)).hex[:32] / SOURCE
    with as_machine_error(folder):
        if not _holds(folder, files):
            remove(folder)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / name).exists():
                write(folder / name, data)
    return folder.absolute()


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Returns whether a folder has nothing but these files, with these bytes, and the folders that they are in."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    folders = {parent.as_posix() for name in files for parent in Path(name).parents} - {"."}
    if found.keys() != files.keys() | folders or any(path.is_symlink() for path in found.values()):
        return False
    return all(found[name].is_file() and found[name].read_bytes() == data for name, data in files.items())


def _shown(model: Model | RegisteredModel) -> str:
    if not isinstance(model, Model):
        return str(model)
    return model.name if model.path.is_absolute() else str(model.path)
