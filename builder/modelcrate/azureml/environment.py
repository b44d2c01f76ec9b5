"""The environment of a served model: base, packages, variables."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.azureml.absent import BUILD_CONTEXT, ENVIRONMENT_BUILD, LABELS, refusing
from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate.azureml.microsofts_images import MINIMAL, curated_image, curated_name
from modelcrate.azureml.requirements_files import read_requirements
from modelcrate.azureml.sections import (
    DatabricksSection,
    DockerImagePlatform,
    DockerSection,
    PythonSection,
    RSection,
    SparkSection,
)
from modelcrate.events import ignore_event
from modelcrate.workspace.environments import (
    RegisteredEnvironment,
    get_environment,
    list_environments,
    register_environment,
)
from modelcrate.workspace.record import parse_version
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.named_file import read_source

DEFINITION = "azureml_environment.json"
CONDA = "conda_dependencies.yml"
DOCKERFILE = "BaseDockerfile"

if TYPE_CHECKING:
    from modelcrate.azureml.workspace import Workspace
    from modelcrate.workspace.backend import WorkspaceBackend


@refusing(
    {
        LABELS: "label",
        ENVIRONMENT_BUILD: "build build_local get_image_details",
        BUILD_CONTEXT: "from_docker_build_context",
    }
)
class Environment:
    """A name, a Docker section, a Python section, and variables. It is not frozen, because scripts set its fields one by one.

    It has no others: a misspelt one is an AttributeError, as in the original.
    `environment_variables` is empty at first; the original has an example in it. `inferencing_stack_version` has no effect: modelcrate
    adds its server to any base.
    """

    __slots__ = (
        "asset_id",
        "databricks",
        "docker",
        "environment_variables",
        "inferencing_stack_version",
        "name",
        "python",
        "r",
        "spark",
        "version",
    )

    def __init__(self, name: str, **kwargs: object) -> None:
        if not isinstance(name, str) or not name:
            raise UserError("an environment has a name", hint='expected: Environment(name="my-environment")')
        if kwargs:
            said = f"without effect: {', '.join(sorted(kwargs))}; set it on the environment: env.docker, env.environment_variables"
            warnings.warn(said, UserWarning, stacklevel=2)
        self.name = name
        self.version: str | None = None
        self.asset_id: str | None = None
        self.docker = DockerSection()
        self.python = PythonSection()
        self.environment_variables: dict[str, str] = {}
        self.inferencing_stack_version: str | None = None
        self.spark = SparkSection()
        self.databricks = DatabricksSection()
        self.r: RSection | None = None

    def __repr__(self) -> str:
        return f"Environment(name={self.name!r}, base_image={self.docker.base_image!r})"

    @staticmethod
    def from_conda_specification(name: str, file_path: str) -> Environment:
        """Returns an environment with the packages of a conda environment file.

        Raises:
            SourceError: The file can't be read.
            UserError: The file is malformed.
        """
        environment = Environment(name)
        environment.python.conda_dependencies = CondaDependencies(file_path)
        return environment

    @staticmethod
    def from_pip_requirements(name: str, file_path: str, pip_version: str | None = None) -> Environment:
        """Returns an environment with the packages of a requirements file. `pip_version` is ignored: images have no pip.

        Raises:
            SourceError: The file can't be read.
        """
        environment = Environment(name)
        environment.python.conda_dependencies = CondaDependencies.of_pip(
            read_requirements(Path(os.path.abspath(file_path)))
        )
        return environment

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | None = None,
        pip_requirements: str | None = None,
    ) -> Environment:
        """Returns an environment on an image. Without a specification or requirements, the image needs to have all packages.

        Args:
            name: The name of the environment.
            image: A reference, or another base as in a project file.
            container_registry: The registry of the image.
            conda_specification: The path of a conda environment file.
            pip_requirements: The path of a requirements file.

        Raises:
            UserError: Both a specification and requirements are given.
        """
        if conda_specification and pip_requirements:
            raise UserError("a conda specification and pip requirements at once", hint="keep one of them")
        environment = Environment(name)
        if conda_specification:
            environment = Environment.from_conda_specification(name, conda_specification)
        elif pip_requirements:
            environment = Environment.from_pip_requirements(name, pip_requirements)
        else:
            environment.python.user_managed_dependencies = True
        environment.docker.base_image = image
        environment.docker.base_image_registry = container_registry or ContainerRegistry()
        return environment

    @staticmethod
    def from_dockerfile(
        name: str, dockerfile: str, conda_specification: str | None = None, pip_requirements: str | None = None
    ) -> Environment:
        """Returns an environment on a base with a Dockerfile. The Dockerfile is read when the image is built.

        Args:
            name: The name of the environment.
            dockerfile: The text or the path of a Dockerfile with FROM, ENV and LABEL only.
            conda_specification: The path of a conda environment file.
            pip_requirements: The path of a requirements file.
        """
        environment = Environment.from_docker_image(name, "", None, conda_specification, pip_requirements)
        environment.docker.base_image = None
        environment.docker.base_dockerfile = dockerfile
        return environment

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> Environment:
        """Raises a UserError: an environment of this machine is not for the image's platform."""
        raise UserError(
            "an environment of this machine is not for the image's platform",
            hint=f"export it: conda env export -n {conda_environment_name} --from-history; then from_conda_specification",
        )

    @staticmethod
    def add_private_pip_wheel(workspace: object, file_path: str, exist_ok: bool = False) -> str:
        """Raises a UserError: there is no service for private wheels. A folder of wheels replaces it."""
        raise UserError(
            f"{file_path} has nowhere to be uploaded to",
            hint="name the folder of your wheels: conda_dependencies.set_pip_option('--find-links FOLDER')",
        )

    def clone(self, new_name: str) -> Environment:
        """Returns a copy with another name."""
        environment = copy.deepcopy(self)
        environment.name, environment.version = new_name, None
        return environment

    def save_to_directory(self, path: str, overwrite: bool = False) -> None:
        """Writes the definition as JSON, the conda file, and the Dockerfile of the base if there is one. No password is written.

        Raises:
            UserError: The folder is not empty, and `overwrite` is false.
        """
        folder = Path(path)
        if folder.exists() and any(folder.iterdir()) and not overwrite:
            raise UserError(f"{path} is not empty", hint="overwrite=True replaces what is in it")
        folder.mkdir(parents=True, exist_ok=True)
        facts = self.facts()
        conda, dockerfile = facts["python"].pop("condaSpecification"), facts["docker"].pop("baseDockerfile")
        (folder / DEFINITION).write_text(json.dumps(facts, indent=4) + "\n", encoding="utf-8", newline="\n")
        for text, name in ((conda, CONDA), (dockerfile, DOCKERFILE)):
            if text is not None:
                (folder / name).write_text(text, encoding="utf-8", newline="\n")

    @staticmethod
    def load_from_directory(path: str) -> Environment:
        """Returns the environment that `save_to_directory` wrote.

        Raises:
            SourceError: A file can't be read.
        """
        folder = Path(path)
        facts = parse_object(read_source(folder / DEFINITION), str(folder / DEFINITION))
        for section, key, name in (
            ("python", "condaSpecification", CONDA),
            ("docker", "baseDockerfile", DOCKERFILE),
        ):
            if (folder / name).exists():
                facts.setdefault(section, {})[key] = read_source(folder / name).decode()
        return Environment.of(facts, str(folder / DEFINITION))

    def facts(self) -> dict[str, Any]:
        """Returns the definition as data for JSON. Passwords are not part of it."""
        docker, python = self.docker, self.python
        conda = python.conda_dependencies
        return {
            "name": self.name,
            "version": self.version,
            "environmentVariables": dict(self.environment_variables),
            "inferencingStackVersion": self.inferencing_stack_version,
            "docker": {
                "baseImage": docker.base_image,
                "baseDockerfile": docker.base_dockerfile,
                "registryAddress": docker.base_image_registry.address,
                "platform": str(docker.platform),
            },
            "python": {
                "userManagedDependencies": python.user_managed_dependencies,
                "interpreterPath": python.interpreter_path,
                "condaSpecification": conda.serialize_to_string() if conda is not None else None,
            },
        }

    @staticmethod
    def of(facts: Mapping[str, Any], where: str) -> Environment:
        """Returns the environment of a definition.

        Args:
            facts: What `facts` returned, or what the original writes.
            where: The place of the definition, for messages.

        Raises:
            UserError: The conda specification in it is malformed.
        """
        environment = Environment(str(facts.get("name") or ""))
        environment.version = facts.get("version")
        variables = facts.get("environmentVariables") or {}
        environment.environment_variables = {str(key): str(value) for key, value in variables.items()}
        environment.inferencing_stack_version = facts.get("inferencingStackVersion")
        docker, python = facts.get("docker") or {}, facts.get("python") or {}
        environment.docker.base_image = docker.get("baseImage")
        environment.docker.base_dockerfile = docker.get("baseDockerfile")
        registry = docker.get("baseImageRegistry") or {"address": docker.get("registryAddress")}
        environment.docker.base_image_registry = ContainerRegistry(
            registry.get("address"), registry.get("username"), registry.get("password")
        )
        environment.docker.platform = DockerImagePlatform.parse(docker.get("platform"))
        environment.python.user_managed_dependencies = bool(python.get("userManagedDependencies"))
        environment.python.interpreter_path = str(python.get("interpreterPath") or "python")
        environment.spark.packages = list((facts.get("spark") or {}).get("packages") or [])
        conda, written_out = python.get("condaSpecification"), python.get("condaDependencies")
        if written_out is not None:
            environment.python.conda_dependencies = CondaDependencies(_underlying_structure=written_out)
        else:
            environment.python.conda_dependencies = CondaDependencies.parse(conda, where) if conda is not None else None
        return environment

    def register(self, workspace: Workspace) -> Environment:
        """Registers the definition in a workspace, under the next version of its name. The latest one is kept, if it is equal.

        Raises:
            UserError: The name is not valid.
        """
        facts = self.facts()
        if self.docker.base_image_registry.password:
            warnings.warn(
                "the password of the base image's registry is not registered: modelcrate login saves it",
                UserWarning,
                stacklevel=2,
            )
        facts["version"] = None
        made = register_environment(workspace.backend, self.name, facts, ignore_event)
        self.version = str(made.version)
        return self

    @staticmethod
    def get(workspace: Workspace, name: str, version: str | None = None, label: str | None = None) -> Environment:
        """Returns a registered environment, by default its latest version.

        Args:
            workspace: The workspace.
            name: The name.
            version: The version, as a text or number.
            label: `latest`; there are no other labels.

        Raises:
            SourceError: There is no such environment.
        """
        if label is not None and label.lower() != "latest":
            raise LABELS.error(f"the label {label!r}")
        number = None if version is None else parse_version(str(version))
        if version is not None and number is None:
            raise UserError(f"not a version of an environment: {version!r:.60}", hint="expected a number")
        found, said = Environment.find(workspace.backend, name, number)
        for text in said:
            warnings.warn(text, UserWarning, stacklevel=2)
        return found

    @staticmethod
    def find(backend: WorkspaceBackend, name: str, version: int | None) -> tuple[Environment, tuple[str, ...]]:
        """Returns a registered environment, or else one that Azure curates under this name, and notices about it.

        Args:
            backend: The place of the workspace.
            name: The name.
            version: The version; None for the latest.

        Raises:
            SourceError: There is no such environment.
        """
        try:
            return Environment.registered(get_environment(backend, name, version)), ()
        except SourceError:
            if not (curated := curated_name(name)):
                raise
        made = Environment(name)
        if curated == MINIMAL:
            return made, (f"{name} is not registered: it is taken as Azure has it, without packages",)
        image = made.docker.base_image = curated_image(curated, str(version or ""))
        return made, (
            f"{name} is not registered: Azure's public image of it is the base, with all its packages: {image}",
        )

    @staticmethod
    def list(workspace: Workspace) -> dict[str, Environment]:
        """Returns the latest version of every registered environment, by name."""
        return {each.name: Environment.registered(each) for each in list_environments(workspace.backend)}

    @staticmethod
    def registered(found: RegisteredEnvironment) -> Environment:
        """Returns the environment that a workspace has."""
        where = f"the environment {found.name}:{found.version}"
        return Environment.of({**parse_object(found.definition, where), "version": str(found.version)}, where)


class EnvironmentReference:
    """A name and a version of a registered environment. Not a value, because scripts set its fields."""

    def __init__(self, name: str, version: str | None = None) -> None:
        self.name, self.version = name, version

    def get_environment(self, workspace: Workspace) -> Environment:
        """Returns the environment. See `Environment.get`."""
        return Environment.get(workspace, self.name, self.version)
