"""Models of other people's frameworks behind every platform's protocol: schemas of numpy and pandas, and models without an entry script."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcrate.conformance import Target, check
from modelcrate.scriptless import MODEL_FILE
from support.demo import PROJECT, REQUEST
from support.peers import interpreter
from support.platforms import ALL, PREDICTS, ROWS, SUMS, serving
from support.serving import ROOT, Answer, Ask, Server

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

NUMPY = """
import numpy
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", NumpyParameterType(numpy.array([[1.0, 2.0]])))
@output_schema(NumpyParameterType(numpy.array([1.0])))
def run(data):
    return data.sum(axis=1)
"""
PANDAS = """
import pandas
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("table", PandasParameterType(pandas.DataFrame({"a": [1.0], "b": [2.0]})))
def run(table):
    return (table["a"] + table["b"]).tolist()
"""


def post(server: Server, path: str, document: object, kind: str = "application/json") -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return server.ask(Ask("POST", path, body, [("Content-Type", kind)]))


def told(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def metadata(server: Server) -> Any:
    return told(server.ask(Ask("GET", "/v2/models/rows")))


@pytest.fixture(scope="module")
def numpy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = {"MODELCRATE_ENCODE_NUMPY": "1"}
    with serving(tmp_path_factory.mktemp("numpy"), NUMPY, python=interpreter(), env=env) as server:
        yield server


@pytest.mark.parametrize("name", ALL)
def test_a_numpy_schema_is_converted_for_every_platform(name: str, numpy_server: Server) -> None:
    path, document, predictions = PREDICTS[name]
    assert predictions(told(post(numpy_server, path, document))) == SUMS


def test_a_numpy_schema_is_the_metadata_and_refuses_other_shapes(numpy_server: Server) -> None:
    answer = post(numpy_server, "/predict", {"instances": [[1, 2, 3]]})
    assert (answer.status, list(json.loads(answer.body))) == (400, ["error"])
    assert metadata(numpy_server)["inputs"] == [{"name": "data", "datatype": "FP64", "shape": [-1, 2]}]
    assert metadata(numpy_server)["outputs"] == [{"name": "output", "datatype": "FP64", "shape": [-1]}]


def test_a_pandas_schema_gets_columns_by_name(tmp_path: Path) -> None:
    columns = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": data}
        for name, data in (("b", [2, 4.5]), ("a", [1, 3]))
    ]
    split = {"columns": ["b", "a"], "data": [row[::-1] for row in ROWS]}
    with serving(tmp_path, PANDAS, python=interpreter()) as server:
        assert told(post(server, "/invocations", {"dataframe_split": split}))["predictions"] == SUMS
        assert told(post(server, "/invocations", {"inputs": {"a": [1, 3], "b": [2, 4.5]}}))["predictions"] == SUMS
        assert told(post(server, "/invocations", b"b,a\n2,1\n4.5,3\n", "text/csv"))["predictions"] == SUMS
        assert told(post(server, "/v2/models/rows/infer", {"inputs": columns}))["outputs"][0]["data"] == SUMS
        names = [(each["name"], each["shape"]) for each in metadata(server)["inputs"]]
    assert names == [("a", [-1]), ("b", [-1])]


def template(name: str) -> str:
    return (ROOT / "layers/modelcrate_layers/serving/entry_templates" / name).read_text()


def serves(folder: Path, file: str) -> dict[str, str]:
    """The variables of an image with this model and no entry script."""
    return {"AZUREML_MODEL_DIR": str(folder), MODEL_FILE: file}


def test_scikit_learn_without_an_entry_script_answers_every_contract(tmp_path: Path) -> None:
    rows = json.loads(REQUEST)["data"]
    shutil.copytree(PROJECT / "model", tmp_path / "model")
    source, env = template("scikit_learn_model.py"), serves(tmp_path / "model", "sklearn_regression_model.pkl")
    with serving(tmp_path, source, python=interpreter(), env=env) as server:
        verdicts = check(Target(f"http://127.0.0.1:{server.port}", "rows", rows), ALL)
        assert [verdict for verdict in verdicts if verdict.ok is not True] == []
        assert metadata(server)["inputs"] == [{"name": "data", "datatype": "FP64", "shape": [-1, 10]}]
        assert metadata(server)["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]
        tensor = {"name": "data", "shape": [2, 10], "datatype": "FP64", "data": rows}
        (output,) = told(post(server, "/v2/models/rows/infer", {"inputs": [tensor]}))["outputs"]
    assert (output["name"], output["data"]) == ("predict", pytest.approx([6783.288837469616, 4073.0497773702928]))


def test_onnx_without_an_entry_script_answers_every_contract(tmp_path: Path) -> None:
    """onnxruntime's own logistic regression of irises, in whose wheel it lies: one input, a label and probabilities out."""
    packages = next((Path(interpreter()).parents[1] / "lib").glob("python3*/site-packages"))
    (tmp_path / "model").mkdir()
    shutil.copy(packages / "onnxruntime/datasets/logreg_iris.onnx", tmp_path / "model")
    source, env = template("onnx_model.py"), serves(tmp_path / "model", "logreg_iris.onnx")
    rows = [[5.1, 3.5], [6.2, 2.9], [7.9, 3.8]]
    with serving(tmp_path, source, python=interpreter(), env=env) as server:
        verdicts = check(Target(f"http://127.0.0.1:{server.port}", "rows", rows), ALL)
        assert [verdict for verdict in verdicts if verdict.ok is not True] == []
        (given,) = metadata(server)["inputs"]
        assert given["datatype"] == "FP32"
        tensor = {"name": given["name"], "shape": [3, 2], "datatype": "FP32", "data": rows}
        outputs = told(post(server, "/v2/models/rows/infer", {"inputs": [tensor]}))["outputs"]
        direct = told(post(server, "/score", {"data": rows}))["outputs"]
        instances = told(post(server, "/v1/models/rows:predict", {"instances": rows}))["predictions"]
    assert {each["name"] for each in outputs} == set(direct)
    assert [len(instances), set(instances[0])] == [3, set(direct)]
    label = next(each for each in outputs if each["datatype"] == "INT64")
    assert label["data"] == direct[label["name"]]
