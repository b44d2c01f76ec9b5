"""Workspace, InferenceConfig, Environment and CondaDependencies: what they take, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from modelcrate.azureml import (
    CondaDependencies,
    ContainerRegistry,
    Environment,
    InferenceConfig,
    Model,
    ResourceConfiguration,
    WebserviceException,
    Workspace,
)
from modelcrate.azureml.microsofts_images import DEFAULT_GPU_IMAGE
from modelcrate.azureml.projects import dependencies, make_conda, with_environment
from modelcrate.project.conda import as_requirement, parse_conda
from modelcrate.project.values import Project
from modelcrate_layers.errors import SourceError, UserError

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "score.py").write_text(SCRIPT)
    return tmp_path / "src" / "score.py"


def test_the_entry_script_is_found_with_and_without_a_source_directory(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = InferenceConfig("score.py", source_directory=str(script.parent), environment=Environment("e"))
    assert config.variables == {"AZUREML_ENTRY_SCRIPT": "src/score.py", "AZUREML_SOURCE_DIRECTORY": "src"}
    monkeypatch.chdir(script.parent)
    assert InferenceConfig("score.py", environment=Environment("e")).variables == {"AZUREML_ENTRY_SCRIPT": "score.py"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("score.txt", SCRIPT, "does not end in .py"),
        ("score.py", "def init(:\n", "no Python"),
        ("score.py", "def init():\n    pass\n", "no function run"),
    ],
)
def test_a_script_that_no_server_can_use_is_refused_at_once(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said):
        InferenceConfig(name, source_directory=str(tmp_path), environment=Environment("e"))


def test_a_missing_script_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be read"):
        InferenceConfig("score.py", source_directory=str(tmp_path), environment=Environment("e"))
    with pytest.raises(SourceError, match="source directory"):
        InferenceConfig("score.py", source_directory=str(tmp_path / "x"), environment=Environment("e"))
    with pytest.raises(UserError, match="entry script is needed"):
        InferenceConfig(environment=Environment("e"))


def test_the_old_parameters_work_with_a_warning_or_say_why_not(script: Path, tmp_path: Path) -> None:
    folder = str(script.parent)
    (tmp_path / "env.yml").write_text("name: x\ndependencies: [python=3.11, {pip: [numpy]}]\n")
    with pytest.warns(DeprecationWarning, match="conda_file is deprecated"):
        config = InferenceConfig("score.py", source_directory=folder, conda_file=str(tmp_path / "env.yml"))
    assert config.environment is not None
    assert config.environment.python.conda_dependencies is not None
    assert config.environment.python.conda_dependencies.pip_packages == ["numpy"]
    (script.parent / "env").mkdir()
    (script.parent / "env" / "own.yml").write_text("dependencies: [{pip: [idna]}]\n")
    with pytest.warns(DeprecationWarning, match="conda_file is deprecated"):
        config = InferenceConfig("score.py", source_directory=folder, conda_file="env/own.yml")
    assert config.environment is not None
    assert config.environment.python.conda_dependencies is not None
    assert config.environment.python.conda_dependencies.pip_packages == ["idna"], "of the source directory"
    with pytest.warns(DeprecationWarning, match="base_image is deprecated"):
        config = InferenceConfig("score.py", source_directory=folder, base_image="host.example/base:1")
    assert config.environment is not None
    assert config.environment.docker.base_image == "host.example/base:1"
    with pytest.warns(DeprecationWarning, match="runtime is deprecated"):
        InferenceConfig("score.py", source_directory=folder, runtime="python")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"runtime": "ruby"}, "not a runtime"),
        ({"runtime": "spark-py"}, "no Spark"),
        ({"cuda_version": "12.0"}, "not a CUDA version"),
        ({"cuda_version": "10.0"}, "CUDA versions can't be had"),
        ({"enable_gpu": True}, "CUDA versions can't be had"),
        ({"extra_docker_file_steps": "steps"}, "take an engine"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_parameters_that_mean_nothing_any_more(script: Path, parameters: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        InferenceConfig("score.py", source_directory=str(script.parent), **parameters)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="at once"):
        InferenceConfig("score.py", source_directory=".", environment=Environment("e"), **parameters)  # type: ignore[arg-type]


def test_a_base_images_registry_is_complete_or_empty(script: Path) -> None:
    registry = ContainerRegistry("host.example", "me")
    with pytest.raises(UserError, match="address, username and password"):
        InferenceConfig("score.py", environment=Environment("e"), base_image_registry=registry)


def test_environments_are_saved_and_loaded_without_passwords(tmp_path: Path) -> None:
    made = Environment("e")
    made.docker.base_image = "base:1"
    made.docker.base_image_registry = ContainerRegistry("host.example", "me", "secret")
    made.environment_variables = {"A": "1"}
    made.python.conda_dependencies = CondaDependencies.create(pip_packages=["numpy==2"], python_version="3.11")
    made.save_to_directory(str(tmp_path / "env"))
    assert "secret" not in "".join(path.read_text() for path in (tmp_path / "env").iterdir())
    found = Environment.load_from_directory(str(tmp_path / "env"))
    assert (found.name, found.docker.base_image, found.environment_variables) == ("e", "base:1", {"A": "1"})
    assert found.docker.base_image_registry.address == "host.example"
    assert found.python.conda_dependencies is not None
    assert found.python.conda_dependencies.pip_packages == ["numpy==2"]
    assert found.python.conda_dependencies.python_version == "3.11"
    with pytest.raises(UserError, match="not empty"):
        made.save_to_directory(str(tmp_path / "env"))
    made.clone("f").save_to_directory(str(tmp_path / "env"), overwrite=True)
    assert Environment.load_from_directory(str(tmp_path / "env")).name == "f"


def test_a_definition_that_the_original_saved(tmp_path: Path) -> None:
    """As azureml-core 1.61 and `az ml environment download` write it."""
    docker = {
        "baseImage": "base:1",
        "baseImageRegistry": {"address": "host.example", "username": None, "password": None},
        "platform": {"os": "Linux", "architecture": "arm64"},
    }
    python = {"userManagedDependencies": False, "interpreterPath": "python", "condaDependenciesFile": None}
    facts = {"name": "e", "environmentVariables": {"A": "1"}, "python": python, "docker": docker, "r": None}
    (tmp_path / "azureml_environment.json").write_text(json.dumps({**facts, "spark": {"packages": ["p"]}}))
    (tmp_path / "conda_dependencies.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - idna==3.10\n")
    found = Environment.load_from_directory(str(tmp_path))
    assert (found.docker.base_image_registry.address, str(found.docker.platform)) == ("host.example", "linux/arm64")
    assert found.python.conda_dependencies is not None
    assert found.python.conda_dependencies.pip_packages == ["idna==3.10"]
    assert found.spark.packages == ["p"]
    written_out = {**facts, "python": {**python, "condaDependencies": {"dependencies": [{"pip": ["a"]}]}}}
    needs = Environment.of(written_out, "here").python.conda_dependencies
    assert needs is not None
    assert needs.pip_packages == ["a"]


def test_a_base_takes_the_place_of_another_and_a_dockerfile_may_be_a_file(tmp_path: Path) -> None:
    """As the original's setters: a text, the path of a file, or an open file, which is read at once."""
    (tmp_path / "Dockerfile").write_text("FROM base:1\nENV A=1\n")
    docker = Environment("e").docker
    docker.base_image = "base:2"
    with pytest.warns(UserWarning, match="base_dockerfile takes the place of docker.base_image"):
        docker.base_dockerfile = str(tmp_path / "Dockerfile")
    assert (docker.base_image, docker.base_dockerfile) == (None, "FROM base:1\nENV A=1\n")
    with open(tmp_path / "Dockerfile") as file:
        docker.base_dockerfile = file  # type: ignore[assignment]
    assert docker.base_dockerfile == "FROM base:1\nENV A=1\n"
    docker.base_dockerfile = "FROM base:3"
    with pytest.warns(UserWarning, match="base_image takes the place"):
        docker.base_image = "base:2"
    assert (docker.base_image, docker.base_dockerfile) == ("base:2", None)


