"""The project file and the lock in the folder of a Dockerfile. They build the same image from the files of that folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from modelcrate.export.dockerfile_text import APP
from modelcrate.images.image import ImageLayer
from modelcrate.pipeline import compose
from modelcrate.project.values import (
    FILE_NAME,
    Base,
    Dependencies,
    Entry,
    LayoutBase,
    Model,
    Project,
    RegistryBase,
    ScratchBase,
)
from modelcrate.project.writing import project_text
from modelcrate.resolve.declared import is_lock
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import Lock, ModelPin, Pins
from modelcrate.resolve.lock_inputs import lock_inputs
from modelcrate.resolve.world import Resolved, server_requirements
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass, replace

BASE, WHEELS, CONDA, REQUIREMENTS, PYLOCK = "base", "wheels", "conda", "requirements.txt", "pylock.toml"
MODELS = f"{APP}/azureml-models"


@dataclass(frozen=True, slots=True)
class DockerfileProject:
    """A project whose files are all in one folder, and its lock."""

    project: Project
    lock: Lock

    def write(self, folder: Path) -> None:
        """Writes modelcrate.yaml and modelcrate.lock."""
        (folder / FILE_NAME).write_text(project_text(self.project), encoding="utf-8", newline="\n")
        (folder / LOCK_NAME).write_bytes(self.lock.text())


def dockerfile_project(
    project: Project, place: Path, resolved: Resolved, layers: Sequence[ImageLayer], base: Digest | None, folder: Path
) -> DockerfileProject:
    """Returns the project of the folder.

    Args:
        project: The original project.
        place: The folder of the original project.
        resolved: The base and packages of the only platform.
        layers: The layers of the image above its base.
        base: The digest of the exported base; None if the base stays in its registry.
        folder: The folder, with the models, code and packages in it.
    """
    local = replace(
        project,
        base=_base(project.base, resolved),
        python=project.python if resolved.pins.conda else resolved.below.python or project.python,
        dependencies=_dependencies(project, place, resolved, folder),
        models=tuple(_model(model.name, model.version or 0, folder) for model in project.models),
        entry=_entry(project),
        workspace=None,
    )
    pins = Pins(base or resolved.below.digest, (), resolved.pins.wheels, resolved.pins.conda)
    listed = compose.list_files(local, folder, {})
    codecs = sorted({str(layer.layer.codec) for layer in layers if not layer.foreign})
    wanted = lock_inputs(local, folder, server_requirements(local))
    return DockerfileProject(local, Lock(wanted, {str(resolved.platform): pins}, _pins(listed, layers), tuple(codecs)))


def _base(base: Base, resolved: Resolved) -> Base:
    """Returns the base. A registry's base stays in the registry, pinned by the lock; any other is exported into the folder."""
    interpreter = PurePosixPath(resolved.below.interpreter) if resolved.below.interpreter else None
    if isinstance(base, RegistryBase | ScratchBase):
        return replace(base, interpreter=interpreter)
    return LayoutBase(Path(BASE), None, interpreter)


def _dependencies(project: Project, place: Path, resolved: Resolved, folder: Path) -> Dependencies:
    conda = project.dependencies.conda
    local_conda = replace(conda, channels=(f"./{CONDA}",)) if conda is not None else None
    found = _wheels(project, place, resolved, folder)
    return replace(found, conda=local_conda, on_conflict=project.dependencies.on_conflict)


def _wheels(project: Project, place: Path, resolved: Resolved, folder: Path) -> Dependencies:
    needs = project.dependencies
    wheelhouse = Path(WHEELS) if resolved.pins.wheels else None
    if needs.pylock is not None:
        (folder / PYLOCK).write_bytes((place / needs.pylock).read_bytes())
        return Dependencies(pylock=Path(PYLOCK), wheelhouse=wheelhouse)
    lines = lock_inputs(project, place, ())["requirements"]
    if isinstance(needs.requirements, Path) and is_lock(needs.requirements):
        lines = [f"{each.name}=={each.version}" for each in resolved.pins.wheels]
    if not lines:
        return Dependencies(wheelhouse=wheelhouse)
    (folder / REQUIREMENTS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return Dependencies(Path(REQUIREMENTS), wheelhouse=wheelhouse)


def _model(name: str, version: int, folder: Path) -> Model:
    under = Path(MODELS, name, str(version))
    (top,) = (folder / under).iterdir()
    return Model(under / top.name, name, version)


def _entry(project: Project) -> Entry | None:
    if project.entry is None:
        return None
    source = compose.source_name(project, project.entry)
    if not source:
        return Entry(Path(APP, project.entry.script.name))
    return Entry(project.entry.script, Path(APP, source))


def _pins(files: compose.Files, layers: Sequence[ImageLayer]) -> tuple[ModelPin, ...]:
    """Returns the pins of the models: their files, and the diff ids of their layers in the image."""
    by_model: dict[str, list[Digest]] = {}
    for layer in layers:
        if layer.role == "model":
            by_model.setdefault(layer.name.partition(" ")[0], []).append(layer.layer.diff_id)
    return tuple(replace(pin, layers=tuple(by_model.get(f"{pin.name}:{pin.version}", ()))) for pin in files.pins)
