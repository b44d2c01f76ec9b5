"""The files of Azure's CLI v1: `az ml model deploy --ic inferenceconfig.json --dc deploymentconfig.json`, and `az ml model package`.

The first says what is served, the others beside it where; JSON and YAML are the same to the CLI.
https://learn.microsoft.com/azure/machine-learning/v1/reference-azure-machine-learning-cli has the keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate.azureml.environment import Environment
from modelcrate.azureml.inference_config import RUNTIMES
from modelcrate.azureml.projects import with_environment
from modelcrate.azureml.sections import DockerImagePlatform
from modelcrate.azureml.v2_projects import with_relative_paths
from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import (
    FOR_READERS,
    NO_CUDA,
    OCI,
    OWN_BASE,
    RUNS_ELSEWHERE,
    inside,
    keep_variables,
    take_labels,
)
from modelcrate.importers.reading import Reading, load_mapping
from modelcrate.pipeline.detection.detect import detect_models
from modelcrate.pipeline.detection.detect_dependencies import find_dependencies
from modelcrate.pipeline.detection.detect_files import list_files
from modelcrate.project.pages import page
from modelcrate.project.values import Entry, Model, Project, project_name
from modelcrate_layers.errors import CrateError, SourceError, UserError, placed
from modelcrate_layers.frozen import replace
from modelcrate_layers.named_file import read_source

TOOL = "Azure Machine Learning"
NAMES = ()  # the CLI takes any name, so the keys say what it is

ENTRY, SOURCE, COMPUTE = "entryScript", "sourceDirectory", "computeType"
_ENDINGS = frozenset({".json", ".yml", ".yaml"})
_UNKNOWN = "Azure's CLI v1 has no such key that this version of modelcrate knows"
_LABELS = {"description": f"{OCI}.description"}
_OTHERS = {"schemaFile": "the description of requests at /swagger.json follows from the script"}
_OLD = (
    *("condaFile", "extraDockerfileSteps", "extraDockerFileSteps", "enableGpu"),
    *("cudaVersion", "baseImage", "baseImageRegistry"),
)
"""Keys that do not count where there is an environment."""

_OF_TRAINING = "it is about training runs"
_REGISTERED = "it is about the registered environment"
_KEYS = f"who stands before the container asks for keys: {page('next-steps/tls')}"
_OF_ENVIRONMENT = {
    "version": _REGISTERED,
    "assetId": _REGISTERED,
    "inferencingStackVersion": "the image has modelcrate's own server",
    **dict.fromkeys(("spark", "databricks", "r"), f"an image of ours has none of it; {OWN_BASE}"),
}
_OF_DOCKER = {
    **dict.fromkeys(("enabled", "sharedVolumes", "gpuSupport"), _OF_TRAINING),
    **dict.fromkeys(("shmSize", "arguments"), "it is given at the start: modelcrate run --help"),
    "buildContext": OWN_BASE,
}
_OF_DEPLOYMENT = {
    "computeType": "modelcrate run starts the image here, and modelcrate emit aci or k8s REFERENCE prints the file for it there",
    "port": "at the start: modelcrate run -p PORT:5001",
    "containerResourceRequirements": "at the start: modelcrate run --cpus 1 -m 1g, and modelcrate emit takes the same",
    "scoringTimeoutMs": "in the project file: server: {timeout: 5s}",
    "maxConcurrentRequestsPerContainer": "in the project file: server: {threads: 2}",
    "livenessProbeRequirements": "ask the container: GET / on port 5001",
    "appInsightsEnabled": page("next-steps/monitoring"),
    "dataCollection": page("next-steps/collect-data"),
    **dict.fromkeys(
        (
            *("authEnabled", "tokenAuthEnabled", "keys", "dnsNameLabel", "cname", "sslEnabled"),
            *("sslCertificate", "sslKey", "sslCname", "sslCertPemFile", "sslKeyPemFile"),
        ),
        _KEYS,
    ),
    **dict.fromkeys(
        (
            *("autoScaler", "numReplicas", "maxQueueWaitMs", "gpuCores", "namespace", "location", "vnetName"),
            *("subnetName", "cmkVaultBaseUrl", "cmkKeyName", "cmkKeyVersion", "type", "trafficPercentile", "isDefault"),
        ),
        RUNS_ELSEWHERE,
    ),
    **dict.fromkeys(("tags", "properties", "description", "name"), FOR_READERS),
}


def recognises(data: Mapping[str, object]) -> bool:
    """Returns whether a mapping is one of the two configurations."""
    return ENTRY in data or str(data.get(COMPUTE)).lower() in ("aci", "aks", "aksendpoint", "local")


def read(file: Path) -> Imported:
    """Reads an inference configuration with the deployment configurations beside it, or a deployment configuration with the other one.

    Raises:
        SourceError: A file can't be read, or the entry script is not there.
        UserError: It has faults, or no inference configuration is beside it.
    """
    deployments = list(_beside(file, COMPUTE))
    if ENTRY not in load_mapping(file):
        deployments, file = [file], _inference_beside(file)
    reading = Reading(file, TOOL)
    keys = reading.keys(reading.load(), unknown=_UNKNOWN)
    folder, entry = _entry(keys)
    project = Project(project_name(folder.name) or "model", entry, _models(keys, folder, entry.file))
    project = _with_environment(keys, project, entry, folder)
    project = replace(project, labels={**project.labels, **take_labels(keys, _LABELS)})
    keys.leave_all(_OTHERS)
    for path in deployments:
        reading.keys(load_mapping(path), f"{path.name}.", _UNKNOWN).leave_all(_OF_DEPLOYMENT)
    return reading.finish(with_relative_paths(project, folder), folder=folder)


def _beside(file: Path, key: str) -> Iterator[Path]:
    """Yields the other configurations in the folder of a file that have a key."""
    for path in sorted(file.absolute().parent.iterdir()):
        if path.name != file.name and path.suffix in _ENDINGS and path.is_file():
            with suppress(CrateError):  # it is something else, and not this file's
                if key.encode() in read_source(path) and recognises(data := load_mapping(path)) and key in data:
                    yield path


def _inference_beside(file: Path) -> Path:
    found = list(_beside(file, ENTRY))
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.name for each in found)
    raise UserError(
        f"says where a service runs, and what it serves is in {f'one of {names}' if found else 'no file beside it'}",
        where=str(file),
        hint=f"name the file with {ENTRY}, which az took as --ic",
    )


def _entry(keys: Keys) -> tuple[Path, Entry]:
    """Returns the folder of the project and the entry. The CLI's paths start where it is called: at the nearest place above that has the script."""
    top = Path(os.path.abspath(keys.reading.file)).parent
    source, script = inside(keys, keys.text(SOURCE) or "."), inside(keys, keys.text(ENTRY))
    if source is None or script is None:
        raise keys.reading.faults[0]
    folder = next((each for each in (top, *top.parents) if (each / source / script).is_file()), None)
    if folder is None:
        raise SourceError(
            f"the entry script {source / script} is not there",
            where=str(keys.reading.file),
            hint=f"az looked for it where it was called; here it is looked for in {top}, and in the folders above",
        )
    keys.take(ENTRY, f"entry: script: {script}")
    beside = keys.texts("dependencies")
    if keys.take(SOURCE, f"entry: source: {source}") or not beside:
        keys.leave("dependencies", f"{SOURCE} has them")
        return folder, Entry(script, source if keys.is_told(SOURCE) and SOURCE in keys else None)
    keys.take("dependencies", "entry: source: ., the whole folder")
    return folder, Entry(script, source)


