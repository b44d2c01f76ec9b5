"""Turns the YAML of Azure's CLI v2 into a project. `modelcrate init --from` writes it, `modelcrate deploy --local` builds it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.environment import Environment
from modelcrate.azureml.microsofts_images import curated_image
from modelcrate.azureml.projects import AzureProject, with_environment
from modelcrate.pipeline.variables import FIXED
from modelcrate.project.azure_v2 import AssetReference, V2Deployment, V2Environment, V2Model, V2Route
from modelcrate.project.azure_v2_reading import read_v2
from modelcrate.project.values import (
    Dependencies,
    Entry,
    Model,
    Project,
    RegisteredModel,
    RegistryBase,
    model_name,
    project_name,
)
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.find import read_model
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.named_file import read_source
from modelcrate_layers.patterns import compile_later

PUBLIC_REGISTRY = "azureml"
"""Microsoft's registry of models and environments, which everybody can read."""

MODELS = "/var/azureml-app/azureml-models"

_SECRET = compile_later(r"\$\{\{.*\}\}|keyvaultref:.*", re.DOTALL)
"""A value that the original replaces by a secret of the cloud."""


@dataclass(frozen=True, slots=True)
class V2Project:
    """A project for a deployment.

    Attributes:
        deployment: What the file says.
        folder: The folder that the project's paths start from.
        made: The project, and notices about what was changed.
        health: Where the container answers that it lives; None for our server's place.
        scoring: Where it answers requests; None for our server's place.
    """

    deployment: V2Deployment
    folder: Path
    made: AzureProject
    health: V2Route | None = None
    scoring: V2Route | None = None


def read_project(file: Path, workspace: WorkspaceBackend, folder: Path | None = None) -> V2Project:
    """Reads a YAML file and what it refers to.

    Args:
        file: The file of a deployment, a model or an environment.
        workspace: Where `azureml:NAME:VERSION` is looked for.
        folder: The folder of the project; None for the deepest one with all that it needs.

    Raises:
        SourceError: A file is not there.
        UserError: It has faults, or refers to what only the cloud has.
    """
    found = read_v2(file)
    folder = _folder(found, folder)
    notices: list[str] = []
    project = _begin(found, folder, notices)
    project = _with_model(project, found, folder, workspace, notices)
    environment = found.environment
    made = AzureProject(project)
    if isinstance(environment, AssetReference):
        made = with_environment(_registered(environment, workspace, notices), project)
    elif environment is not None:
        made = with_environment(_inline(environment), project)
    project = replace(made.project, env={**made.project.env, **_variables(found, notices)})
    _check_whole(project, found)
    routes = (environment.liveness, environment.scoring) if isinstance(environment, V2Environment) else (None, None)
    return V2Project(
        found,
        folder,
        AzureProject(with_relative_paths(project, folder), (*made.notices, *notices), made.logins),
        *routes,
    )


def _folder(found: V2Deployment, wanted: Path | None) -> Path:
    """Returns the folder of the project: a project's paths can't leave it."""
    needed = [Path(os.path.abspath(found.file)).parent] if wanted is None else []
    if isinstance(found.model, V2Model):
        needed.append(found.model.path if wanted is not None else found.model.path.parent)
    if found.code is not None:
        needed.append(found.code)
    if wanted is None:
        return Path(os.path.commonpath(needed))
    folder = Path(os.path.abspath(wanted))
    for each in needed:
        if not each.is_relative_to(folder):
            raise UserError(
                f"{each} is outside of the folder",
                where=str(wanted),
                hint=f"name a folder above it, such as {each.parent}",
            )
    return folder


def _name(found: V2Deployment) -> str:
    text = found.endpoint or found.name or found.file.absolute().parent.name
    return project_name(text) or "model"


def _begin(found: V2Deployment, folder: Path, notices: list[str]) -> Project:
    """Returns the project without model and environment. What a model or an environment alone lacks is detected in its folder."""
    if not found.alone:
        if not found.endpoint:
            notices.append(f"no endpoint_name: az takes it from its command line; the project is called {_name(found)}")
        return Project(_name(found), _entry(found, folder))
    from modelcrate.pipeline.detection.detect import detect

    try:
        project, findings = detect(folder)
    except (UserError, SourceError):  # nothing here is an entry script or a model
        return Project(_name(found), None)
    given = "dependencies" if found.environment is not None else "model"
    notices += [f"detected {each}" for each in findings if not each.what.startswith(("name ", given))]
    if found.environment is not None:
        return replace(project, name=_name(found), python=None, dependencies=Dependencies())
    return replace(project, name=_name(found), models=())


def _entry(found: V2Deployment, folder: Path) -> Entry | None:
    if found.code is None:
        return None
    return Entry(Path(found.script), found.code.relative_to(folder))


def _with_model(
    project: Project, found: V2Deployment, folder: Path, workspace: WorkspaceBackend, notices: list[str]
) -> Project:
    model = found.model
    if model is None:
        return project
    if isinstance(model, AssetReference):
        return replace(project, models=(_asset(model, workspace, notices),), workspace=workspace.address)
    if model.type == "triton_model":
        notices.append("model.type triton_model: Triton's server is not in the image; take a base that has it")
    version = int(model.version) if re.fullmatch(r"[1-9][0-9]{0,8}", model.version) else 1
    if model.version and str(version) != model.version:
        notices.append(f"model.version {model.version} is no number: 1 is taken, which is part of the model's path")
    name = model.name or model_name(model.path)
    return replace(project, models=(Model(model.path.relative_to(folder), name, version),))


