"""One model, the sums of rows, as entry scripts of every sort, and the requests that each platform would send for it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelcrate.config import Config
from modelcrate.inspect.conformance import Target, check_contracts
from modelcrate.pipeline.autoserve import complete
from modelcrate.pipeline.choose_models import ChosenModels
from modelcrate.project.values import Model, Project
from support.ports import free_port
from support.serving import Server, our_server

ALL = ("azureml", "kserve", "mlflow", "oip", "oip-grpc", "sagemaker", "vertex")
HTTP = tuple(name for name in ALL if name != "oip-grpc")
"""Those that need no package beside the server."""
ROWS = [[1, 2], [3, 4.5]]
SUMS = [3, 7.5]

_SCHEMA = """
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([[1.0, 2.0]]))
@output_schema(StandardPythonParameterType([1.0]))
def run(data, rate=1.0):
    return [sum(row) * rate for row in data]
"""

SCRIPTS = {
    "text": """
import json

def init():
    pass

def run(raw):
    document = json.loads(raw)
    return [sum(row) for row in document.get("data", document.get("instances"))]
""",
    "text that answers text": """
import json

def init():
    pass

def run(raw):
    document = json.loads(raw)
    return json.dumps({"result": [sum(row) for row in document.get("data", document.get("instances"))]})
""",
    "schema": _SCHEMA,
}


def _itself(document: Any) -> Any:
    import json

    told = json.loads(document) if isinstance(document, str) else document
    return told["result"] if isinstance(told, dict) else told


def _predictions(document: Any) -> Any:
    return document["predictions"]


_TENSOR = {"name": "data", "datatype": "FP64", "shape": [2, 2], "data": [1, 2, 3, 4.5]}

PREDICTS: dict[str, tuple[str, Any, Callable[[Any], Any]]] = {
    "azureml": ("/score", {"data": ROWS}, _itself),
    "kserve": ("/v1/models/rows:predict", {"instances": ROWS}, _predictions),
    "mlflow": ("/invocations", {"dataframe_split": {"columns": ["a", "b"], "data": ROWS}}, _predictions),
    "oip": ("/v2/models/rows/infer", {"inputs": [_TENSOR]}, lambda document: document["outputs"][0]["data"]),
    "oip-grpc": ("/v2/models/rows/infer", {"inputs": [_TENSOR]}, lambda document: document["outputs"][0]["data"]),
    "sagemaker": (
        "/invocations",
        {"inputs": ROWS},
        _predictions,
    ),  # where MLflow's form is served as well, it is the form
    "vertex": ("/predict", {"instances": ROWS, "parameters": {}}, _predictions),
}
"""For each contract a path, a body, and where its answer has the predictions."""


@contextmanager
def serving(
    folder: Path,
    source: str,
    contracts: Sequence[str] = ALL,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Our server with this script, on one port for all of these contracts."""
    script = folder / "score.py"
    script.write_text(source)
    variables = {"MODELCRATE_CONTRACTS": ",".join(contracts), "MODELCRATE_MODEL_NAME": "rows"}
    variables |= {"MODELCRATE_GRPC_PORT": str(free_port()), **(env or {})}
    with our_server(python, script, folder, variables) as server:
        yield server


@contextmanager
def without_a_script(model: Path, folder: Path, python: str, contracts: Sequence[str] = HTTP) -> Iterator[Server]:
    """Our server as it is in the image of this model and nothing else: template, description and variables are the builder's own."""
    project = Project("rows", None, (Model(model, "rows"),))
    made = complete(ChosenModels(project), model.parent, Config(home=folder / "home")).project
    assert made.entry is not None
    assert made.entry.source is not None
    shutil.copytree(made.entry.source, folder, dirs_exist_ok=True)
    target = folder / "models" / model.name
    target.parent.mkdir()
    (shutil.copytree if model.is_dir() else shutil.copy)(model, target)
    env = {"AZUREML_MODEL_DIR": str(folder / "models"), **made.env}
    env |= {"MODELCRATE_CONTRACTS": ",".join(contracts), "MODELCRATE_MODEL_NAME": "rows"}
    with our_server(python, folder / made.entry.script, folder, env) as server:
        yield server


def keeps(server: Server, rows: object, contracts: Sequence[str] = HTTP) -> None:
    """Every request of every contract is answered as it says."""
    verdicts = check_contracts(Target(f"http://127.0.0.1:{server.port}", "rows", rows), contracts)
    assert [verdict for verdict in verdicts if verdict.ok is not True] == []
