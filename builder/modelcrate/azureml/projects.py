"""Turns the original's objects into a project. A project file could define every image that `Model.package` builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from modelcrate.arguments import as_one_of, as_text
from modelcrate.azureml.absent import BUILD_CONTEXT, R
from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate.azureml.dockerfiles import parse_base
from modelcrate.azureml.environment import Environment
from modelcrate.azureml.inference_config import InferenceConfig
from modelcrate.azureml.microsofts_images import is_conda_base
from modelcrate.azureml.no_code import detect_dependencies
from modelcrate.azureml.sections import DatabricksSection, DockerImagePlatform, DockerSection, PythonSection
from modelcrate.project.conda import CondaSpec, conda_text, package_name
from modelcrate.project.values import (
    Base,
    Conda,
    DebianBase,
    Dependencies,
    Entry,
    Project,
    RegisteredModel,
    RegistryBase,
)
from modelcrate.registry.credential import Credential
from modelcrate.resolve.debian.releases import nearest_python
from modelcrate.resolve.requirements import WITHOUT_EFFECT, options_of
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field, replace

SERVERS = frozenset({"azureml-defaults", "azureml-inference-server-http"})
"""Packages that bring the original's server; an image has modelcrate's own, which answers the same."""

_FLAGS = {"-i": "--index-url", "-f": "--find-links"}


@dataclass(frozen=True, slots=True)
class AzureProject:
    """A project, notices for the user about it, and the login for the base that the environment has (see `Session`)."""

    project: Project
    notices: tuple[str, ...] = ()
    logins: Mapping[str, Credential] = field(default_factory=dict, hash=False, repr=False)


def make_project(
    name: str, workspace: str, records: Sequence[ModelRecord], config: InferenceConfig | None
) -> AzureProject:
    """Returns the project for models.

    Args:
        name: The name of the image.
        workspace: The address of the workspace.
        records: The models. Without a config it is one, of a known framework.
        config: The entry script and its environment.

    Raises:
        UserError: The objects can't be built without a container engine, or contradict each other.
    """
    models = tuple(RegisteredModel(record.name, record.version) for record in records)
    if config is None:
        return AzureProject(
            Project(name, None, models, dependencies=detect_dependencies(list(records)), workspace=workspace)
        )
    if config.environment is None:
        raise UserError(
            "the inference config has no environment", hint="InferenceConfig(..., environment=Environment('name'))"
        )
    source = Path(config.source_directory).absolute() if config.source_directory is not None else None
    entry = Entry(Path(config.entry_script), source) if source else Entry(config.script.absolute())
    return with_environment(config.environment, Project(name, entry, models, workspace=workspace))


def with_environment(environment: Environment, project: Project) -> AzureProject:
    """Returns the project with the base, packages and variables of an environment.

    Raises:
        UserError: The environment can't be built without a container engine, or contradicts itself.
    """
    _check_sections(environment)
    base, env, labels, replaced = _base(environment)
    spec = _spec(environment)
    dropped = [line for line in spec.pip if package_name(line) in SERVERS]
    notices = tuple(
        f"{line} is left out: the image has modelcrate's server, which answers the same" for line in dropped
    )
    if environment.python.user_managed_dependencies and (ignored := _named(environment)):
        notices += (
            f"not installed, because user_managed_dependencies says that the base has all packages: {', '.join(ignored)}",
        )
    for line in spec.pip:
        if without := _without_effect(line):
            dropped.append(line)
            notices += (f"{line} has no effect: {without}",)
    logins = _logins(base, environment.docker.base_image_registry)
    conda, wheels, said = make_conda(spec)
    python, older = _python(spec, base)
    needs = replace(dependencies([*(line for line in spec.pip if line not in dropped), *wheels]), conda=conda)
    made = replace(
        project,
        base=base,
        python=python,
        platforms=(environment.docker.platform.platform,),
        dependencies=needs,
        env={**env, **environment.environment_variables},
        labels=labels,
    )
    return AzureProject(made, (*notices, *said, *replaced, *older), logins)


def _python(spec: CondaSpec, base: Base) -> tuple[str | None, tuple[str, ...]]:
    """Returns the Python of an environment. One that is older than any that the server runs on is replaced, which is a notice."""
    taken = nearest_python(spec.python) if spec.python is not None and isinstance(base, DebianBase) else None
    if taken in (None, spec.python):
        return spec.python, ()
    return taken, (f"Python {spec.python} is taken as {taken}: the server of an image does not run on an older one",)


def _check_sections(environment: Environment) -> None:
    """Refuses packages of R, Spark and Databricks, systems other than Linux, and what scripts have set to something of another type."""
    _check_types(environment)
    platform = environment.docker.platform.platform
    if platform.os != "linux":
        raise UserError(
            f"images are made for Linux, not for {platform}", hint="environment.docker.platform.os = 'Linux'"
        )
    if environment.r is not None or environment.spark.packages or environment.databricks != DatabricksSection():
        raise R.error("an environment with R, Spark or Databricks")


def _check_types(environment: Environment) -> None:
    docker = as_one_of("environment.docker", environment.docker, DockerSection, "a DockerSection")
    python = as_one_of("environment.python", environment.python, PythonSection, "a PythonSection")
    registry, platform, packages = docker.base_image_registry, docker.platform, python.conda_dependencies
    as_one_of("base_image_registry", registry, ContainerRegistry, "base_image_registry.address = 'HOST'")
    as_one_of("platform", platform, DockerImagePlatform, "platform.architecture = 'arm64'")
    if packages is not None:
        as_one_of("conda_dependencies", packages, CondaDependencies, "CondaDependencies(FILE)")
    as_text("interpreter_path", python.interpreter_path)
    for name in ("base_image", "base_dockerfile"):
        as_text(name, getattr(docker, name) or "")
    as_one_of("environment_variables", environment.environment_variables, dict, "a dictionary of names and values")


def _spec(environment: Environment) -> CondaSpec:
    """Returns the packages that are to be installed: none, where the base has them."""
    return CondaSpec() if environment.python.user_managed_dependencies else _conda(environment.python)


def _named(environment: Environment) -> list[str]:
    """Returns the packages that an environment names, but for the original's server."""
    spec = _conda(environment.python)
    return [line for line in (*spec.packages, *spec.pip) if package_name(line) not in SERVERS]


