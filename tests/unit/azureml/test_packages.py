"""Model.package and what it gives, in a folder and in docker-registry; the rows are those of docs/azureml.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import modelcrate
from modelcrate.azureml import Environment, InferenceConfig, Model, Workspace
from modelcrate.azureml.projects import make_project
from modelcrate.config import Config
from modelcrate.export.dockerfile import DockerfileOutput
from modelcrate.pipeline.session import Session
from modelcrate.transports import store
from modelcrate.transports.addresses import find
from modelcrate_layers.errors import CrateError, SourceError, UserError
from support import conda, small_projects

Register = Callable[[str], Model]


def config_of(package: object, ws: Workspace) -> dict[str, object]:
    location = package.location  # type: ignore[attr-defined]
    return dict(find(location, ws.connections).image().settings["config"])


def test_rows_2_and_5_a_package_is_built_in_the_background(
    ws: Workspace, registered: Register, config: InferenceConfig
) -> None:
    package = Model.package(ws, [registered("iris")], config)
    assert package.state in ("NotStarted", "Running", "Succeeded")
    package.wait_for_creation()
    assert package.state == "Succeeded"
    assert not package.generate_dockerfile
    image = find(str(package.location), ws.connections).image()
    assert str(image.digest) == package.digest


def test_row_5_models_are_objects_ids_or_paths_and_may_be_none(
    ws: Workspace, registered: Register, config: InferenceConfig, files: Path
) -> None:
    first = registered("iris")
    package = Model.package(ws, [first, "iris:1", "iris", str(files / "models" / "two")], config)
    package.wait_for_creation()
    assert "AZUREML_MODEL_DIR=/var/azureml-app/azureml-models" in config_of(package, ws)["Env"]  # type: ignore[operator]
    assert [each.id for each in Model.list(ws)] == ["iris:1", "two:1"], "the path was registered"
    empty = Model.package(ws, [], config)
    empty.wait_for_creation()
    assert empty.state == "Succeeded"


def test_row_5_one_model_has_its_folder_as_the_models_folder(
    ws: Workspace, registered: Register, config: InferenceConfig
) -> None:
    package = Model.package(ws, ["iris:1"] if registered("iris") else [], config)
    package.wait_for_creation()
    env = config_of(package, ws)["Env"]
    assert "AZUREML_MODEL_DIR=/var/azureml-app/azureml-models/iris/1" in env  # type: ignore[operator]
    assert "AZUREML_ENTRY_SCRIPT=src/score.py" in env  # type: ignore[operator]
    assert "AZUREML_SOURCE_DIRECTORY=src" in env  # type: ignore[operator]


@pytest.mark.parametrize(
    ("framework", "asked"), [("ScikitLearn", "scikit-learn==1.9.1"), ("Onnx", "onnxruntime==1.9.1")]
)
def test_row_5_one_model_of_a_known_framework_needs_no_config(
    settings: Config, tmp_path: Path, files: Path, framework: str, asked: str
) -> None:
    ws = Workspace(address=tmp_path / "ws", settings=settings)
    model = Model.register(
        ws, str(files / "models/one.bin"), "m", model_framework=framework, model_framework_version="1.9.1"
    )
    made = make_project("package", ws.address, [model.record], None)
    assert made.project.served_by_model
    assert made.project.dependencies.requirements == (asked,), "what was said when it was registered"


def test_row_5_what_needs_a_config_says_so(
    ws: Workspace, registered: Register, config: InferenceConfig, files: Path
) -> None:
    model = registered("iris")
    with pytest.raises(UserError, match="without an entry script") as fault:
        Model.package(ws, [model])
    assert "without a script go: a LightGBM text model; an MLflow folder" in fault.value.why
    other = Model.register(ws, str(files / "models/one.bin"), "deep", model_framework="TensorFlow")
    with pytest.raises(UserError, match="needs an inference config") as fault:
        Model.package(ws, [other])
    assert "its framework is TensorFlow" in fault.value.why
    with pytest.raises(UserError, match="2 models"):
        Model.package(ws, [model, registered("iris")])
    config.environment = None
    with pytest.raises(UserError, match="no environment"):
        Model.package(ws, [model], config)
    with pytest.raises(UserError, match="are a list"):
        Model.package(ws, model, config)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="no model rose"):
        Model.package(ws, ["rose:1"], config)


def test_row_6_name_and_label_are_the_images_own_or_package_and_the_time(
    ws: Workspace, registered: Register, config: InferenceConfig
) -> None:
    model = registered("iris")
    named = Model.package(ws, [model], config, image_name="flowers", image_label="v1")
    assert named.image_name.endswith("flowers:v1")
    unnamed = Model.package(ws, [model], config)
    assert re.search(r"(^|/)package:[0-9]{14}$", unnamed.image_name)
    for package in (named, unnamed):
        package.wait_for_creation()
    with pytest.warns(UserWarning, match="the original would refuse"):
        Model.package(ws, [model], config, image_name="ab").wait_for_creation()
    with pytest.raises(UserError, match="not an image reference"), pytest.warns(UserWarning, match="refuse"):
        Model.package(ws, [model], config, image_name="A B")


def test_row_7_output_is_the_new_part_of_the_log_and_the_state(
    ws: Workspace, registered: Register, config: InferenceConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    model = registered("iris")
    assert capsys.readouterr().out == "Registering model iris\n"
    package = Model.package(ws, [model], config)
    package.wait_for_creation(show_output=True)
    said = capsys.readouterr().out
    assert said == f"{package.get_logs()}Package creation Succeeded\n"
    assert "azureml-defaults is left out" in said
    silent = Model.package(ws, [model], config)
    silent.wait_for_creation()
    assert capsys.readouterr().out == ""


def test_row_7_a_failure_is_raised_with_state_code_and_message(
    ws: Workspace, registered: Register, config: InferenceConfig
) -> None:
    assert config.environment is not None
    assert config.environment.python.conda_dependencies is not None
    config.environment.python.conda_dependencies.add_pip_package("nobody-has-this")
    package = Model.package(ws, [registered("iris")], config)
    with pytest.raises(CrateError, match="ended with state Failed") as fault:
        package.wait_for_creation()
    assert "StatusCode: " in fault.value.why
    assert "Message: " in fault.value.why
    assert "nobody-has-this" in fault.value.why
    assert package.state == "Failed"
    assert "nobody-has-this" in str(package.error)


def test_row_8_logs_state_and_location(ws: Workspace, registered: Register, config: InferenceConfig) -> None:
    package = Model.package(ws, [registered("iris")], config)
    assert "location" not in repr(package) or package.state == "Succeeded"
    package.wait_for_creation()
    package.update_creation_state()
    text, data = package.get_logs(), package.get_logs(decode=False)
    assert isinstance(text, str)
    assert isinstance(data, bytes)
    assert data.decode() == text
    assert package.get_logs(offset=10) == text[10:]
    assert package.get_logs(offset=10**9) == ""
    assert package.serialize() == {
        "generateDockerfile": False,
        "state": "Succeeded",
        "location": package.location,
    }
    assert str(package.location) in repr(package)


def test_rows_9_10_and_11_pull_brings_it_into_the_local_store(
    ws: Workspace, registered: Register, config: InferenceConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    package = Model.package(ws, [registered("iris")], config)
    capsys.readouterr()
    package.pull()
    said = capsys.readouterr().out
    assert f"Status: Downloaded newer image for {package.image_name}\n" in said
    ((name, image),) = list(store.list_images(ws.settings))
    assert name == package.image_name
    assert str(image.digest) == package.digest
    package.pull()
    assert f"Status: Image is up to date for {package.image_name}\n" in capsys.readouterr().out


def test_row_9_each_kind_of_package_refuses_the_others_way(
    ws: Workspace, registered: Register, config: InferenceConfig, tmp_path: Path
) -> None:
    model = registered("iris")
    image, folder = Model.package(ws, [model], config), Model.package(ws, [model], config, generate_dockerfile=True)
    with pytest.raises(UserError, match="no Dockerfile") as fault:
        image.save(str(tmp_path / "imagefiles"))
    assert "pull it" in fault.value.hint
    with pytest.raises(UserError, match="no image to pull") as fault:
        folder.pull()
    assert "save it" in fault.value.hint
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        folder.save(str(tmp_path / "file"))
    for package in (image, folder):
        package.wait_for_creation()


def test_rows_15_16_and_17_the_saved_folder_builds_the_same_digest(
    ws: Workspace, registered: Register, config: InferenceConfig, tmp_path: Path
) -> None:
    """Row 4, too: one config for the image and for its folder."""
    model = registered("iris")
    package = Model.package(ws, [model], config, generate_dockerfile=True)
    package.save(str(tmp_path / "imagefiles"))
    image = Model.package(ws, [model], config)
    image.wait_for_creation()
    assert image.digest == package.digest
    folder = tmp_path / "imagefiles"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert {
        "Dockerfile",
        "azureml-app/model_config_map.json",
        "azureml-app/src/score.py",
        "azureml-app/azureml-models/iris/1/one.bin",
        "wheels/tiny_answer-1.0-py3-none-any.whl",
        "modelcrate.yaml",
        "modelcrate.lock",
    } <= there
    away = replace(ws.settings, home=tmp_path / "another home", offline=True)
    assert str(modelcrate.build(folder, settings=away, locked=True).digest) == package.digest
    score = folder / "azureml-app/src/score.py"
    score.write_text(score.read_text() + "# edited\n")
    assert str(modelcrate.build(folder, settings=away, locked=True).digest) != package.digest
    assert package.serialize()["generateDockerfile"] is True


def test_row_16_saving_again_loses_nothing(
    ws: Workspace, registered: Register, config: InferenceConfig, tmp_path: Path
) -> None:
    package = Model.package(ws, [registered("iris")], config, generate_dockerfile=True)
    place = str(tmp_path / "imagefiles")
    package.save(place)
    package.save(place)
    (tmp_path / "imagefiles" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"would be overwritten: notes\.txt"):
        package.save(place)
    assert (tmp_path / "imagefiles" / "notes.txt").read_text() == "mine"


def test_rows_18_and_19_the_registry_with_its_credentials(
    ws: Workspace, registered: Register, config: InferenceConfig, tmp_path: Path
) -> None:
    package = Model.package(ws, [registered("iris")], config)
    found = package.get_container_registry()
    assert package.state == "Succeeded", "it waits"
    if ws.address.startswith("folder:"):
        assert (found.address, found.username, found.password) == (ws.address, None, None)
        return
    host = ws.address.removeprefix("registry:").partition("/")[0]
    assert (found.address, found.username) == (host, None)
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": "bGFiOmxhYnBhc3M="}}}))
    found = package.get_container_registry()
    assert (found.username, found.password) == ("lab", "labpass")
    assert "labpass" not in repr(found)


def test_row_5_packaging_in_the_models_own_registry_moves_no_byte_of_it(
    registry_host: str, settings: Config, tmp_path: Path, files: Path, config: InferenceConfig
) -> None:
    ws = Workspace(address=f"{registry_host}/mounts", settings=settings)
    (files / "models/one.bin").write_bytes(bytes(range(256)) * 4096)
    model = Model.register(ws, str(files / "models/one.bin"), "big")
    package = Model.package(ws, [model], config)
    package.wait_for_creation()
    (layer,) = model.record.layers
    assert package._done is not None
    (delivered,) = package._done.receipt.outputs
    assert delivered.reused >= layer.layer.descriptor.size
    image = find(str(package.location), ws.connections).image()
    assert layer.layer.descriptor.digest in {each.descriptor.digest for each in image.layers}


def test_row_32_a_dockerfile_of_a_base_is_read_as_far_as_nothing_has_to_run(
    ws: Workspace, registered: Register, config: InferenceConfig, files: Path, environment: Environment
) -> None:
    image = environment.docker.base_image
    environment.docker.base_image = None
    environment.docker.base_dockerfile = f"# a base\nFROM {image}\nENV A=1 \\\n    B='two words'\nLABEL team=x\n"
    package = Model.package(ws, [registered("iris")], config)
    package.wait_for_creation()
    found = config_of(package, ws)
    assert {"A=1", "B=two words"} <= set(found["Env"])  # type: ignore[call-overload]
    assert found["Labels"] == {"team": "x"}
    environment.docker.base_dockerfile += "RUN apt-get install x\n"
    with pytest.raises(UserError, match="container engine: RUN apt-get") as fault:
        Model.package(ws, ["iris:1"], config)
    assert fault.value.where.endswith(":6")


def test_row_21_a_registrys_base_is_pinned_by_digest(
    registry_host: str, settings: Config, files: Path, tmp_path: Path
) -> None:
    base = small_projects.model_only(tmp_path / "base", base=f"rootfs:{files / 'base.tar'}")
    pushed = modelcrate.build(base, settings=settings).push(f"{registry_host}/base:1")
    project = files / "modelcrate.yaml"
    words = f"{{from: '{registry_host}/base:1', interpreter: /usr/bin/python3.11}}"
    project.write_text(project.read_text().replace("rootfs:base.tar", words))
    folder = tmp_path / "imagefiles"
    with Session(settings) as session:
        built = session.build(replace(session.read(files), outputs=(DockerfileOutput(folder),)))
    text = (folder / "Dockerfile").read_text()
    assert f"# pinned: {registry_host}/base:1\nFROM {registry_host}/base@{pushed.image.digest}\n" in text
    assert not (folder / "base").exists()
    modelcrate.build(base, settings=settings).push(f"{registry_host}/other:1")
    assert modelcrate.build(folder, settings=settings, locked=True).digest == built.receipt.image.digest


def test_row_25_the_latest_tag_moves(settings: Config, files: Path) -> None:
    first = modelcrate.build(files, settings=settings)
    first.save("store:myimage")
    (files / "src" / "score.py").write_text(small_projects.SCRIPT)
    second = modelcrate.build(files, settings=settings)
    second.save("store:myimage")
    assert first.digest != second.digest
    assert [(name, image.digest) for name, image in store.list_images(settings)] == [("myimage:latest", second.digest)]


def test_a_dockerfile_is_made_from_a_project_only(settings: Config, files: Path, tmp_path: Path) -> None:
    modelcrate.build(files, settings=settings, outputs="store:made")
    with pytest.raises(UserError, match="from a project, not from an image"):
        modelcrate.find("made", settings=settings).save(f"dockerfile:{tmp_path / 'imagefiles'}")
    assert not (tmp_path / "imagefiles").exists()


def test_conda_packages_channels_and_python_are_honoured(
    ws: Workspace, registered: Register, config: InferenceConfig, tmp_path: Path
) -> None:
    """Python is conda's, whatever the base has; the pip section's wheels are over it."""
    conda.channel(tmp_path / "channel")
    assert config.environment is not None
    wanted = config.environment.python.conda_dependencies
    assert wanted is not None
    wanted.add_channel(str(tmp_path / "channel"))
    wanted.add_conda_package("greeting=1.0")
    wanted.add_conda_package("native")
    wanted.set_python_version("3.12")
    package = Model.package(ws, [registered("iris")], config)
    package.wait_for_creation()
    image = find(str(package.location), ws.connections).image()
    named = [layer.name for layer in image.layers if layer.role == "dependencies"]
    assert [name for name in named if name.endswith("conda packages")]
    assert not [name for name in named if name.startswith("python 3")]  # nothing is linked to the base's Python
    inputs = [each for layer in image.layers for each in layer.layer.inputs]
    assert {"greeting 1.0 0", "native 2.1 h1_0", "python 3.12.1 h0_cpython", "tiny-answer 1.0"} <= set(inputs)
    assert "not run: native: bin/.native-post-link.sh" in str(package.get_logs())