def _asset(model: AssetReference, workspace: WorkspaceBackend, notices: list[str]) -> RegisteredModel:
    if model.registry:
        raise UserError(
            f"{model.text} is in a registry of the cloud",
            hint=f"az ml model download --registry-name {model.registry} --name {model.name} --version "
            f"{model.version or 'VERSION'}; then write model: {{path: FOLDER}}",
        )
    version = _number(model)
    if not any(True for _ in _versions(workspace, model.name, version)):
        wanted = f"{model.name}:{version}" if version else model.name
        notices.append(
            f"the model {wanted} is not in the workspace {workspace.address} yet: modelcrate model register {model.name} PATH"
        )
    return RegisteredModel(model.name, version)


def _versions(workspace: WorkspaceBackend, name: str, version: int | None) -> list[int]:
    from modelcrate.workspace.find import list_versions

    known = list_versions(workspace.tags(), name)
    return [each for each in known if version in (None, each) and read_model(workspace, name, each) is not None]


def _number(asset: AssetReference) -> int | None:
    """Returns the version of a reference; None for the latest."""
    if asset.label and asset.label.lower() != "latest":
        raise UserError(f"the label of {asset.text} is not known here", hint="name a version, or @latest")
    if not asset.version:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}", asset.version):
        raise UserError(f"the version of {asset.text} is no number", hint="versions of a workspace are 1, 2, 3")
    return int(asset.version)


def _registered(asset: AssetReference, workspace: WorkspaceBackend, notices: list[str]) -> Environment:
    """Returns an environment of our workspace, or the public image of a curated one; one of another registry says where its file can be had."""
    if asset.registry == PUBLIC_REGISTRY:
        image = curated_image(asset.name, asset.version or asset.label)
        notices.append(f"environment {asset.text}: its image {image} is the base, and has to bring all packages")
        return Environment.from_docker_image(asset.name, image)
    if asset.registry:
        version = asset.version or "VERSION"
        raise UserError(
            f"{asset.text} is in a registry of the cloud",
            hint=f"az ml environment show --registry-name {asset.registry} --name {asset.name} --version {version} -o yaml > env.yml; "
            f"then write environment: file:env.yml, or the image that it names: environment: {{image: ...}}",
        )
    try:
        found, said = Environment.find(workspace, asset.name, _number(asset))
    except SourceError as fault:
        fault.hint = f"where a file describes it, write environment: file:FILE; or {fault.hint}"
        raise
    notices += said
    return found


def _inline(environment: V2Environment) -> Environment:
    made = Environment(environment.name or "inline")
    if environment.dockerfile is not None:
        made.docker.base_dockerfile = read_source(environment.dockerfile).decode("utf-8", "replace")
    elif environment.image:
        made.docker.base_image = environment.image
    if environment.conda is None:
        made.python.user_managed_dependencies = bool(environment.image or environment.dockerfile)
    else:
        needs = made.python.conda_dependencies = CondaDependencies(_underlying_structure=environment.conda)
        needs.include(environment.conda_path.parent if environment.conda_path else Path())
    return made


def _variables(found: V2Deployment, notices: list[str]) -> dict[str, str]:
    out = {}
    for name, value in found.variables.items():
        if name in FIXED and found.code is not None:
            notices.append(f"environment_variables.{name} is left out: {FIXED[name]}")
            continue
        if _SECRET.fullmatch(value.strip()):
            notices.append(
                f"environment_variables.{name} is left out: a secret of the cloud, and none goes into an image; "
                f"at the start: modelcrate run -e {name}=..., or --env-file"
            )
            continue
        mount = found.mount_path.rstrip("/")
        moved = mount and (value == mount or value.startswith(f"{mount}/"))
        out[name] = MODELS + value[len(mount) :] if moved else value
    if found.mount_path:
        changed = ", ".join(name for name, value in out.items() if value != found.variables[name])
        notices.append(
            f"model_mount_path {found.mount_path}: models are in {MODELS}/NAME/VERSION"
            + (f"; changed so: {changed}" if changed else "; a program that looks for them there needs to be told")
        )
    return out


def _check_whole(project: Project, found: V2Deployment) -> None:
    """Refuses what has nothing that could become an image."""
    if project.entry is None and not project.models:
        if found.alone:
            hint = f"name the file of the deployment that uses it, or the folder that has them: modelcrate init FOLDER --from {found.file}"
        elif isinstance(project.base, RegistryBase):
            hint = f"run the image itself: modelcrate run {project.base}"
        else:
            hint = (
                "az takes them from its command line here; write model: azureml:NAME:VERSION, or model: {path: FOLDER}"
            )
        raise UserError(
            "has neither a model nor code, and no image follows from that", where=str(found.file), hint=hint
        )


def with_relative_paths(project: Project, folder: Path) -> Project:
    """Returns the project with paths that start from its folder, where a project file allows no others."""
    needs = project.dependencies
    house = needs.wheelhouse
    if house is None or not house.is_absolute():
        return project
    return replace(project, dependencies=replace(needs, wheelhouse=Path(os.path.relpath(house, folder))))
