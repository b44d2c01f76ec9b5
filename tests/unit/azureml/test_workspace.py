"""What a workspace keeps besides models' files: environments with versions, marks of what was deleted, images; in a folder and in docker-registry."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate.azureml import ContainerRegistry, Environment, InferenceConfig, Model, Workspace
from modelcrate.azureml.environment import EnvironmentReference
from modelcrate.azureml.images import Image
from modelcrate.config import Config
from modelcrate.transports.addresses import find
from modelcrate_layers.errors import SourceError, UserError

Register = Callable[[str], Model]


def test_environments_are_registered_with_versions(ws: Workspace, environment: Environment) -> None:
    assert ws.environments == {}
    assert environment.register(ws).version == "1"
    assert environment.register(ws).version == "1", "an equal one is not another version"
    environment.environment_variables["LEVEL"] = "debug"
    assert environment.register(ws).version == "2"
    first, latest = Environment.get(ws, "offline", version="1"), Environment.get(ws, "offline")
    assert (first.environment_variables, first.version) == ({}, "1")
    assert latest.environment_variables == {"LEVEL": "debug"}
    assert latest.facts() == environment.facts()
    assert {name: each.version for name, each in Environment.list(ws).items()} == {"offline": "2"}
    assert EnvironmentReference("offline", "1").get_environment(ws).version == "1"
    assert Environment.get(ws, "offline", label="latest").version == "2"
    assert Model.list(ws) == [], "an environment is no model"


def test_a_registered_environment_builds_the_same_image(
    ws: Workspace, environment: Environment, config: InferenceConfig, files: Path, registered: Register
) -> None:
    environment.register(ws)
    again = InferenceConfig("score.py", source_directory=str(files / "src"), environment=Environment.get(ws, "offline"))
    model = registered("iris")
    packages = []
    for each in (config, again):
        packages.append(Model.package(ws, [model], each, image_label="1"))
        packages[-1].wait_for_creation()
    assert packages[0].digest == packages[1].digest is not None


def test_a_password_is_not_registered_and_it_is_said(ws: Workspace, environment: Environment) -> None:
    environment.docker.base_image_registry = ContainerRegistry("reg.example", "me", "s3cret-pass")
    with pytest.warns(UserWarning, match="modelcrate login"):
        environment.register(ws)
    found = Environment.get(ws, "offline").docker.base_image_registry
    assert (found.address, found.username, found.password) == ("reg.example", None, None)


def test_an_environment_that_is_not_there_says_what_is_and_what_to_do(ws: Workspace, environment: Environment) -> None:
    with pytest.raises(SourceError, match="no environments") as fault:
        Environment.get(ws, "sklearn-1.5")
    assert "az ml environment show" in fault.value.hint
    environment.register(ws)
    with pytest.raises(SourceError, match="it has the versions 1"):
        Environment.get(ws, "offline", version="7")
    with pytest.raises(UserError, match="not a version"):
        Environment.get(ws, "offline", version="new")
    with pytest.raises(UserError, match="no labels"):
        Environment.get(ws, "offline", label="Production")


def test_a_deleted_model_is_gone_and_its_number_is_never_given_again(ws: Workspace, registered: Register) -> None:
    first, second = registered("iris"), registered("iris")
    second.delete()
    assert [each.id for each in Model.list(ws)] == ["iris:1"]
    assert Model(ws, "iris").version == 1
    with pytest.raises(SourceError, match="it has the versions 1"):
        Model(ws, "iris", version=2)
    third = registered("iris")
    assert third.version == 3
    for each in (first, third):
        each.delete()
    assert ws.models == {}
    with pytest.raises(SourceError, match="no models"):
        Model(ws, "iris")


def test_the_models_of_a_workspace_by_name(ws: Workspace, registered: Register) -> None:
    registered("iris")
    registered("iris")
    registered("two")
    assert {name: each.version for name, each in ws.models.items()} == {"iris": 2, "two": 1}


def test_the_url_of_a_model_is_an_address(ws: Workspace, registered: Register) -> None:
    model = registered("iris")
    if model.url.startswith("oci:"):
        assert (Path(model.url.removeprefix("oci:").removesuffix(":models:iris.1")) / "oci-layout").is_file()
    else:
        assert model.url == f"{ws.address.removeprefix('registry:')}/models:iris.1"
    assert (model.run_id, model.created_by, model.datasets) == (None, None, {})
    assert Model.deserialize(ws, model.serialize()).id == "iris:1"


def test_the_images_of_a_workspace(ws: Workspace, registered: Register, config: InferenceConfig) -> None:
    package = Model.package(ws, [registered("iris")], config, image_name="diabetes", image_label="1")
    package.wait_for_creation()
    if ws.address.startswith("registry:"):
        with pytest.raises(UserError, match="modelcrate tags"):
            _ = ws.images
        return
    assert list(ws.images) == ["diabetes.1"]
    image = Image(ws, "diabetes", version="1")
    assert str(find(image.image_location, ws.connections).image().digest) == package.digest
    assert [each.name for each in Image.list(ws, image_name="diabetes")] == ["diabetes.1"]
    with pytest.raises(SourceError, match="no image other"):
        Image(ws, "other")


def test_details_of_a_workspace_and_its_services(ws: Workspace) -> None:
    assert (ws.get_details()["name"], ws.location, ws.webservices) == (ws.name, ws.address, {})


def test_workspaces_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in ("MODELCRATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert Workspace.list("subscription") == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model.register(Workspace.create("team", subscription_id="s"), str(files / "models" / "one.bin"), "one")
    assert list(Workspace.list("subscription")) == ["team"]
    assert (tmp_path / "user" / ".local" / "share" / "modelcrate" / "workspaces" / "team").is_dir()
    with pytest.raises(UserError, match="not deleted by a program"):
        Workspace.get("team").delete()


def test_the_platform_of_an_environment_is_the_images(
    settings: Config, tmp_path: Path, environment: Environment, config: InferenceConfig
) -> None:
    from modelcrate.azureml.projects import make_project

    environment.docker.platform.architecture = "arm64"
    assert [str(each) for each in make_project("x", "folder:ws", [], config).project.platforms] == ["linux/arm64"]
    environment.docker.platform.os = "Windows"
    with pytest.raises(UserError, match="windows"):
        make_project("x", "folder:ws", [], config)
