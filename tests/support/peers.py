"""Other people's servers of the platforms' protocols, from PyPI: MLServer and MLflow's own, with the sums of rows as their model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.azure import environment
from support.ports import free_port
from support.serving import Ask, Server, started
from support.waiting import until

PACKAGES = (
    "mlserver==1.7.1",
    "mlflow-skinny==3.17.2",
    "gunicorn==27.0.1",
    "numpy==2.4.6",
    "onnxruntime==1.32.0",
    "pandas==3.1.1",
    "scikit-learn==1.9.1",
)
"""One environment for all of them, and for the models that our own server is given."""

BOOSTERS = ("lightgbm==4.6.0", "numpy==2.4.6", "xgboost-cpu==3.2.0")
"""Libraries of boosted trees, which no server here needs."""

OURS = """
import json

import numpy

def init():
    pass

def run(raw):
    return numpy.array(json.loads(raw)["data"]).sum(axis=1)

def signature():
    return {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
    }
"""
"""The same model as an entry script."""

_RUNTIME = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.types import InferenceResponse

class Rows(MLModel):
    async def predict(self, payload):
        sums = self.decode_request(payload, default_codec=NumpyRequestCodec).sum(axis=1)
        outputs = [NumpyCodec.encode_output("predict", sums)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
"""
_FLOW = """
import sys

import mlflow.pyfunc
import numpy
import uvicorn
from mlflow.pyfunc.scoring_server import init

class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        value = next(iter(model_input.values())) if isinstance(model_input, dict) else model_input
        return numpy.asarray(value).sum(axis=1)

mlflow.pyfunc.save_model(path="model", python_model=Sums(), conda_env={"dependencies": ["python"]})
uvicorn.run(init(mlflow.pyfunc.load_model("model")), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def interpreter() -> str:
    """The Python that has the packages."""
    return environment("platforms", *PACKAGES, compiled=False)


def boosters() -> str:
    """The Python that has the boosters."""
    return environment("boosters", *BOOSTERS, compiled=False)


@contextmanager
def mlserver(folder: Path) -> Iterator[Server]:
    """MLServer with the model `rows`, version 1."""
    python = interpreter()
    port = free_port()
    tensors = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
    }
    model = {"name": "rows", "implementation": "runtime.Rows", "parameters": {"version": "1"}, **tensors}
    settings = {"host": "127.0.0.1", "http_port": port, "parallel_workers": 0, "debug": False}
    settings |= {"grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "runtime.py").write_text(_RUNTIME)
    (folder / "model-settings.json").write_text(json.dumps(model))
    (folder / "settings.json").write_text(json.dumps(settings))
    command = [str(Path(python).with_name("mlserver")), "start", str(folder)]
    with started(command, port, {"PYTHONPATH": str(folder)}, folder) as server:
        _await(server, "/v2/models/rows/ready")
        yield server


@contextmanager
def mlflow(folder: Path) -> Iterator[Server]:
    """MLflow's scoring server."""
    python = interpreter()
    port = free_port()
    (folder / "serve.py").write_text(_FLOW)
    with started([python, "serve.py", str(port)], port, {}, folder) as server:
        _await(server, "/ping")
        yield server


def _await(server: Server, path: str) -> None:
    until(lambda: server.ask(Ask("GET", path)).status == 200, f"an answer of {path}", pause=0.1)
