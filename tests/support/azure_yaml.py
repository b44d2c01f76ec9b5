"""Deployments in the YAML of Azure's CLI v2, with the files that they refer to, written into a folder."""

from __future__ import annotations

from pathlib import Path

SCHEMA = "https://azuremlschemas.azureedge.net/latest/"
HEAD = f"""\
$schema: {SCHEMA}managedOnlineDeployment.schema.json
name: blue
endpoint_name: flowers
instance_type: Standard_DS3_v2
"""

FILES = {
    "online/model-1/model/words.txt": "a b c\n",
    "online/model-1/onlinescoring/score.py": """\
import json
import os
import pathlib


def init():
    global words
    words = (pathlib.Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "words.txt").read_text().split()


def run(data):
    return {"known": [word in words for word in json.loads(data)["data"]], "level": os.environ.get("LEVEL")}
""",
    "online/model-1/environment/conda.yml": """\
name: flowers
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip
  - pip:
      - azureml-inference-server-http
""",
    "online/model-1/environment/conda-with-packages.yml": """\
channels: [conda-forge]
dependencies:
  - python=3.12.4
  - pip:
      - -r requirements.txt
      - azureml-defaults==1.60
      - attrs>=23
""",
    "online/model-1/environment/requirements.txt": "# read by the conda file\nidna==3.10\n",
    "online/model-1/environment/env.yml": f"""\
$schema: {SCHEMA}environment.schema.json
name: flowers-env
version: "2"
image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest
conda_file: conda.yml
description: read from a file of its own
tags: {{team: x}}
""",
    "online/model-1/environment/docker/Dockerfile": "FROM reg.example/team/base:1\nENV LEVEL=docker\n",
    "online/model-1/model.yml": f"$schema: {SCHEMA}model.schema.json\nname: flowers\nversion: 4\npath: model\ntype: custom_model\n",
}

NAMELESS = "# without a name and an endpoint\n"
MODEL = "model: {path: ../../model-1/model/}\n"
CODE = "code_configuration: {code: ../../model-1/onlinescoring/, scoring_script: score.py}\n"
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"
CONDA = f"environment: {{image: '{IMAGE}', conda_file: ../../model-1/environment/conda.yml}}\n"
ROUTES = "liveness_route: {port: 8501, path: /v1/models/m}, readiness_route: {port: 8501, path: /v1/models/m}"

DEPLOYMENTS = {
    "usual": MODEL + CODE + CONDA,
    "numbers as variables": MODEL
    + CODE
    + CONDA
    + "environment_variables: {LEVEL: 3, DEBUG: true, RATE: 0.5, NAME: x}\n",
    "all of the deployment": MODEL
    + CODE
    + CONDA
    + "instance_count: 2\ntags: {a: b}\ndescription: d\nproperties: {p: q}\napp_insights_enabled: true\ntype: managed\n"
    + "request_settings: {request_timeout_ms: 3000, max_concurrent_requests_per_instance: 2, max_queue_wait_ms: 3}\n"
    + "liveness_probe: {initial_delay: 10, period: 10, timeout: 2, success_threshold: 1, failure_threshold: 30}\n"
    + "readiness_probe: {initial_delay: 10, period: 10}\nscale_settings: {type: default}\n"
    + "egress_public_network_access: disabled\n",
    "registered": "model: azureml:flowers:1\n" + CODE + "environment: azureml:flowers-env:2\n",
    "latest": "model: azureml:flowers@latest\n" + CODE + "environment: azureml:flowers-env@latest\n",
    "environment of a file": MODEL + CODE + "environment: file:../../model-1/environment/env.yml\n",
    "conda inline": MODEL
    + CODE
    + "environment:\n  image: reg.example/team/base:1\n  conda_file:\n    dependencies: [python=3.11, {pip: [idna]}]\n",
    "conda without an image": MODEL
    + CODE
    + "environment: {conda_file: ../../model-1/environment/conda-with-packages.yml}\n",
    "an image with all packages": MODEL + CODE + "environment: {image: 'reg.example/team/base:1'}\n",
    "a Dockerfile": MODEL + CODE + "environment: {build: {path: ../../model-1/environment/docker}}\n",
    "a server of its own": "model: {name: m, version: 1, path: ../../model-1/model}\n"
    "environment_variables: {MODEL_BASE_PATH: /var/mounted/m/1, OTHER: /var/mounted2}\nmodel_mount_path: /var/mounted\n"
    f"environment: {{name: s, version: 1, image: 'reg.example/serving:1', inference_config: {{{ROUTES}, "
    "scoring_route: {port: 8501, path: '/v1/models/m:predict'}}}\n",
    "names on the command line": NAMELESS + MODEL + CODE + CONDA,
    "what says nothing of an image": "model: {path: ../../model-1/model, description: d, stage: Production, tags: {a: b}}\n"
    + CODE
    + f"environment: {{image: '{IMAGE}', conda_file: ../../model-1/environment/conda.yml, description: d, tags: {{a: b}}}}\n"
    + "type: kubernetes\nresources: {requests: {cpu: '1'}}\n",
    "a named model": "model: {name: flowers, version: 7, path: ../../model-1/model, type: custom_model}\n"
    + CODE
    + CONDA,
}
"""By what they show. Each is written to online/managed/sample/blue.yml."""


def write(folder: Path, text: str) -> Path:
    """Writes the files and a deployment, and returns the path of the deployment."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    file = folder / "online" / "managed" / "sample" / "blue.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    head = HEAD.replace("name: blue\nendpoint_name: flowers\n", "") if text.startswith(NAMELESS) else HEAD
    file.write_text(head + text)
    return file
