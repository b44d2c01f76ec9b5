"""The calls of Azure's documentation of SDK v1 about local deployments, page by page and in its order, by `modelcrate azureml run`.

The pages: deploy locally, troubleshoot a local deployment, deploy and where, update a service, several models, deploy to a compute instance and
consume a service; profile a model and GPUs, which are a cloud's. tests/e2e/test_article.py has the page about packages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.azureml.absent import CLOUD, COMPUTE, DATA, KEYS, PROFILE
from support import demo
from support.command import Crate
from support.containers import why_not
from support.ports import free_port

pytestmark = [pytest.mark.network, pytest.mark.slow]

FILES = {
    ".azureml/config.json": json.dumps({"subscription_id": "s", "resource_group": "rg", "workspace_name": "team"}),
    "model.json": "[1, 2]",
    "other.json": "[10, 20]",
    "myenv.yml": "name: project_environment\ndependencies:\n- python=3.11\n- pip:\n  - azureml-defaults>=1.0.45\nchannels: [conda-forge]\n",
    "score.py": """\
import json
import os

from azureml.core.model import Model


def init():
    global model
    place = os.path.join(os.getenv("AZUREML_MODEL_DIR"), os.environ.get("MODEL_FILE", "model.json"))
    assert os.path.samefile(place, Model.get_model_path("digits"))
    with open(place) as file:
        model = json.load(file)


def run(raw_data):
    return [sum(weight * x for weight, x in zip(model, row)) for row in json.loads(raw_data)["data"]]
""",
    "source_dir/echo_score.py": "import json\n\n\ndef init():\n    print('This is init')\n\n\ndef run(data):\n"
    "    test = json.loads(data)\n    print(f'received data {test}')\n    return f'test is {test}'\n",
    "source_dir/score.py": "import json\n\nimport idna\n\n\ndef init():\n    pass\n\n\ndef run(data):\n"
    "    return idna.encode(json.loads(data)['query']).decode()\n",
    "both.py": """\
import json
import os

from azureml.core.model import Model


def init():
    global found
    top = os.getenv("AZUREML_MODEL_DIR")
    places = [os.path.join(top, "my_first_model", "1", "model.json"), os.path.join(top, "my_second_model", "2", "other.json")]
    assert all(os.path.samefile(place, Model.get_model_path(name)) for place, name in zip(places, ["my_first_model", "my_second_model"]))
    found = [json.load(open(place)) for place in places]


def run(raw_data):
    return found
""",
}

HEAD = """\
import json
import sys

import requests

from azureml.core import Environment, Model, Webservice, Workspace
from azureml.core.environment import Environment
from azureml.core.model import InferenceConfig, Model
from azureml.core.webservice import AciWebservice, AksWebservice, LocalWebservice, Webservice
from azureml.exceptions import WebserviceException

PORT = int(sys.argv[1])
ws = Workspace.from_config()
test_sample = bytes(json.dumps({"data": [[1, 2], [2, 1]]}), encoding="utf8")


def show(*words):
    print(">", *words)


def says(call, *words, **named):
    try:
        call(*words, **named)
    except WebserviceException as fault:
        show("says:", fault.message.splitlines()[-1].strip())


"""

LOCAL = """\
Model.register(model_path="model.json", model_name="digits", tags={"area": "digits", "type": "sums"}, description="sums", workspace=ws)
Environment.from_conda_specification(name="tutorial-env", file_path="myenv.yml").register(workspace=ws)

model = Model(ws, "digits")
myenv = Environment.get(workspace=ws, name="tutorial-env", version="1")
inference_config = InferenceConfig(entry_script="score.py", environment=myenv)
deployment_config = LocalWebservice.deploy_configuration(port=PORT)
local_service = Model.deploy(
    workspace=ws, name="digits-local", models=[model], inference_config=inference_config, deployment_config=deployment_config
)
local_service.wait_for_deployment(show_output=True)
show(f"Scoring URI is : {local_service.scoring_uri}")
show("Local service port: {}".format(local_service.port))

resp = requests.post(f"http://localhost:{PORT}/score", test_sample, headers={"Content-Type": "application/json"})
show("prediction:", resp.text)

