"""Azure's YAML becomes a project file that is accepted, and what an image can't have is named. tests/interop/test_azure_yaml.py has Azure's judgement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelcrate.azureml import Environment, Model, Workspace
from modelcrate.azureml.v2_projects import V2Project, read_project
from modelcrate.config import Config
from modelcrate.importers import read_configuration
from modelcrate.importers.azure import as_imported
from modelcrate.importers.imported import write_imported
from modelcrate.project.pages import page
from modelcrate.project.reading import read_project as read_file
from modelcrate.project.values import Entry, RegisteredModel
from modelcrate.project.values import Model as FileModel
from modelcrate_layers.errors import SourceError, UserError
from support import azure_yaml
from support.command import Crate


@pytest.fixture
def ws(tmp_path: Path, settings: Config) -> Workspace:
    return Workspace(address=tmp_path / "workspace", settings=settings)


def write_project(found: V2Project, *, force: bool = False) -> Path:
    return write_imported(as_imported(found), force=force)[0]


def read(tmp_path: Path, ws: Workspace, text: str) -> V2Project:
    return read_project(azure_yaml.write(tmp_path / "files", text), ws.backend)


@pytest.mark.parametrize("name", [name for name in azure_yaml.DEPLOYMENTS if name not in ("registered", "latest")])
def test_what_is_written_is_a_project_file(tmp_path: Path, ws: Workspace, name: str) -> None:
    found = read(tmp_path, ws, azure_yaml.DEPLOYMENTS[name])
    path = write_project(found)
    assert path.parent == tmp_path / "files" / "online"
    assert read_file(path) == found.made.project
    with pytest.raises(UserError, match="exists already"):
        write_project(found)
    write_project(found, force=True)


def test_the_usual_deployment(tmp_path: Path, ws: Workspace) -> None:
    found = read(tmp_path, ws, azure_yaml.DEPLOYMENTS["numbers as variables"])
    project = found.made.project
    assert found.folder == (tmp_path / "files" / "online").resolve()
    assert project.name == "flowers"
    assert project.entry == Entry(Path("score.py"), Path("model-1/onlinescoring"))
    assert project.models == (FileModel(Path("model-1/model"), "model", 1),)
    assert (str(project.base), project.python) == ("debian", "3.11")
    assert project.dependencies.requirements == ()
    assert dict(project.env) == {"LEVEL": "3", "DEBUG": "True", "RATE": "0.5", "NAME": "x"}
    said = "\n".join(found.made.notices)
    assert "azureml-inference-server-http is left out" in said
    assert f"the image {azure_yaml.IMAGE} has conda and no packages" in said
    assert found.deployment.not_taken == (
        f"instance_type: Standard_DS3_v2; where it runs decides: {page('next-steps/kubernetes')}",
    )


def test_every_key_that_an_image_can_not_have_is_named_with_what_to_do(tmp_path: Path, ws: Workspace) -> None:
    found = read(tmp_path, ws, azure_yaml.DEPLOYMENTS["all of the deployment"])
    assert [each.partition(":")[0] for each in found.deployment.not_taken] == [
        *("instance_type", "instance_count", "tags", "description", "properties", "app_insights_enabled"),
        *("request_settings", "liveness_probe", "readiness_probe", "scale_settings", "egress_public_network_access"),
    ]
    assert all("; " in each for each in found.deployment.not_taken)


def test_a_conda_file_with_requirements_of_a_file(tmp_path: Path, ws: Workspace) -> None:
    project = read(tmp_path, ws, azure_yaml.DEPLOYMENTS["conda without an image"]).made.project
    assert project.dependencies.requirements == ("idna==3.10", "attrs>=23")
    assert project.python == "3.12"


def test_a_python_that_no_server_runs_on_is_replaced_and_it_is_said(tmp_path: Path, ws: Workspace) -> None:
    conda = "environment: {image: '%s', conda_file: {dependencies: [python=%s, {pip: [idna]}], variables: {A: b}}}\n"
    for python, taken in (("3.7", "3.9"), ("3.8.13", "3.9"), ("3.12", "3.12")):
        found = read(tmp_path, ws, azure_yaml.MODEL + azure_yaml.CODE + conda % (azure_yaml.IMAGE, python))
        assert found.made.project.python == taken
        assert any(f"is taken as {taken}" in each for each in found.made.notices) is (taken == "3.9")
    assert "conda_file: the key 'variables' is not read; set them in modelcrate.yaml" in "\n".join(
        found.deployment.not_taken
    )
    own = read(tmp_path, ws, azure_yaml.MODEL + azure_yaml.CODE + conda % ("reg.example/own:1", "3.8"))
    assert own.made.project.python == "3.8", "a base of one's own is looked at when it is there"


def test_a_base_of_the_users_own_is_kept(tmp_path: Path, ws: Workspace) -> None:
    for name in ("conda inline", "an image with all packages", "a Dockerfile"):
        project = read(tmp_path / name.replace(" ", "-"), ws, azure_yaml.DEPLOYMENTS[name]).made.project
        assert str(project.base) == "reg.example/team/base:1"
        assert project.dependencies.requirements == (("idna",) if name == "conda inline" else ())
    assert dict(project.env) == {"LEVEL": "docker"}


@pytest.mark.parametrize(("which", "tag"), [("labels/latest", "latest"), ("versions/21", "21")])
def test_a_curated_environment_is_its_public_image(tmp_path: Path, ws: Workspace, which: str, tag: str) -> None:
    text = f"environment: azureml://registries/azureml/environments/sklearn-1.5/{which}\n"
    found = read(tmp_path, ws, azure_yaml.MODEL + azure_yaml.CODE + text)
    assert str(found.made.project.base) == f"mcr.microsoft.com/azureml/curated/sklearn-1.5:{tag}"
    assert "has to bring all packages" in "\n".join(found.made.notices)


def test_a_server_of_its_own_finds_the_models_where_they_are(tmp_path: Path, ws: Workspace) -> None:
    found = read(tmp_path, ws, azure_yaml.DEPLOYMENTS["a server of its own"])
    project = found.made.project
    assert (project.entry, str(project.base)) == (None, "reg.example/serving:1")
    assert dict(project.env) == {"MODEL_BASE_PATH": "/var/azureml-app/azureml-models/m/1", "OTHER": "/var/mounted2"}
    assert "changed so: MODEL_BASE_PATH" in "\n".join(found.made.notices)
    assert found.health is not None
    assert found.scoring is not None
    assert (found.health.port, found.health.path, found.scoring.path) == (8501, "/v1/models/m", "/v1/models/m:predict")


def test_registered_assets_come_from_the_workspace(tmp_path: Path, ws: Workspace, files: Path) -> None:
    text = azure_yaml.DEPLOYMENTS["registered"]
    with pytest.raises(
        SourceError, match=r"no environment flowers-env of version 2(?s:.*)write environment: file:FILE"
    ):
        read(tmp_path, ws, text)
    for level in ("1", "2"):
        made = Environment("flowers-env")
        made.environment_variables["LEVEL"] = level
        made.register(ws)
    found = read(tmp_path, ws, text)
    assert "the model flowers:1 is not in the workspace" in "\n".join(found.made.notices)
    Model.register(ws, str(files / "models" / "one.bin"), "flowers")
    found = read(tmp_path, ws, text)
    assert found.made.notices == ()
    assert found.made.project.models == (RegisteredModel("flowers", 1),)
    assert found.made.project.workspace == ws.address
    assert dict(found.made.project.env) == {"LEVEL": "2"}
    latest = read(tmp_path, ws, azure_yaml.DEPLOYMENTS["latest"]).made.project
    assert latest.models == (RegisteredModel("flowers"),)
    assert read_file(write_project(found)) == found.made.project


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: azureml://registries/azureml/models/m/versions/3\n", "az ml model download --registry-name azureml"),
        (
            "model: azureml:m:1\nenvironment: azureml://registries/ours/environments/sklearn/versions/3\n",
            "az ml environment show --registry-name ours --name sklearn --version 3",
        ),
        ("model: azureml:m@Production\n", "name a version, or @latest"),
        ("model: azureml:m:1.0.2\n", "versions of a workspace are 1, 2, 3"),
        ("model: m:1\n", "did you mean azureml:m:1"),
        ("model: azureml://registries/r/models/x/1\n", "expected azureml:NAME:VERSION"),
        ("environment: env.yml\n", "did you mean file:env.yml"),
        ("model: {path: azureml://jobs/x/outputs/y}\n", "download it"),
        ("model: {path: ./none}\n", "looked for it at /"),
        (azure_yaml.MODEL + "code_configuration: {code: 'azureml:c:1', scoring_script: s.py}\n", "code: FOLDER"),
        (azure_yaml.MODEL + "code_configuration: {code: src}\n", "scoring_script: score.py"),
        (azure_yaml.MODEL + "code_configuration: {code: ., scoring_script: none.py}\n", "looked for it at /"),
        ("environment: {image: 'reg.example/x:1'}\n", "modelcrate run reg.example/x:1"),
        ("environment: {image: x, os_type: windows}\n", "images are made for Linux"),
        ("instance_typ: x\n", "did you mean 'instance_type'"),
        ("model: {path: .}\nname: {{NAME}}\n", "{{NAME}} is a place to be filled in: put the value there first"),
        ("model: {path: $MODEL}\n", "$MODEL is a place to be filled in"),
        (azure_yaml.MODEL + "code_configuration: {code: <CODE_DIR>, scoring_script: s.py}\n", "<CODE_DIR> is a place"),
        (azure_yaml.MODEL + "environment: {image: '#{ACR}#.azurecr.io/x:1'}\n", "#{ACR}# is a place to be filled in"),
        ("model: {local_path: ./m.pkl}\n", "the CLI's preview of 2021 had it; now it is 'path'"),
        ("model: azureml:<MODEL_NAME>:<VERSION>\n", "<MODEL_NAME> is a place to be filled in"),
        (
            azure_yaml.MODEL + "code_configuration: {code: {path: src}, scoring_script: s.py}\n",
            "write one text behind it: code",
        ),
        (
            azure_yaml.MODEL + "inference_config: {liveness_route: {port: 1, path: /}}\n",
            "it is a key of an environment",
        ),
        ("description: only a machine\n", "write model: azureml:NAME:VERSION, or model: {path: FOLDER}"),
    ],
)
def test_no_refusal_without_a_way_out(tmp_path: Path, ws: Workspace, text: str, said: str) -> None:
    with pytest.raises(UserError) as fault:
        read(tmp_path, ws, text)
    assert said in str(fault.value)


def test_names_may_be_those_of_the_command_line(tmp_path: Path, ws: Workspace) -> None:
    """`az ml online-deployment create --name --endpoint-name` gives them, and many files leave them out."""
    file = azure_yaml.write(tmp_path / "files", azure_yaml.DEPLOYMENTS["usual"])
    file.write_text(file.read_text().replace("name: blue\nendpoint_name: flowers\n", ""))
    found = read_project(file, ws.backend)
    assert (found.deployment.name, found.deployment.endpoint, found.made.project.name) == ("", "", "sample")
    assert "az takes it from its command line; the project is called sample" in "\n".join(found.made.notices)
    keys = file.read_text().partition("\n")[2]
    for schema in (
        "",
        "$schema: https://learn.microsoft.com/azure/reference-yaml-deployment-online?view=azureml-api-2\n",
    ):
        file.write_text(schema + keys)
        assert read_project(file, ws.backend).made.project == found.made.project, "the keys say what it is"


def test_keys_of_a_model_and_an_environment_that_say_nothing_of_an_image_are_named(
    tmp_path: Path, ws: Workspace
) -> None:
    text = azure_yaml.CODE + (
        "model: {path: ../../model-1/model, stage: Production, tags: {a: b}}\n"
        "environment: file:../../model-1/environment/env.yml\n"
    )
    assert [each.partition(":")[0] for each in read(tmp_path, ws, text).deployment.not_taken] == [
        *("instance_type", "model.stage", "model.tags", "environment.description", "environment.tags")
    ]


@pytest.mark.parametrize(
    "value", ["${{azureml://connections/one/credentials/key}}", "keyvaultref:https://v.vault.azure.net/secrets/s"]
)
def test_no_secret_of_the_cloud_goes_into_an_image(tmp_path: Path, ws: Workspace, value: str) -> None:
    text = azure_yaml.DEPLOYMENTS["usual"] + f"environment_variables: {{KEY: '{value}', OTHER: '$x'}}\n"
    found = read(tmp_path, ws, text)
    assert dict(found.made.project.env) == {"OTHER": "$x"}
    assert "environment_variables.KEY is left out: a secret of the cloud" in "\n".join(found.made.notices)


def test_a_curated_environment_by_its_name_in_a_workspace(tmp_path: Path, ws: Workspace) -> None:
    text = azure_yaml.MODEL + azure_yaml.CODE + "environment: azureml:AzureML-sklearn-1.0-ubuntu20.04-py38-cpu:7\n"
    base = "mcr.microsoft.com/azureml/curated/sklearn-1.0-ubuntu20.04-py38-cpu:7"
    assert str(read(tmp_path, ws, text).made.project.base) == base
    with pytest.warns(UserWarning, match="Azure's public image of it is the base"):
        made = Environment.get(ws, "azureml-sklearn-1.5")
    assert made.docker.base_image == "mcr.microsoft.com/azureml/curated/sklearn-1.5:latest"
    with pytest.warns(UserWarning, match="without packages"):
        assert Environment.get(ws, "AzureML-Minimal").docker.base_image is None
    made.register(ws)
    assert Environment.get(ws, "azureml-sklearn-1.5").version == "1", "what is registered goes before"


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    "text",
    [
        'model: {path: "a\\0b"}\n',
        f"model: {{path: {'a' * 5000}}}\n",
        "environment: {conda_file: {dependencies: 5}}\n",
        "environment: {conda_file: {dependencies: [5, {pip: 7}]}}\n",
        "environment: {conda_file: {dependencies: [{pip: [[a]]}]}}\n",
        "environment: {conda_file: 5}\n",
        "environment: {build: 5}\n",
        "environment: {image: x, inference_config: {liveness_route: 1, readiness_route: 2, scoring_route: 3}}\n",
        "environment_variables: [A]\n",
        "environment_variables: {A: {B: 1}}\n",
        "model: 5\n",
        "model: file:online\n",
        "code_configuration: {code: {a: b}, scoring_script: [c]}\n",
        "endpoint_name: {a: b}\n",
        BOMB + "tags: *a29\n",
    ],
)
def test_hostile_files_are_the_users_fault(tmp_path: Path, ws: Workspace, text: str) -> None:
    file = azure_yaml.write(tmp_path / "files", text)
    with pytest.raises((UserError, SourceError, OSError)):
        read_project(file, ws.backend)


def test_a_value_without_an_end_is_shown_in_part(tmp_path: Path, ws: Workspace) -> None:
    text = azure_yaml.DEPLOYMENTS["usual"] + "tags:\n" + "".join(f"  {line}\n" for line in BOMB.splitlines())
    found = read(tmp_path, ws, text)
    assert max(len(each) for each in found.deployment.not_taken) < 300


def test_all_faults_are_named_at_once(tmp_path: Path, ws: Workspace) -> None:
    text = "model: {path: ./none}\nenvironment: {imag: x}\ncode_configuration: {scoring_script: none.py}\n"
    with pytest.raises(UserError) as fault:
        read(tmp_path, ws, text)
    assert fault.value.faults == 3


@pytest.mark.parametrize(
    "text",
    [
        "$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json\nname: e\nauth_mode: key\n",
        "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\ncommand: python x.py\n",
        "$schema: https://azuremlschemas.azureedge.net/latest/batchDeployment.schema.json\nendpoint_name: e\n",
        "key: value\n",
        "- a\n",
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, ws: Workspace, text: str) -> None:
    (tmp_path / "x.yml").write_text(text)
    with pytest.raises(UserError) as fault:
        read_project(tmp_path / "x.yml", ws.backend)
    assert "online deployment" in fault.value.hint


def test_a_model_or_an_environment_alone(tmp_path: Path, ws: Workspace) -> None:
    azure_yaml.write(tmp_path, azure_yaml.MODEL)
    found = read_project(tmp_path / "online" / "model-1" / "model.yml", ws.backend)
    assert found.made.project.models == (FileModel(Path("model"), "flowers", 4),)
    environment = tmp_path / "online" / "model-1" / "environment" / "env.yml"
    text = environment.read_text()
    environment.write_text(re.sub("image: .*", "image: r.example/base:1", text))
    with pytest.raises(UserError, match="neither a model nor code") as fault:
        read_project(environment, ws.backend)
    assert f"modelcrate init FOLDER --from {environment}" in fault.value.hint, "its image lacks its packages"
    environment.write_text(text)
    (environment.parent / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (environment.parent / "requirements.txt").write_text("not-this-one\n")
    found = read_project(environment, ws.backend)
    assert found.made.project.entry == Entry(Path("score.py"))
    assert (found.made.project.python, found.made.project.dependencies.requirements) == ("3.11", ())
    assert "detected entry script" in "\n".join(found.made.notices)
    assert read_file(write_project(found)) == found.made.project


def test_a_named_folder_has_to_have_all_of_it(tmp_path: Path, ws: Workspace) -> None:
    file = azure_yaml.write(tmp_path, azure_yaml.DEPLOYMENTS["usual"])
    found = read_project(file, ws.backend, tmp_path)
    assert found.made.project.entry == Entry(Path("score.py"), Path("online/model-1/onlinescoring"))
    with pytest.raises(UserError, match="is outside of the folder"):
        read_project(file, ws.backend, file.parent)


def test_variables_that_the_server_needs_are_left_out_and_named(tmp_path: Path, ws: Workspace) -> None:
    text = azure_yaml.DEPLOYMENTS["usual"] + "environment_variables: {AZUREML_MODEL_DIR: /x, LEVEL: 1}\n"
    found = read(tmp_path, ws, text)
    assert dict(found.made.project.env) == {"LEVEL": "1"}
    assert "environment_variables.AZUREML_MODEL_DIR is left out" in "\n".join(found.made.notices)


def test_on_the_command_line(tmp_path: Path) -> None:
    file = azure_yaml.write(tmp_path / "files", azure_yaml.DEPLOYMENTS["usual"])
    crate = Crate.at(tmp_path / "home", folder=tmp_path)
    shown = crate("init", "--from", str(file)).succeeded().out
    assert "not taken over: instance_type: Standard_DS3_v2; where it runs decides" in shown
    assert shown.endswith(f"wrote {tmp_path}/files/online/modelcrate.yaml\n")
    crate("init", "--from", str(file)).failed(2, "exists already")
    again = crate("init", "--from", str(file), "--force", "--json").succeeded().json
    assert again["file"] == f"{tmp_path}/files/online/modelcrate.yaml"
    assert len(again["not_taken"]) == 1
    crate("deploy", str(file)).failed(2, "--local deploys to this machine")
    crate("init", "--from", "none.yml").failed(3, "can't be read")


def test_a_place_that_is_to_be_filled_in_is_named_with_its_line(tmp_path: Path, ws: Workspace) -> None:
    file = azure_yaml.write(tmp_path / "files", azure_yaml.DEPLOYMENTS["usual"])
    file.write_text(file.read_text() + "environment_variables:\n  A: {{HOST}}.example\n")
    line = len(file.read_text().splitlines())
    for read_it in (lambda: read_project(file, ws.backend), lambda: read_configuration(file, lambda: ws.backend)):
        with pytest.raises(UserError, match="is not YAML") as fault:
            read_it()
        assert fault.value.where.startswith(f"{file}:{line}:")
        assert fault.value.hint == "{{HOST}} is a place to be filled in: put the value there first"