def _models(keys: Keys, folder: Path, script: Path) -> tuple[Model, ...]:
    """Returns the models of the folder; the CLI takes them from its command line."""
    models, findings = detect_models(folder, list_files(folder), script)
    if models:
        keys.reading.notices += [f"detected {each}" for each in findings]
        return models
    keys.reading.notices.append(
        "no model is here, and az takes it from its command line, -m NAME:VERSION: put it into the folder and write models: [PATH], "
        "or models: [{registered: NAME}] for one of the workspace"
    )
    return ()


def _with_environment(keys: Keys, project: Project, entry: Entry, folder: Path) -> Project:
    """Returns the project with the environment that is described; without one, with the dependencies that the folder declares."""
    places = [folder / (entry.source or ""), folder]  # as InferenceConfig has it
    section = keys.mapping("environment")
    environment = _old_environment(keys, places) if section is None else _environment(section, places)
    keys.leave_all(dict.fromkeys(_OLD, "it does not count beside an environment"))
    if environment is None:
        needs, findings = find_dependencies(folder, list_files(folder), entry)
        keys.reading.notices += [f"detected {each}" for each in findings]
        return replace(project, dependencies=needs)
    with placed(str(keys.reading.file)):
        made = with_environment(environment, project)
    keys.reading.notices += made.notices
    return made.project