from azureml.core.authentication import InteractiveLoginAuthentication

headers = InteractiveLoginAuthentication().get_authentication_header()
headers.update({"Content-Type": "application/json"})
show("prediction:", requests.post(local_service.scoring_uri, test_sample, headers=headers).json())
show(requests.get(local_service.swagger_uri).json()["swagger"], [each.name for each in Webservice.list(ws)])
says(local_service.get_keys)

show(model.download(target_dir="downloaded", exist_ok=True), open("downloaded/model.json").read())
says(myenv.build_local, workspace=ws, useDocker=False)
myenv.save_to_directory("saved")
show(Environment.load_from_directory("saved").python.conda_dependencies.pip_packages)
local_service.delete()
"""

TROUBLESHOOT = """\
from pathlib import Path

model = Model.register(ws, "model.json", "digits")
myenv = Environment.from_conda_specification(name="env", file_path="myenv.yml")
inference_config = InferenceConfig(entry_script="score.py", environment=myenv)
deployment_config = LocalWebservice.deploy_configuration(port=PORT)
service = Model.deploy(ws, "mymodel", [model], inference_config, deployment_config)
service.wait_for_deployment(True)
show(service.port == PORT, service.run(input_data=test_sample))

Path("score.py").write_text(Path("score.py").read_text().replace("return [sum", "print('edited'); return ['new', *(sum").replace('["data"]]', '["data"])]'))
service.reload()
show(service.run(input_data=test_sample))

myenv.environment_variables = {"MODEL_FILE": "other.json"}
different_model = Model.register(ws, "other.json", "digits")
service.update([different_model], inference_config, deployment_config)
show(service.run(input_data=test_sample), [each.id for each in service.models])
show("edited" in service.get_logs(), "edited" in ws.webservices["mymodel"].get_logs(), len(service.get_logs(num_lines=1).splitlines()))

Path("other.json").write_text("[100, 200]")
new_model = Model.register(model_path="other.json", model_name="digits", tags={"key": "0.1"}, description="test", workspace=ws)
service = Webservice(name="mymodel", workspace=ws)
service.update(models=[new_model], inference_config=inference_config)
service.wait_for_deployment(show_output=True)
show(service.state, service.run(test_sample), service.models[0].tags)
service.delete()
show(service.state, ws.webservices)
"""

WHERE = """\
model = Model.register(ws, model_name="bidaf_onnx", model_path="./model.json")
env = Environment(name="project_environment")
dummy_inference_config = InferenceConfig(environment=env, source_directory="./source_dir", entry_script="./echo_score.py")
deployment_config = LocalWebservice.deploy_configuration(port=PORT)
service = Model.deploy(ws, "myservice", [model], dummy_inference_config, deployment_config, overwrite=True)
service.wait_for_deployment(show_output=True)
show("This is init" in service.get_logs())
uri = service.scoring_uri
show(requests.get(f"http://localhost:{PORT}").text)
data = json.dumps({"query": "color", "context": "fox"})
show(requests.post(uri, data=data, headers={"Content-Type": "application/json"}).json())

env = Environment(name="myenv")
for package in ["idna"]:
    env.python.conda_dependencies.add_pip_package(package)
inference_config = InferenceConfig(environment=env, source_directory="./source_dir", entry_script="./score.py")
service = Model.deploy(ws, "myservice", [model], inference_config, deployment_config, overwrite=True)
service.wait_for_deployment(show_output=True)
data = json.dumps({"query": "b\\u00fccher"})
show(requests.post(service.scoring_uri, data=data, headers={"Content-Type": "application/json"}).json())

deployment_config = AciWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=1, auth_enabled=True)
says(Model.deploy, ws, "myservice", [model], inference_config, deployment_config, overwrite=True)
show(Webservice(workspace=ws, name="myservice").state)
service.delete()
model.delete()
show(ws.models)
"""

SEVERAL = """\
Model.register(ws, "model.json", "my_first_model")
for _ in range(2):
    Model.register(ws, "other.json", "my_second_model")
