"""The article's objects over an offline world: a root file system, tiny wheels, a workspace of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelcrate.azureml import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelcrate.config import Config
from support import offline, real_registry


@pytest.fixture(scope="session")
def registry_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with models, code, a base and wheels."""
    return offline.write_project(tmp_path / "files")


@pytest.fixture(params=["folder", "registry"])
def ws(request: pytest.FixtureRequest, tmp_path: Path, settings: Config) -> Workspace:
    if request.param == "folder":
        return Workspace(address=tmp_path / "workspace", settings=settings)
    host = request.getfixturevalue("registry_host")
    return Workspace(address=f"{host}/{tmp_path.name.replace('_', '-').strip('-')}", settings=settings)


@pytest.fixture
def environment(files: Path) -> Environment:
    made = Environment("offline")
    made.docker.base_image = f"rootfs:{files / 'base.tar'}"
    made.python.interpreter_path = "/usr/bin/python3.11"
    made.python.conda_dependencies = CondaDependencies.create(
        pip_packages=["tiny-answer==1.0", "azureml-defaults"], python_version="3.11"
    )
    made.python.conda_dependencies.set_pip_option(f"--find-links {files / 'wheels'}")
    return made


@pytest.fixture
def config(files: Path, environment: Environment) -> InferenceConfig:
    return InferenceConfig(entry_script="score.py", source_directory=str(files / "src"), environment=environment)


@pytest.fixture
def registered(ws: Workspace, files: Path) -> Callable[[str], Model]:
    def registered(name: str) -> Model:
        return Model.register(ws, str(files / "models" / "one.bin"), name)

    return registered
