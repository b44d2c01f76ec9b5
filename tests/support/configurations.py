"""Configurations of other tools with every key that these tools know, and the folders that they are read in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from modelcrate.importers import read_configuration
from modelcrate.importers.imported import Imported
from modelcrate.project.reading import parse_project
from modelcrate.project.writing import project_text
from modelcrate.workspace.backend import WorkspaceBackend
from support.tiny_gguf import tiny_gguf

PREDICTOR = """
from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def setup(self):
        self.factor = int(open("factor.txt").read())

    def predict(self, number: int = Input(description="to be multiplied")) -> int:
        return self.factor * number
"""
SERVICE = """
import bentoml


@bentoml.service
class Sums:
    @bentoml.api
    def sum(self, rows: list[list[float]]) -> list[float]:
        return [sum(row) for row in rows]
"""
TRUSS = """
import numpy as np


class Model:
    def __init__(self, **kwargs):
        self._config, self._data, self._secrets = kwargs["config"], kwargs["data_dir"], kwargs["secrets"]

    def load(self):
        self.factor = self._config["model_metadata"]["factor"] + int((self._data / "factor.txt").read_text())

    def preprocess(self, request):
        return request["rows"]

    async def predict(self, rows):
        return {"sums": np.asarray(rows).sum(axis=1) * self.factor}

    def postprocess(self, found):
        return {**found, "key": self._secrets.get("key", "none")}
"""
COG = """
build:
  gpu: false
  cuda: "12.1"
  cudnn: "8"
  python_version: "3.12.1"
  python_packages: [idna==3.10]
  system_packages: [ffmpeg, libgl1-mesa-glx]
  sdk_version: 0.16.0
  pre_install: [echo a]
  run:
    - pip install flash-attn
    - {command: make install, mounts: [{type: secret, id: pip, target: /etc/pip.conf}]}
image: r8.im/acme/Times_Two
model: r8.im/acme/other
predict: predict.py:Predictor
train: predict.py:train
concurrency: {max: 4, default_target: 2}
environment: [LEVEL=3, HF_TOKEN=hf_placeholder]
weights:
  - {name: w, target: /weights, source: {uri: "hf://acme/model@v1", include: ["*.json"], exclude: ["*.bin"]}}
  - {name: v, target: /other, source: [{uri: "https://files.example/w.tar"}, {uri: weights/local}]}