first_model = Model(ws, name="my_first_model", version=1)
second_model = Model(ws, name="my_second_model", version=2)
inference_config = InferenceConfig("both.py", environment=Environment("both"))
service = Model.deploy(ws, "both", [first_model, second_model], inference_config)
service.wait_for_deployment()
show(service.run("{}"))
service.delete()
"""

OF_A_CLOUD = """\
from azureml.core import Datastore
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.dataset import Dataset
from azureml.core.environment import DEFAULT_GPU_IMAGE
from azureml.data import dataset_type_definitions
from azureml.exceptions import ComputeTargetException

says(lambda: Datastore.get_default(ws))
says(lambda: Dataset.Tabular.from_delimited_files([], header=dataset_type_definitions.PromoteHeadersBehavior.NO_HEADERS))
myenv = Environment.from_conda_specification(name="myenv", file_path="myenv.yml")
myenv.docker.base_image = DEFAULT_GPU_IMAGE
inference_config = InferenceConfig(entry_script="score.py", environment=myenv)
says(Model.profile, ws, "unique_name", [], inference_config, input_dataset=None, cpu=1.0, memory_in_gb=0.5)
try:
    says(ComputeTarget, workspace=ws, name="aks-gpu")
except ComputeTargetException:
    says(lambda: AksCompute.provisioning_configuration(vm_size="Standard_NC6"))
gpu_aks_config = AksWebservice.deploy_configuration(autoscale_enabled=False, num_replicas=3, cpu_cores=2, memory_gb=4)
says(Model.deploy, ws, models=[], inference_config=inference_config, deployment_config=gpu_aks_config, name="aks-dnn")
"""


@pytest.fixture
def crate(tmp_path: Path) -> Iterator[Crate]:
    if why_not("runc") and why_not("namespaces"):
        pytest.skip("no engine works here")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    crate = Crate.at(demo.home(tmp_path / "home"), folder=tmp_path)
    yield crate
    if names := crate("ps", "-aq").out.split():
        crate("rm", "-f", *names).succeeded()


def carried_out(crate: Crate, page: str) -> tuple[list[str], int]:
    """What a page shows, without what builds and containers print; and the port."""
    assert crate.folder is not None
    port = free_port()
    (crate.folder / "page.py").write_text(HEAD + page)
    out = crate("azureml", "run", "page.py", str(port)).succeeded().out
    if "show_output=True" in page:
        assert f"Local webservice is running at http://localhost:{port}\n" in out
    return [line.removeprefix("> ") for line in out.splitlines() if line.startswith("> ")], port


def test_deploy_locally_and_ask(crate: Crate) -> None:
    shown, port = carried_out(crate, LOCAL)
    assert shown == [
        f"Scoring URI is : http://localhost:{port}/score",
        f"Local service port: {port}",
        "prediction: [5, 4]",
        "prediction: [5, 4]",
        "2.0 ['digits-local']",
        f"says: {KEYS.instead}",
        "downloaded/model.json [1, 2]",
        "says: Model.package and Model.deploy build both",
        "['azureml-defaults>=1.0.45']",
    ]


def test_troubleshoot_reload_and_update(crate: Crate) -> None:
    shown, _ = carried_out(crate, TROUBLESHOOT)
    assert shown == [
        "True [5, 4]",
        "['new', 5, 4]",
        "['new', 50, 40] ['digits:2']",
        "True True 1",
        "running ['new', 500, 400] {'key': '0.1'}",
        "deleted {}",
    ]


def test_deploy_and_where(crate: Crate) -> None:
    shown, _ = carried_out(crate, WHERE)
    assert shown == [
        "True",
        "Healthy",
        "test is {'query': 'color', 'context': 'fox'}",
        "xn--bcher-kva",
        f"says: {CLOUD.instead}",
        "running",
        "{}",
    ]


def test_several_models(crate: Crate) -> None:
    assert carried_out(crate, SEVERAL)[0] == ["[[1, 2], [10, 20]]"]


def test_what_is_a_clouds_says_what_to_do(crate: Crate) -> None:
    assert carried_out(crate, OF_A_CLOUD)[0] == [
        f"says: {DATA.instead}",
        f"says: {DATA.instead}",
        f"says: {PROFILE.instead}",
        f"says: {COMPUTE.instead}",
        f"says: {CLOUD.instead}",
    ]
