"""The login of `base_image_registry`: used for the base and nothing else, and written nowhere. The registry is docker-registry."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelcrate
from modelcrate.azureml import ContainerRegistry, Environment, InferenceConfig, Model, RegistryIdentity, Workspace
from modelcrate.config import Config
from modelcrate_layers.errors import RegistryError, UserError
from support import real_registry, small_projects

USER, PASSWORD = real_registry.USER, real_registry.PASSWORD
SECRETS = (PASSWORD.encode(), base64.b64encode(f"{USER}:{PASSWORD}".encode()))


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that wants a login for everything."""
    if why := real_registry.missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("private")
    with real_registry.running(folder, auth=real_registry.htpasswd(folder)) as running:
        yield running.host


def login(home: Path, host: str, password: str) -> None:
    (home / ".docker").mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


@pytest.fixture
def base(private: str, files: Path, tmp_path: Path) -> str:
    """An image in the registry, pushed by somebody else."""
    project = small_projects.model_only(tmp_path / "base", base=f"rootfs:{files / 'base.tar'}")
    login(tmp_path / "other-home", private, PASSWORD)
    other = Config(tmp_path / "other", {"HOME": str(tmp_path / "other-home")})
    modelcrate.build(project, settings=other).push(f"{private}/team/base:1")
    (tmp_path / "other-home" / ".docker" / "config.json").unlink()
    return f"{private}/team/base:1"


@pytest.fixture
def ws(tmp_path: Path, settings: Config) -> Workspace:
    return Workspace(address=tmp_path / "workspace", settings=settings)


def given(environment: Environment, base: str, registry: ContainerRegistry) -> Environment:
    environment.docker.base_image, environment.docker.base_image_registry = base, registry
    return environment


def written(folder: Path) -> list[Path]:
    """Files that have the password in them."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if any(secret in path.read_bytes() for secret in SECRETS)]


@pytest.mark.parametrize("spelling", ["with the host", "without the host"])
def test_the_base_is_pulled_with_the_login_and_it_is_written_nowhere(
    private: str, base: str, ws: Workspace, environment: Environment, config: InferenceConfig, spelling: str,
    tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    named = base if spelling == "with the host" else base.removeprefix(f"{private}/")
    given(environment, named, ContainerRegistry(private, USER, PASSWORD))
    package = Model.package(ws, [], config, image_name="private", image_label="1")
    package.wait_for_creation(show_output=True)
    assert package.state == "Succeeded"
    package.pull()
    assert written(tmp_path) == []
    said = "".join(capfd.readouterr()) + str(package.get_logs()) + repr(package) + repr(package._project)
    assert not any(secret.decode() in said for secret in SECRETS)


def test_it_counts_before_a_saved_login(
    private: str, base: str, ws: Workspace, environment: Environment, config: InferenceConfig, tmp_path: Path
) -> None:
    login(tmp_path, private, "an old one")
    given(environment, base, ContainerRegistry(private, USER, PASSWORD))
    Model.package(ws, [], config).wait_for_creation()


def test_a_dockerfile_package_names_the_registry_with_its_login(
    private: str, base: str, ws: Workspace, environment: Environment, config: InferenceConfig, tmp_path: Path
) -> None:
    given(environment, base, ContainerRegistry(private, USER, PASSWORD))
    package = Model.package(ws, [], config, generate_dockerfile=True)
    package.save(str(tmp_path / "imagefiles"))
    found = package.get_container_registry()
    assert (found.address, found.username, found.password) == (private, USER, PASSWORD)
    assert written(tmp_path) == []


def test_without_it_the_registry_refuses_and_the_message_says_where_a_login_was_looked_for(
    base: str, ws: Workspace, environment: Environment, config: InferenceConfig
) -> None:
    given(environment, base, ContainerRegistry())
    with pytest.raises(RegistryError, match="401"):
        Model.package(ws, [], config).wait_for_creation()


def test_a_wrong_password_is_named_by_its_place_and_not_shown(
    private: str, base: str, ws: Workspace, environment: Environment, config: InferenceConfig
) -> None:
    given(environment, base, ContainerRegistry(private, USER, "wr0ng-pass"))
    package = Model.package(ws, [], config)
    with pytest.raises(RegistryError, match="base_image_registry of the environment") as fault:
        package.wait_for_creation()
    assert "wr0ng-pass" not in str(fault.value) + str(package.get_logs()) + str(package.error)


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        (ContainerRegistry("reg.example", "me"), "username and password, or none"),
        (ContainerRegistry("reg.example", None, "secret"), "username and password, or none"),
        (ContainerRegistry("reg.example", None, None, RegistryIdentity("id")), "modelcrate login reg.example"),
    ],
)
def test_half_a_login_and_a_clouds_identity_are_refused(
    ws: Workspace, environment: Environment, config: InferenceConfig, registry: ContainerRegistry, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        Model.package(ws, [], given_to(config, environment, registry))


def given_to(config: InferenceConfig, environment: Environment, registry: ContainerRegistry) -> InferenceConfig:
    given(environment, "team/base:1", registry)
    return config


def test_a_login_for_a_base_that_is_in_no_registry(
    ws: Workspace, environment: Environment, config: InferenceConfig
) -> None:
    environment.docker.base_image_registry = ContainerRegistry(None, USER, PASSWORD)
    with pytest.raises(UserError, match="is in no registry"):
        Model.package(ws, [], config)