"""
BENTO = """
service: service:Sums
name: Summing
description: Sums rows
labels: {owner: me, stage: dev}
include: ["*.py", model/]
exclude: [tests/]
python:
  packages: [idna, "-e ."]
  lock_packages: false
  pack_git_packages: true
  index_url: https://index.example/simple
  no_index: false
  trusted_host: [index.example]
  find_links: wheels
  extra_index_url: [https://more.example/simple]
  pip_args: --pre
  wheels: [wheels/a.whl]
  is_src_layout: true
docker:
  distro: alpine
  python_version: 3.11
  cuda_version: "12"
  env: {LEVEL: 3, API_TOKEN: abc}
  system_packages: [ffmpeg]
  setup_script: setup.sh
  dockerfile_template: Dockerfile.template
conda: {channels: [conda-forge], dependencies: [python=3.11, {pip: [attrs]}]}
models: [iris:latest, {tag: "other:1", filter: x, alias: y}]
envs: [{name: MODE, value: fast, stage: runtime}, {name: TOKEN_NAME}, {name: BUILD, value: "1", stage: build}]
args: {size: 3}
"""
KIT = """
manifestVersion: "1.0.0"
package: {name: Sums, version: 2.0.0, description: Sums rows, license: MIT, authors: [A, B]}
model:
  name: tiny
  path: ./model/tiny.gguf
  license: MIT
  framework: llama.cpp
  format: gguf
  version: 1.2.0
  description: small
  parts: [{name: lora, path: model/lora.gguf, license: MIT, type: lora adapter}]
  parameters: {temperature: 0.7}
code: [{path: docs/LICENSE, description: text, license: MIT}]
datasets: [{name: rows, path: data/rows.csv, description: rows, license: MIT, parameters: {a: 1}}]
docs: [{path: README.md, description: text}]
prompts: [{path: prompts/a.md, description: text}]
"""
TRUSS_CONFIG = """
model_name: My Sums
model_metadata: {factor: 2, example_model_input: {rows: [[1, 2]]}}
description: Sums rows
examples_filename: examples.yaml
data_dir: data
external_data: [{url: "https://files.example/w.bin", local_data_path: weights/w.bin, backend: http_public, name: w}]
external_package_dirs: [../shared]
python_version: py311
requirements: [idna]
system_packages: [ffmpeg]
environment_variables: {LEVEL: 3, HF_TOKEN: abc}
secrets: {key: null}
resources: {cpu: "1", memory: 2Gi, use_gpu: false, accelerator: null}
runtime: {predict_concurrency: 4, streaming_read_timeout: 60, transport: {kind: http}, health_checks: {startup_threshold_seconds: 3}, enable_tracing_data: true}
build: {arguments: {a: 1}, secret_to_path_mapping: {key: /etc/key}}
build_commands: [make]
model_cache: [{repo_id: acme/model, revision: v1, allow_patterns: ["*.json"], ignore_patterns: ["*.bin"], use_volume: true, volume_folder: m, kind: hf}]
weights: [{source: "hf://acme/other@v2", mount_location: /models/other, auth: {auth_method: CUSTOM_SECRET}, auth_secret_name: t, allow_patterns: ["*"], ignore_patterns: [a]}]
training_checkpoints: {download_folder: /tmp}
input_type: Any
model_framework: custom
model_type: Model
model_module_dir: model
model_class_filename: model.py
model_class_name: Model
bundled_packages_dir: packages
use_local_src: false
live_reload: false
apply_library_patches: true
spec_version: "2.0"
"""
SERVER_CONFIG = """
model_name: server
python_version: py311
base_image: {image: "vllm/vllm-openai:v0.9.2", python_executable_path: /usr/bin/python3, docker_auth: {auth_method: AWS_IAM, registry: a}}
docker_server:
  start_command: sh -c "vllm serve /models/other --port 8000 && true"
  server_port: 8000
  predict_endpoint: /v1/chat/completions
  readiness_endpoint: /health
  liveness_endpoint: /live
  run_as_user_id: 1000
  no_build: false
weights: [{source: "hf://acme/other@v2", mount_location: /models/other}]
environment_variables: {CACHE: /models/other/cache}
requirements_file: requirements.txt
resources: {accelerator: L4}
runtime: {predict_concurrency: 16}
"""
ENGINE_CONFIG = """
model_name: engine
resources: {accelerator: H100}
trt_llm:
  build:
    base_model: llama
    max_seq_len: 4096
    checkpoint_repository: {source: HF, repo: acme/llama, revision: v1, runtime_secret_name: t}
  runtime: {batch_scheduler_policy: guaranteed_no_evict}
"""
MLMODEL = """
artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.4
  sklearn: {code: null, pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.5.0}
mlflow_version: 2.14.1
model_size_bytes: 510
model_uuid: 8f2c
model_id: m-1
run_id: a1
signature: {inputs: '[{"type": "double", "name": "x"}]', outputs: null, params: null}
saved_input_example_info: {artifact_path: input_example.json, pandas_orient: split, serving_input_path: serving_input_example.json, type: dataframe}
utc_time_created: '2024-06-20 10:00:00'
metadata: {a: 1}
resources: {api_version: '1'}
auth_policy: {a: 1}
env_vars: [KEY]
prompts: [a]
databricks_runtime: '15'
is_signature_from_type_hint: false
type_hint_from_example: false
"""
MODELFILE = '''
# a model
FROM ./tiny.gguf
PARAMETER temperature 0.25
parameter num_ctx 128
PARAMETER stop "<|end|>"
PARAMETER stop B
PARAMETER low_vram true
TEMPLATE """{{ .System }}
{{ .Prompt }}"""
SYSTEM """You are "kind".
And short."""
MESSAGE user 1 + 1?
MESSAGE assistant 2
ADAPTER ./lora.gguf
LICENSE MIT
DRAFT ./draft.gguf
RENDERER qwen
PARSER qwen
REQUIRES 0.14.0
'''

AZURE_V1 = """
entryScript: score.py
sourceDirectory: src
description: sums
schemaFile: schema.json
runtime: python
condaFile: old.yml
enableGpu: true
cudaVersion: "9.1"
extraDockerfileSteps: steps.txt
baseImage: old
baseImageRegistry: registry.example
dependencies: [other.py]
environment:
  name: sums
  version: "1"
  inferencingStackVersion: latest
  assetId: null
  environmentVariables: {LEVEL: high, API_KEY: hidden}
  python:
    userManagedDependencies: false
    interpreterPath: python
    baseCondaEnvironment: base
    condaDependenciesFile: null
    condaDependencies:
      channels: [conda-forge]
      dependencies: [python=3.11, {pip: [azureml-defaults, idna==3.10]}]
  docker:
    enabled: false
    baseImage: team/base:1
    baseDockerfile: null
    baseImageRegistry: {address: registry.example, username: me, password: hidden}
    platform: {os: Linux, architecture: arm64}
    sharedVolumes: true
    shmSize: 2g
    arguments: [--init]
    gpuSupport: false
  spark: {packages: [a]}
  databricks: {jarLibraries: [a]}
"""
AZURE_V1_AKS = """
computeType: AKS
autoScaler: {autoscaleEnabled: true, minReplicas: 1}
containerResourceRequirements: {cpu: 1, memoryInGB: 0.5}
keys: {primaryKey: hidden}
scoringTimeoutMs: 5000
surplus: 1
"""
AZURE_SCORE = """
def init():
    pass


def run(data):
    return data
"""
FILES: Mapping[str, Mapping[str, str | bytes]] = {
    "cog": {"cog.yaml": COG, "predict.py": PREDICTOR, "factor.txt": "2"},
    "bento": {"bentofile.yaml": BENTO, "service.py": SERVICE},
    "kit": {"Kitfile": KIT, "model/tiny.gguf": tiny_gguf(), "docs/LICENSE": "MIT"},
    "truss": {"config.yaml": TRUSS_CONFIG, "model/model.py": TRUSS, "data/factor.txt": "1", "packages/own.py": ""},
    "truss-server": {"config.yaml": SERVER_CONFIG, "requirements.txt": "idna\n"},
    "truss-engine": {"config.yaml": ENGINE_CONFIG},
    "mlflow": {"MLmodel": MLMODEL, "requirements.txt": "scikit-learn==1.5.0\n", "serving_input_example.json": "{}"},
    "ollama": {"Modelfile": MODELFILE, "tiny.gguf": tiny_gguf()},
    "azure": {"inference_config.yml": AZURE_V1, "deployment_config_aks.yml": AZURE_V1_AKS, "src/score.py": AZURE_SCORE},
}
"""By kind: the configuration, which is the first file, and what stands beside it."""


def write(folder: Path, kind: str, **changed: str) -> Path:
    """The configuration of a kind with its folder; `changed` are texts by the names of files, dots written as two underscores."""
    files = {**FILES[kind], **{name.replace("__", "."): text for name, text in changed.items()}}
    for name, text in files.items():
        path = folder / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / kind / next(iter(files))


def no_workspace() -> WorkspaceBackend:
    raise AssertionError("nothing of these kinds is looked for in a workspace")


def read(file: Path) -> Imported:
    """What was read; its project is one that a project file can say."""
    found = read_configuration(file, no_workspace)
    text = project_text(found.project)
    assert parse_project(text.encode(), "modelcrate.yaml", found.folder) == found.project, text
    return found


def keys_of(data: Any, above: str = "") -> Iterator[str]:
    """All keys of a YAML text, with those above them."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield f"{above}{key}"
            yield from keys_of(value, f"{above}{key}.")
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from keys_of(value, f"{above.removesuffix('.')}[{number}].")


def untold(found: Imported) -> list[str]:
    """The keys of the file of which nothing is said, neither of themselves nor of what is above or below them."""
    said = [line.partition(": ")[0].partition("; ")[0] for line in (*found.taken, *found.not_taken)]
    keys = keys_of(yaml.safe_load(found.file.read_text()))
    return [key for key in keys if not any(key == each or _below(key, each) or _below(each, key) for each in said)]


def _below(key: str, above: str) -> bool:
    return key.startswith((f"{above}.", f"{above}["))
