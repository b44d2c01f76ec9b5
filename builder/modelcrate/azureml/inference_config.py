"""The configuration for scoring a model: the entry script, its folder, and the environment."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from modelcrate.arguments import as_one_of, as_path
from modelcrate.azureml.absent import PAYLOADS, PROFILE, refusing
from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate.azureml.environment import Environment
from modelcrate.project.entry_check import check_entry
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.named_file import read_source

RUNTIMES = ("python", "spark-py")
CUDA_VERSIONS = ("9.0", "9.1", "10.0")
_OLD = ("runtime", "conda_file", "extra_docker_file_steps", "enable_gpu", "cuda_version", "base_image")


@refusing({PAYLOADS: "build_create_payload", PROFILE: "build_profile_payload"})
class InferenceConfig:
    """An entry script and its environment. The constructor checks that the script parses and has `init` and `run`.

    The old parameters from before environments work as far as they need no container engine. Each gives a DeprecationWarning.
    """

    def __init__(
        self,
        entry_script: str | None = None,
        runtime: str | None = None,
        conda_file: str | None = None,
        extra_docker_file_steps: str | None = None,
        source_directory: str | None = None,
        enable_gpu: bool | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: ContainerRegistry | None = None,
        cuda_version: str | None = None,
        environment: Environment | None = None,
    ) -> None:
        given = (runtime, conda_file, extra_docker_file_steps, enable_gpu, cuda_version, base_image)
        old: dict[str, object] = {name: value for name, value in zip(_OLD, given, strict=True) if value is not None}
        _check_old(old, environment)
        _check_registry(base_image_registry)
        if not entry_script:
            raise UserError("an entry script is needed", hint="InferenceConfig(entry_script='score.py', ...)")
        if environment is not None:
            as_one_of("environment", environment, Environment, "an Environment")
        self.source_directory = source_directory
        self.entry_script = _within(str(as_path("entry_script", entry_script)).replace("\\", "/"), source_directory)
        self.description = description
        self.runtime, self.conda_file, self.extra_docker_file_steps = runtime, conda_file, extra_docker_file_steps
        self.enable_gpu, self.cuda_version = enable_gpu, cuda_version
        self.base_image, self.base_image_registry = base_image, base_image_registry
        self.environment = environment if environment is not None else self._environment(old, base_image_registry)
        self._check_script()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that the original sets in the container."""
        if self.source_directory is None:
            return {"AZUREML_ENTRY_SCRIPT": self.entry_script}
        base = Path(self.source_directory).resolve().name
        return {"AZUREML_ENTRY_SCRIPT": f"{base}/{self.entry_script}", "AZUREML_SOURCE_DIRECTORY": base}

    @property
    def script(self) -> Path:
        """The path of the script on this machine."""
        return Path(self.source_directory or "", self.entry_script)

    def validate_configuration(self) -> None:
        """Checks the entry script, as the constructor does.

        Raises:
            CrateError: It can't serve.
        """
        self._check_script()

    def validation_script_content(self) -> None:
        """Checks the entry script. See `validate_configuration`."""
        self._check_script()

    def facts(self) -> dict[str, Any]:
        """Returns the configuration as data for JSON, without passwords."""
        source = self.source_directory
        return {
            "entryScript": self.entry_script if source is not None else str(self.script.absolute()),
            "sourceDirectory": None if source is None else str(Path(source).absolute()),
            "description": self.description,
            "environment": self.environment.facts() if self.environment is not None else None,
        }

    @staticmethod
    def of(facts: Mapping[str, Any], where: str) -> InferenceConfig:
        """Returns the configuration that `facts` gave.

        Args:
            facts: The data.
            where: Their place, for messages.

        Raises:
            CrateError: The script is not there any more, or can't serve.
        """
        environment = facts.get("environment")
        return InferenceConfig(
            facts["entryScript"],
            source_directory=facts.get("sourceDirectory"),
            description=facts.get("description"),
            environment=None if environment is None else Environment.of(environment, where),
        )

    def _environment(self, old: dict[str, object], registry: ContainerRegistry | None) -> Environment | None:
        """Returns the environment of the old parameters. It is None without any, which is an error when a model is packaged."""
        if not old:
            return None
        made = Environment("inference")
        if "conda_file" in old:
            inside = Path(self.source_directory or "", str(old["conda_file"]))  # as the original has it
            place = inside if inside.exists() else Path(str(old["conda_file"]))
            made.python.conda_dependencies = CondaDependencies(str(place))
        if "base_image" in old:
            made.docker.base_image = str(old["base_image"])
            made.docker.base_image_registry = registry or ContainerRegistry()
        return made

    def _check_script(self) -> None:
        if self.source_directory is not None and not Path(self.source_directory).is_dir():
            raise SourceError("the source directory does not exist", where=self.source_directory)
        source = read_source(self.script, "the entry script")
        faults = check_entry(source, self.entry_script)
        if faults:
            first, *rest = faults
            first.also = tuple(rest)
            raise first


def _within(script: str, folder: str | None) -> str:
    """Returns the path of a script in its folder, for which an absolute one may stand.

    Raises:
        UserError: It is outside of the folder.
    """
    path = PurePosixPath(script)
    if folder is None or not path.is_absolute():
        return path.as_posix()
    try:
        return Path(script).resolve().relative_to(Path(folder).resolve()).as_posix()
    except ValueError:
        raise UserError(
            "the entry script is not in the source directory", where=script, hint=f"name one that is in {folder}"
        ) from None


def _check_old(old: dict[str, object], environment: Environment | None) -> None:
    if environment is not None and old:
        raise UserError(
            f"an environment and {', '.join(old)} at once", hint="say it in the environment; the parameters are old"
        )
    for name in old:
        warnings.warn(f"{name} is deprecated: use environment", DeprecationWarning, stacklevel=4)
    if old.get("runtime", "python") not in RUNTIMES:
        raise UserError(f"not a runtime: {old['runtime']!r}", hint=f"expected {' or '.join(RUNTIMES)}")
    if old.get("cuda_version", "9.0") not in CUDA_VERSIONS:
        raise UserError(f"not a CUDA version: {old['cuda_version']!r}", hint=f"expected {', '.join(CUDA_VERSIONS)}")
    if old.get("runtime") == "spark-py":
        raise UserError("there is no Spark in an image of ours", hint="name a base that has it: base_image")
    if old.get("enable_gpu") or old.get("cuda_version"):
        raise UserError(
            "these CUDA versions can't be had any more",
            hint="today's wheels bring CUDA with them; or name a base that has it: Environment.from_docker_image",
        )
    if old.get("extra_docker_file_steps"):
        raise UserError(
            "steps of a Dockerfile take an engine that runs them",
            hint="package with generate_dockerfile=True, add them to the Dockerfile, and build that",
        )


def _check_registry(registry: ContainerRegistry | None) -> None:
    if registry is None:
        return
    parts = (registry.address, registry.username, registry.password)
    if any(parts) and not all(parts):
        raise UserError(
            "a base image's registry needs address, username and password, or none of them",
            hint="set all three, or leave all out and use `modelcrate login HOST`",
        )
