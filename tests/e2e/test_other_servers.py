"""Images that start a server of other people's: LitServe, and llama.cpp's with a model of its own; and our own over gRPC. Built, started, asked."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest

from modelcrate_server.wire import fields, packed, part, text
from support.shared_command import Modelcrate
from support.tiny_gguf import tiny_gguf

pytestmark = [pytest.mark.network, pytest.mark.slow]

LITSERVE = """
import litserve


class Sums(litserve.LitAPI):
    def setup(self, device):
        self.factor = 2

    def decode_request(self, request):
        return request["data"]

    def predict(self, rows):
        return [self.factor * sum(row) for row in rows]

    def encode_response(self, output):
        return {"sums": output}


if __name__ == "__main__":
    server = litserve.LitServer(Sums(), accelerator="cpu")
    server.run(host="0.0.0.0", port=8000, generate_client_file=False)
"""

LLAMA = """
import os
import pathlib
import threading

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = str(next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).glob("*.gguf")))
params.hostnames = ["0.0.0.0"]
params.port = 8080
params.n_ctx = 128
params.n_parallel = 1
server = xllamacpp.Server(params)
threading.Event().wait()
"""


def test_litserve(modelcrate: Modelcrate, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/server.py").write_text(LITSERVE)
    (tmp_path / "modelcrate.yaml").write_text(
        """
name: lit
command: [python3, server.py]
source: src
ports: [8000]
health: /health
dependencies: [litserve==0.2.19]
tests:
  - {request: '{"data": [[1, 2], [3, 4.5]]}', expect: '{"sums": [6, 15.0]}', path: /predict}
  - {request: '{"data": [[4]]}', expect: '{"sums": [8]}', path: /predict}
"""
    )
    built = modelcrate.run("build", tmp_path, "--test")
    assert (built.returncode, "2 golden requests: as expected" in built.stderr) == (0, True), built.stderr


def test_llama_cpp_with_a_tiny_model(modelcrate: Modelcrate, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/serve.py").write_text(LLAMA)
    (tmp_path / "tiny.gguf").write_bytes(tiny_gguf())
    (tmp_path / "modelcrate.yaml").write_text(
        """
name: llama
base: {from: debian, packages: [libgomp1]}
command: [python3, serve.py]
source: src
ports: [8080]
health: /health
dependencies: [xllamacpp]
models: [tiny.gguf]
"""
    )
    modelcrate.said("build", tmp_path, "-o", f"oci:{tmp_path / 'layout'}")
    request = {"prompt": "ab", "max_tokens": 4, "temperature": 0}
    said = modelcrate.said(
        "predict", f"oci:{tmp_path / 'layout'}", "--path", "/v1/completions", "-d", json.dumps(request)
    )
    assert json.loads(said)["usage"]["completion_tokens"] == 4


SUMS = """
import json


def init():
    pass


def run(inputs):
    return [[sum(row) for row in json.loads(each)["data"]] for each in inputs]
"""


def test_our_own_over_grpc_with_settings_of_the_project(modelcrate: Modelcrate, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SUMS)
    (tmp_path / "modelcrate.yaml").write_text(
        """
name: sums
entry: score.py
contracts: [azureml, oip-grpc]
server: {batch: {max: 8}, metrics: true, log-format: json}
"""
    )
    modelcrate.said("build", tmp_path, "-t", "sums:1")
    words = ("run", "-d", "-p", "0:5001", "-p", "0:8081", "--wait", "120", "--name", "sums", "sums:1")
    started = modelcrate.json(*words)
    try:
        port = started["ports"]["8081"]
        tensor = text(1, "x") + text(2, "INT64") + packed(3, [2, 2]) + part(5, packed(3, [1, 2, 3, 4]))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            answer = ask(text(1, "sums") + part(5, tensor), timeout=60, wait_for_ready=True)
        assert dict(fields(answer))[6] == (3).to_bytes(8, "little") + (7).to_bytes(8, "little")
        log = modelcrate.said("logs", "sums")
        assert '"path": "/inference.GRPCInferenceService/ModelInfer", "status": 200' in log
    finally:
        modelcrate.said("rm", "--force", "sums")