def _old_environment(keys: Keys, places: Sequence[Path]) -> Environment | None:
    """Returns what the keys from before environments say; None for nothing, where the folder's own dependencies are taken."""
    made = Environment("inference")
    if runtime := keys.text("runtime"):
        keys.take("runtime", "the image has Python")
        if runtime != RUNTIMES[0]:
            keys.reading.fault(f"the runtime {runtime[:40]} is not Python", "there is no Spark in an image of ours")
    conda, image = keys.text("condaFile"), _base(keys, made)
    if conda and (found := _file(keys, conda, places)):
        made.python.conda_dependencies = CondaDependencies(str(found))
        keys.take("condaFile", "python and dependencies")
    keys.leave("enableGpu", NO_CUDA)
    keys.leave("cudaVersion", NO_CUDA)
    for steps in ("extraDockerfileSteps", "extraDockerFileSteps"):
        keys.leave(steps, f"no command runs while an image is made: {OWN_BASE}")
    return made if conda or image else None


def _environment(section: Keys, places: Sequence[Path]) -> Environment | None:
    name = section.text("name")
    section.leave("name", _REGISTERED)
    python, docker = section.mapping("python"), section.mapping("docker")
    section.leave_all(_OF_ENVIRONMENT)
    made = Environment(name or "inline")
    variables = section.pairs("environmentVariables")
    made.environment_variables = keep_variables(section, "environmentVariables", variables)
    if python is None and docker is None and not variables:
        section.reading.missing.append(
            f"the packages of the environment {name}, which is in the cloud: az ml environment download -n {name} -d FOLDER writes them; then dependencies: FOLDER/conda_dependencies.yml"
        )
        return None
    if docker is not None:
        _base(docker, made)
        text = docker.value("baseDockerfile")  # of several lines
        if isinstance(text, str):
            made.docker.base_dockerfile = (
                read_source(path).decode("utf-8", "replace") if (path := _found(text, places)) else text
            )
            docker.take("baseDockerfile", "base, env and labels")
        if platform := docker.mapping("platform"):
            made.docker.platform = DockerImagePlatform(platform.text("os") or "Linux", platform.text("architecture"))
            for key in ("os", "architecture"):
                platform.take(key, f"platforms: [{made.docker.platform}]")
        docker.leave_all(_OF_DOCKER)
    if python is not None:
        _packages(python, made, places)
    return made


def _packages(python: Keys, made: Environment, places: Sequence[Path]) -> None:
    has_all = made.python.user_managed_dependencies = python.flag("userManagedDependencies") or False
    python.take("userManagedDependencies", "the base has all packages" if has_all else "packages are installed")
    if path := python.text("interpreterPath"):
        made.python.interpreter_path = path
        python.take("interpreterPath", "base: interpreter" if path.startswith("/") else "the base's own Python")
    if (conda := python.value("condaDependencies")) is not None:
        if isinstance(conda, Mapping):
            with placed(str(python.reading.file)):
                made.python.conda_dependencies = CondaDependencies(_underlying_structure=conda)
                made.python.conda_dependencies.include(places[0])
        else:
            python.wrong("condaDependencies", "no mapping", "write channels and dependencies below it")
        python.take("condaDependencies", "python and dependencies")
    if (file := python.text("condaDependenciesFile")) and (found := _file(python, file, places)):
        made.python.conda_dependencies = CondaDependencies(str(found))
        python.take("condaDependenciesFile", "python and dependencies")
    python.leave("baseCondaEnvironment", "an image of ours has no environments of conda; name one that has: base")


def _base(keys: Keys, made: Environment) -> str:
    """Sets the base of an environment, and returns the image that is named; empty for none."""
    image, registry = keys.text("baseImage"), keys.value("baseImageRegistry")
    address = registry if isinstance(registry, str) else ""
    if isinstance(registry, Mapping) and (section := keys.mapping("baseImageRegistry")):
        address = section.text("address")
        section.take("address", "base")
        section.leave_all(dict.fromkeys(("username", "password"), "log in instead: modelcrate login HOST"))
    if image:
        made.docker.base_image, made.docker.base_image_registry = image, ContainerRegistry(address or None)
        keys.take("baseImage", "base")
    keys.take("baseImageRegistry", "base")
    return image


def _file(keys: Keys, name: str, places: Sequence[Path]) -> Path | None:
    """Returns a file by its name in the first of the places that has it. That none has it is a fault."""
    found = _found(name, places)
    if found is None:
        keys.reading.fault(f"{name[:200]} is not there", f"az looks for it in {SOURCE}, else where it is called")
    return found


def _found(name: str, places: Sequence[Path]) -> Path | None:
    return next((each / name for each in places if os.path.isfile(each / name)), None)