def _conda(python: PythonSection) -> CondaSpec:
    if python.conda_dependencies_file is not None:
        return CondaDependencies(python.conda_dependencies_file).spec
    return python.conda_dependencies.spec if python.conda_dependencies is not None else CondaSpec()


def _logins(base: Base, registry: ContainerRegistry) -> dict[str, Credential]:
    """Returns the login for the base's repository, and for no other one of that registry."""
    registry.check()
    if registry.registry_identity is not None:
        raise UserError(
            "a managed identity exists in the cloud only",
            hint=f"log in: modelcrate login {registry.address or 'REGISTRY'}; or give username and password",
        )
    if not registry.username or not registry.password:
        return {}
    if not isinstance(base, RegistryBase):
        raise UserError(f"the base {base} is in no registry, and base_image_registry has a login", hint="leave one out")
    from modelcrate.images.reference import Reference

    place = Reference.parse(base.reference)
    login = Credential(registry.username, registry.password, source="base_image_registry of the environment")
    return {f"{place.registry}/{place.repository}": login}


def _base(environment: Environment) -> tuple[Base, dict[str, str], dict[str, str], tuple[str, ...]]:
    """Returns the base, the variables and labels that its Dockerfile sets, and notices."""
    docker, python, env, labels = environment.docker, environment.python, {}, {}
    given = [docker.base_image, docker.base_dockerfile, docker.build_context]
    if sum(each is not None for each in given) > 1:
        raise UserError("more than one base", hint="base_image, base_dockerfile or build_context: keep one of them")
    if docker.build_context is not None:
        raise BUILD_CONTEXT.error("a build context")
    image = docker.base_image
    if docker.base_dockerfile is not None:
        found = parse_base(docker.base_dockerfile)
        image, env, labels = found.image, dict(found.env), dict(found.labels)
    own = python.interpreter_path.startswith("/")
    if image and is_conda_base(image) and not python.user_managed_dependencies and not own:
        said = f"the image {image} has conda and no packages, so a base with the wanted Python is taken instead; the key base of a project file, or python.interpreter_path, keeps it"
        return DebianBase(), env, labels, (said,)
    if not image:
        return DebianBase(), env, labels, ()
    address = docker.base_image_registry.address
    from modelcrate.project.reading import parse_base_words

    base = parse_base_words(f"{address}/{image}" if address and not image.startswith(f"{address}/") else image)
    if own:
        base = replace(base, interpreter=PurePosixPath(python.interpreter_path))
    return base, env, labels, ()


def dependencies(lines: Sequence[str]) -> Dependencies:
    """Returns requirements and options of pip as dependencies. Only options for indexes and wheels are allowed.

    Raises:
        UserError: There is another option.
    """
    options = [option for line in lines if line.startswith("-") for option in _options(line)]
    found = {name: [value for key, value in options if key == name] for name, _ in options}
    wheelhouses = found.pop("--find-links", [])
    if len(wheelhouses) > 1:
        raise UserError("more than one --find-links", hint="one folder of wheels")
    index = found.pop("--index-url", [])
    requirements = tuple(line for line in lines if not line.startswith("-"))
    return Dependencies(
        requirements,
        wheelhouse=Path(wheelhouses[0]).absolute() if wheelhouses else None,
        index_url=index[-1] if index else None,
        extra_index_urls=tuple(found.pop("--extra-index-url", [])),
    )


def _without_effect(line: str) -> str:
    """Returns why a line of options decides nothing here; empty for any other line."""
    names = [name for name, _ in options_of(line, "the pip part")] if line.startswith("-") else []
    return WITHOUT_EFFECT[names[0]] if names and all(name in WITHOUT_EFFECT for name in names) else ""


def _options(line: str) -> Iterator[tuple[str, str]]:
    for name, value in options_of(line, "the pip part"):
        name = _FLAGS.get(name, name)
        if name not in ("--index-url", "--extra-index-url", "--find-links"):
            known = "--index-url, --extra-index-url, --find-links"
            raise UserError(f"an option of pip that is not supported: {line[:80]!r}", hint=f"known are {known}")
        yield name, value


def make_conda(spec: CondaSpec) -> tuple[Conda | None, tuple[str, ...], tuple[str, ...]]:
    """Returns the packages of conda, where they can be solved; else the wheels that stand for them, and notices about that.

    Relative folders of channels are made absolute.

    Raises:
        UserError: The extra `conda` is not installed, and no wheel stands for a package.
    """
    if not spec.packages:
        return None, (), ()
    from modelcrate.resolve.conda import solver_installed

    if not solver_installed():
        from modelcrate.resolve.declared.environment import as_wheels

        return None, *as_wheels(spec.packages, Path("the conda dependencies"), conda_text(spec))
    channels = (
        str(Path(each).absolute()) if "://" not in each and Path(each).is_dir() else each for each in spec.channels
    )
    return Conda(spec.packages, tuple(channels)), (), ()
