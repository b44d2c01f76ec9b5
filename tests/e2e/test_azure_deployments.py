"""Services on this machine as users of Azure's SDK v1 and CLI v2 make them: a script that runs unchanged, and a deployment's YAML."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import azure_yaml, demo
from support.command import Crate
from support.containers import why_not
from support.ports import free_port

pytestmark = [pytest.mark.network, pytest.mark.slow]

SCORE = azure_yaml.FILES["online/model-1/onlinescoring/score.py"].replace(' / "model" / "words.txt"', ' / "words.txt"')

DEPLOY = """\
import json
import sys

from azureml.core import Environment, Model, Workspace
from azureml.core.authentication import InteractiveLoginAuthentication
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.model import InferenceConfig
from azureml.core.webservice import AciWebservice, LocalWebservice, Webservice
from azureml.exceptions import WebserviceException

ws = Workspace.get(name="team", subscription_id="s", resource_group="rg", auth=InteractiveLoginAuthentication())
print(ws.name, ws.resource_group, sep="\\n")
model = Model.register(workspace=ws, model_path="words.txt", model_name="words", tags={"kind": "list"})
environment = Environment("words-env")
environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["azureml-defaults"], python_version="3.11")
environment.environment_variables = {"LEVEL": "one"}
environment.register(ws)
inference_config = InferenceConfig(entry_script="score.py", source_directory="src", environment=environment)

try:
    Model.deploy(ws, "words", [model], inference_config, AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=1))
except WebserviceException as fault:
    print("cloud:", fault.message.splitlines()[-1].strip())
try:
    Webservice(ws, "words")
except WebserviceException as fault:
    print("none yet")

config = LocalWebservice.deploy_configuration(port=int(sys.argv[1]))
service = Model.deploy(ws, "words", [model], inference_config, config)
service.wait_for_deployment(show_output=True)
print(service.state, service.scoring_uri, service.swagger_uri)
print(json.dumps(service.run(json.dumps({"data": ["a", "z"]}))))
try:
    service.run("no JSON")
except WebserviceException as fault:
    print("failed:", "500" in fault.message, "JSONDecodeError" in service.get_logs())
try:
    Model.deploy(ws, "words", [model], inference_config, config)
except WebserviceException as fault:
    print("exists:", "overwrite=True" in fault.message)
sys.exit(7)
"""

LATER = """\
import json

from azureml.core import Environment, Model, Webservice, Workspace
from azureml.core.model import InferenceConfig

ws = Workspace.get("team")
service = Webservice(ws, "words")
print(list(ws.webservices), [each.id for each in service.models], service.environment.name, service.port)

text = open("src/score.py").read()
open("src/score.py", "w").write(text.replace('"known"', '"found"'))
service.reload()  # and asked at once, as the original's documentation does
print(json.dumps(service.run(json.dumps({"data": ["a", "z"]}))))

open("words.txt", "w").write("z")
model = Model.register(ws, "words.txt", "words")
environment = Environment.get(ws, "words-env")
environment.environment_variables["LEVEL"] = "two"
service.update([model], InferenceConfig("score.py", source_directory="src", environment=environment), None, True)
print(json.dumps(service.run(json.dumps({"data": ["a", "z"]}))), service.models[0].id, service.port)

open("src/score.py", "w").write("def init():\\n    raise ValueError('not today')\\n\\n\\ndef run(data):\\n    pass\\n")
service.reload()
try:
    service.wait_for_deployment()
except Exception as fault:
    print("failed to start:", "not today" in str(fault), service.state, service.scoring_uri)
service.delete(delete_image=True)
print(service.state, ws.webservices, service.scoring_uri)
"""


@pytest.fixture
def crate(tmp_path: Path) -> Iterator[Crate]:
    if why_not("runc") and why_not("namespaces"):
        pytest.skip("no engine works here")
    crate = Crate.at(demo.home(tmp_path / "home"), folder=tmp_path)
    yield crate
    if names := crate("ps", "-aq").out.split():
        crate("rm", "-f", *names).succeeded()


def ask(uri: str, data: dict[str, Any]) -> Any:
    request = urllib.request.Request(uri, json.dumps(data).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_a_script_of_the_sdk_deploys_asks_updates_and_deletes(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "score.py").write_text(SCORE)
    (tmp_path / "words.txt").write_text("a b c")
    (tmp_path / "deploy.py").write_text(DEPLOY)
    (tmp_path / "later.py").write_text(LATER)
    port = free_port()
    done = crate("azureml", "run", "deploy.py", str(port))
    assert done.code == 7, done.err
    lines = done.out.splitlines()
    assert lines[:3] == ["team", "rg", "Registering model words"]
    assert lines[3].startswith("cloud: push the image of Model.package to a registry")
    assert lines[4:6] == [
        "none yet",
        "azureml-defaults is left out: the image has modelcrate's server, which answers the same",
    ]
    uri = f"http://localhost:{port}"
    assert lines[-5:] == [
        f"Local webservice is running at {uri}",
        f"running {uri}/score {uri}/swagger.json",
        '{"known": [true, false], "level": "one"}',
        "failed: True True",
        "exists: True",
    ]
    assert any("azmlinfsrv" in line for line in lines[6:-5]), "the log is shown while it starts"
    row = {each["name"]: each for each in crate("ps", "--json").json}["words"]
    assert (row["image"], row["ports"]) == ("words:latest", {"5001": port})

    done = crate("azureml", "run", "later.py").succeeded()
    notice = "azureml-defaults is left out: the image has modelcrate's server, which answers the same"
    assert [line for line in done.out.splitlines() if line != notice] == [
        f"['words'] ['words:1'] words-env {port}",
        '{"found": [true, false], "level": "one"}',
        "Registering model words",
        f'{{"found": [false, true], "level": "two"}} words:2 {port}',
        "failed to start: True failed None",
        "deleted {} None",
    ]
    assert crate("ps", "-aq").out.split() == []
    assert crate("images", "--json").json == []


def test_a_deployments_yaml_is_started_here_and_built_from_its_project_file(crate: Crate, tmp_path: Path) -> None:
    file = azure_yaml.write(tmp_path, azure_yaml.DEPLOYMENTS["usual"] + "environment_variables: {LEVEL: 3}\n")
    port = free_port()
    done = crate("deploy", "--local", str(file), "-p", str(port), "--json").succeeded()
    assert "not taken over: instance_type" in done.err
    assert done.json["scoring_uri"] == f"http://localhost:{port}/score"
    assert ask(done.json["scoring_uri"], {"data": ["a", "z"]}) == {"known": [True, False], "level": "3"}
    file.write_text(file.read_text().replace("LEVEL: 3", "LEVEL: 4"))
    again = crate("deploy", "--local", str(file), "-p", str(port), "--json").succeeded().json
    assert ask(again["scoring_uri"], {"data": ["b"]}) == {"known": [True], "level": "4"}
    assert crate("ps", "-aq").out.split() == ["flowers-blue"], "it takes the place of the one before"
    crate("rm", "-f", "flowers-blue").succeeded()

    written = Path(crate("init", "--from", str(file), "--json").succeeded().json["file"])
    built = crate("build", str(written.parent), "--json").succeeded().json
    assert built["digest"] == again["digest"], "the project file means the same image"