def test_options_of_pip_that_decide_nothing_are_told() -> None:
    environment = Environment("e")
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["idna"])
    environment.python.conda_dependencies.set_pip_option("--trusted-host host.example")
    made = with_environment(environment, Project("x", None))
    assert made.project.dependencies.requirements == ("idna",)
    assert made.notices == ("--trusted-host host.example has no effect: certificates are always checked",)


def test_environments_from_files_and_images(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(
        "name: x\nchannels: [conda-forge]\ndependencies:\n- python=3.11.4\n- pip:\n  - a==1\n"
    )
    (tmp_path / "requirements.txt").write_text("# note\na==1\nb  # why\n\n")
    conda = Environment.from_conda_specification("e", str(tmp_path / "env.yml")).python.conda_dependencies
    assert conda is not None
    assert (conda.python_version, conda.conda_channels, conda.pip_packages) == ("3.11", ["conda-forge"], ["a==1"])
    pip = Environment.from_pip_requirements("e", str(tmp_path / "requirements.txt")).python.conda_dependencies
    assert pip is not None
    assert pip.pip_packages == ["a==1", "b"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "all.txt").write_text(
        "--index-url https://index.example/simple\n-r ../requirements.txt\nc>=1,\\\n<2\n"
        "--extra-index-url https://a.example\n--extra-index-url https://b.example\n"
        "d==1; python_version<'3.12'\nd==2; python_version>='3.12'\n",
        "utf-16",
    )
    pip = Environment.from_pip_requirements("e", str(tmp_path / "more" / "all.txt")).python.conda_dependencies
    assert pip is not None
    assert pip.pip_packages == ["a==1", "b", "c>=1,<2", "d==1; python_version<'3.12'", "d==2; python_version>='3.12'"]
    assert len(pip.pip_options) == 3
    (tmp_path / "requirements.txt").write_text("-r more/all.txt\n")
    with pytest.raises(UserError, match="include each other"):
        Environment.from_pip_requirements("e", str(tmp_path / "more" / "all.txt"))
    image = Environment.from_docker_image("e", "host.example/base:1")
    assert image.python.user_managed_dependencies, "an image alone brings all that it needs"
    assert Environment.from_dockerfile("e", "FROM base:1\n").docker.base_dockerfile == "FROM base:1\n"


@pytest.mark.parametrize(
    "call",
    [
        lambda: Environment.from_docker_build_context("e", None),
        lambda: Environment.from_existing_conda_environment("e", "base"),
        lambda: Environment.add_private_pip_wheel(None, "a.whl"),
        lambda: Environment("e").build(None),
        lambda: Environment("e").build_local(None),
        Model.profile,
    ],
)
def test_what_only_a_service_can_do_is_refused_with_advice(call: object) -> None:
    with pytest.raises(WebserviceException) as fault:
        call()  # type: ignore[operator]
    assert fault.value.hint


def test_conda_dependencies_are_built_and_written() -> None:
    made = CondaDependencies.create("https://index.example/simple", ["a==1", "b"], ["numpy=1.26"], "3.11")
    made.add_pip_package("A==2")
    made.add_channel("conda-forge")
    made.add_conda_package("python=3.13")
    made.remove_pip_package("b")
    assert made.pip_packages == ["A==2"]
    assert made.pip_options == ["--index-url https://index.example/simple"]
    assert parse_conda(made.serialize_to_string().encode(), "text") == made.spec.__class__(
        "project_environment",
        ("conda-forge",),
        ("numpy=1.26",),
        ("--index-url https://index.example/simple", "A==2"),
        "3.13",
    )
    assert CondaDependencies.merge_requirements(["a>=1", "A<2", "b"]) == ["a<2,>=1", "b"]


def test_conda_packages_are_taken_as_wheels_where_nothing_can_solve_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere; what no wheel stands for is refused, with the extra that solves it."""
    monkeypatch.setitem(sys.modules, "rattler", None)  # as Python notes that there is none
    spec = CondaDependencies.create(conda_packages=["scikit-learn=1.2", "pytorch::pytorch==2.1", "numpy>=1.2"]).spec
    conda, wheels, said = make_conda(spec)
    assert conda is None
    assert wheels == ("scikit-learn==1.2.*", "torch==2.1", "numpy>=1.2")
    assert "modelcrate[conda]" in "".join(said)
    with pytest.raises(UserError, match="nodejs is a package of conda") as fault:
        make_conda(CondaDependencies.create(conda_packages=["nodejs=20"]).spec)
    assert fault.value.hint.startswith("pip install 'modelcrate[conda]'")


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("conda-forge::numpy=1.26=py311_0", "numpy==1.26.*"),
        ("Numpy==1.26.4", "numpy==1.26.4"),
        ("numpy<2", "numpy<2"),
    ],
)
def test_conda_packages_as_requirements(conda: str, pip: str) -> None:
    assert as_requirement(conda) == pip


@pytest.mark.parametrize(
    "text", ["[]", "a: [", "dependencies: numpy", "dependencies: [[a]]", "dependencies: [python=x]"]
)
def test_files_that_are_no_conda_environments(text: str) -> None:
    with pytest.raises(UserError):
        parse_conda(text.encode(), "env.yml")


def test_options_of_pip_say_where_packages_are() -> None:
    found = dependencies(
        ["-i https://a.example", "--extra-index-url=https://b.example", "--find-links /wheels", "numpy"]
    )
    assert (found.requirements, found.index_url, found.extra_index_urls, str(found.wheelhouse)) == (
        ("numpy",),
        "https://a.example",
        ("https://b.example",),
        "/wheels",
    )
    with pytest.raises(UserError, match="not supported"):
        dependencies(["--pre"])


def test_a_workspace_is_found_by_the_originals_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCRATE_HOME", str(tmp_path / "home"))
    facts = {"subscription_id": "s", "resource_group": "g", "workspace_name": "ws"}
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "config.json").write_text(json.dumps(facts))
    monkeypatch.chdir(tmp_path / "a" / "b")
    found = Workspace.from_config()
    assert (found.name, found.resource_group) == ("ws", "g")
    assert found.address == f"folder:{tmp_path / 'home' / 'workspaces' / 'ws'}"
    made = Workspace(address="here")
    made.write_config()
    assert Workspace.from_config().address == made.address == f"folder:{tmp_path / 'a' / 'b' / 'here'}"
    assert Model.list(Workspace.create("fresh")) == []
    assert Workspace.get("fresh").name == "fresh"


def test_a_workspace_by_the_other_form_of_the_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCRATE_HOME", str(tmp_path / "home"))
    scope = "/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/team"
    (tmp_path / "config.json").write_text(json.dumps({"Id": None, "Scope": scope}))
    found = Workspace.from_config(path=str(tmp_path), _file_name="config.json")
    assert (found.name, found.resource_group, found.subscription_id) == ("team", "rg", "s-1")


def test_metrics_are_tags_as_they_are(ws: Workspace, files: Path) -> None:
    path = str(files / "models" / "one.bin")
    model = Model.register(ws, path, "one", tags={"score": 0.8, "best": True}, properties={"rows": 3})  # type: ignore[dict-item]
    model.add_tags({"epoch": 2})  # type: ignore[dict-item]
    found = Model(ws, "one")
    assert found.tags == {"score": "0.8", "best": "True", "epoch": "2"}
    assert found.properties == {"rows": "3"}
    with pytest.raises(UserError, match="not a tag"):
        model.add_tags({"list": [1]})  # type: ignore[dict-item]


def test_row_1_a_model_with_all_its_facts(ws: Workspace, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ResourceConfiguration(cpu=1, memory_in_gb=0.5)
    made = Model.register(
        workspace=ws,
        model_path=str(files / "models" / "two"),
        model_name="two",
        tags={"area": "x"},
        properties={"run": "1"},
        description="words",
        model_framework=Model.Framework.SCIKITLEARN,
        model_framework_version="1.9.1",
        child_paths=["config.json", "weights"],
        resource_configuration=asked,
    )
    assert capsys.readouterr().out == "Registering model two\n"
    found = Model(ws, "two")
    assert found.serialize() == made.serialize()
    assert (found.id, found.version, found.model_framework) == ("two:1", 1, "ScikitLearn")
    assert found.resource_configuration == asked
    assert Model(ws, id="two:1").tags == {"area": "x"}
    assert Model(ws, "two", tags=["area", ["area", "x"]]).version == 1
    with pytest.raises(UserError, match="has these tags"):
        Model(ws, "two", tags=["nothing"])
    with pytest.raises(WebserviceException, match="datasets"):
        Model.register(ws, str(files / "models/one.bin"), "m", datasets=[("a", "b")])
    with pytest.raises(WebserviceException, match="the id of a run is not in modelcrate"):
        Model.list(ws, run_id="1")


def test_row_1_a_model_is_updated_and_downloaded(ws: Workspace, files: Path, tmp_path: Path) -> None:
    model = Model.register(ws, str(files / "models/one.bin"), "one", tags={"a": "1"})
    model.add_tags({"b": "2"})
    model.remove_tags(["a"])
    model.add_properties({"p": "1"})
    model.update(description="words")
    found = Model(ws, "one")
    assert (found.tags, found.properties, found.description) == ({"b": "2"}, {"p": "1"}, "words")
    model.update(tags={"only": "this"})
    assert Model(ws, "one").tags == {"only": "this"}
    place = model.download(str(tmp_path / "down"))
    assert Path(place).read_bytes() == (files / "models/one.bin").read_bytes()
    with pytest.raises(UserError, match="exists already"):
        model.download(str(tmp_path / "down"))
    model.download(str(tmp_path / "down"), exist_ok=True)
    assert [each.id for each in Model.list(ws, latest=True)] == ["one:1"]


def test_get_model_path_finds_the_newest_version_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (2, 10):
        (tmp_path / "azureml-models" / "m" / str(version)).mkdir(parents=True)
        (tmp_path / "azureml-models" / "m" / str(version) / "file.bin").write_text("")
    (tmp_path / "azureml-models" / "m" / "notes").mkdir()
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Model.get_model_path("m") == str(tmp_path / "azureml-models/m/10/file.bin")
    assert Model.get_model_path("m", 2) == str(tmp_path / "azureml-models/m/2/file.bin")
    (tmp_path / "beside").mkdir()
    assert Model.get_model_path("beside") == "beside"
    with pytest.raises(UserError, match="neither in"):
        Model.get_model_path("other")
    with pytest.raises(UserError, match="has to be an int"):
        Model.get_model_path("m", "2")  # type: ignore[arg-type]
    (tmp_path / "azureml-models/m/10/second").write_text("")
    with pytest.raises(UserError, match="found 2"):
        Model.get_model_path("m")


def test_microsofts_bases_are_taken_only_where_their_python_is_wanted() -> None:
    made = Environment("one")
    made.docker.base_image = DEFAULT_GPU_IMAGE
    found = with_environment(made, Project("one", None))
    assert str(found.project.base) == "debian"
    assert any("has conda and no packages" in each for each in found.notices)
    made.python.interpreter_path = "/opt/miniconda/bin/python"
    found = with_environment(made, Project("one", None))
    assert (found.notices, str(found.project.base)) == ((), DEFAULT_GPU_IMAGE)


def test_packages_that_are_not_installed_are_named() -> None:
    made = Environment.from_docker_image("one", "reg.example/base:1")
    made.python.conda_dependencies = CondaDependencies.create(pip_packages=["azureml-defaults", "attrs"])
    found = with_environment(made, Project("one", None))
    assert found.project.dependencies.requirements == ()
    assert [each for each in found.notices if each.endswith("has all packages: attrs")]


def test_a_conda_files_requirements_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("idna==3.10\n")
    (tmp_path / "requirements.txt").write_text("-r more.txt\nattrs  # here\n")
    (tmp_path / "env.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - -r requirements.txt\n  - six\n")
    made = Environment.from_conda_specification("one", str(tmp_path / "env.yml"))
    assert made.python.conda_dependencies is not None
    assert made.python.conda_dependencies.pip_packages == ["idna==3.10", "attrs", "six"]
    assert made.python.conda_dependencies.python_version == "3.11"
    (tmp_path / "more.txt").write_text("-r requirements.txt\n")
    with pytest.raises(UserError, match="include each other"):
        CondaDependencies(str(tmp_path / "env.yml"))


def test_a_misspelt_field_of_an_environment_is_not_passed_over() -> None:
    environment: Any = Environment("e")
    with pytest.raises(AttributeError, match="enviroment_variables"):
        environment.enviroment_variables = {"A": "1"}
    with pytest.warns(UserWarning, match="without effect: environment_variables"):
        Environment("e", environment_variables={"A": "1"})


@pytest.mark.parametrize(
    ("place", "value", "hint"),
    [
        ("docker", None, "a DockerSection"),
        ("docker.base_image", 3, "a text"),
        ("docker.base_image_registry", "registry.example", "base_image_registry.address = 'HOST'"),
        ("docker.platform", "linux/arm64", "platform.architecture = 'arm64'"),
        ("python", "3.11", "a PythonSection"),
        ("python.conda_dependencies", "conda.yml", "CondaDependencies(FILE)"),
        ("python.interpreter_path", None, "a text"),
        ("environment_variables", ["A=1"], "a dictionary of names and values"),
    ],
)
def test_a_field_of_another_type_is_named(place: str, value: object, hint: str) -> None:
    environment = Environment("e")
    section, _, name = place.rpartition(".")
    setattr(getattr(environment, section) if section else environment, name, value)
    with pytest.raises(UserError) as caught:
        with_environment(environment, Project("e", None))
    assert name in caught.value.what
    assert caught.value.hint == f"expected {hint}"


def test_an_absolute_entry_script_is_one_of_its_source_directory(script: Path, tmp_path: Path) -> None:
    config = InferenceConfig(str(script), source_directory=str(script.parent), environment=Environment("e"))
    assert config.entry_script == "score.py"
    assert config.variables["AZUREML_ENTRY_SCRIPT"] == "src/score.py"
    assert InferenceConfig(str(script), environment=Environment("e")).script == script
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="is not in the source directory"):
        InferenceConfig(str(script), source_directory=str(tmp_path / "other"), environment=Environment("e"))


def test_objects_of_another_type_are_named(ws: Workspace, script: Path) -> None:
    model: Any = Model
    config = InferenceConfig(str(script), environment=Environment("e"))
    for call, said in (
        (lambda: model.package(None, [], config), "workspace is None"),
        (lambda: model.package(ws, None, config), "models are a list"),
        (lambda: model.package(ws, [None], config), "an item of models is None"),
        (lambda: model.package(ws, [], "score.py"), "inference_config is 'score.py'"),
        (lambda: model.deploy(ws, "x", [], "score.py"), "inference_config is 'score.py'"),
        (lambda: model.register(ws, str(script), "x", tags=["a"]), "tags or properties is ['a']"),
        (lambda: InferenceConfig(str(script), environment="e"), "environment is 'e'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert said in caught.value.what
