"""Models of other people's frameworks behind every platform's protocol: schemas of numpy and pandas, and models without an entry script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.demo import PROJECT, REQUEST
from support.peers import boosters, interpreter
from support.platforms import HTTP, PREDICTS, ROWS, SUMS, keeps, serving, without_a_script
from support.serving import Answer, Ask, Server
from support.sources import REPOSITORY

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

MODELS = REPOSITORY / "fixtures" / "models"
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


@pytest.mark.parametrize("name", HTTP)
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


def test_scikit_learn_without_an_entry_script_answers_every_contract(tmp_path: Path) -> None:
    rows = json.loads(REQUEST)["data"]
    with without_a_script(PROJECT / "model/sklearn_regression_model.pkl", tmp_path, interpreter()) as server:
        keeps(server, rows)
        assert metadata(server)["inputs"] == [{"name": "data", "datatype": "FP64", "shape": [-1, 10]}]
        assert metadata(server)["outputs"] == [], "the file doesn't say what a method gives"
        tensor = {"name": "data", "shape": [2, 10], "datatype": "FP64", "data": rows}
        (output,) = told(post(server, "/v2/models/rows/infer", {"inputs": [tensor]}))["outputs"]
    assert (output["name"], output["data"]) == ("predict", pytest.approx([6783.288837469616, 4073.0497773702928]))


def test_onnx_without_an_entry_script_answers_every_contract(tmp_path: Path) -> None:
    """onnxruntime's own logistic regression of irises, in whose wheel it lies: one input, a label and probabilities out."""
    packages = next((Path(interpreter()).parents[1] / "lib").glob("python3*/site-packages"))
    rows = [[5.1, 3.5], [6.2, 2.9], [7.9, 3.8]]
    with without_a_script(packages / "onnxruntime/datasets/logreg_iris.onnx", tmp_path, interpreter()) as server:
        keeps(server, rows)
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


@pytest.mark.parametrize("file", ["boosted.ubj", "leaves.txt"])
def test_boosters_without_an_entry_script_answer_every_contract(file: str, tmp_path: Path) -> None:
    rows = json.loads(REQUEST)["data"]
    with without_a_script(MODELS / file, tmp_path, boosters()) as server:
        keeps(server, rows)
        assert [each["shape"] for each in metadata(server)["inputs"]] == [[-1, 10]]
        direct = told(post(server, "/score", {"data": rows}))["predict"]
        assert told(post(server, "/predict", {"instances": rows}))["predictions"] == direct


def test_an_mlflow_folder_answers_every_contract_and_keeps_the_names_of_columns(tmp_path: Path) -> None:
    rows = json.loads(REQUEST)["data"]
    columns = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
    turned = {"columns": columns[::-1], "data": [row[::-1] for row in rows]}
    by_name = {name: [row[at] for row in rows] for at, name in enumerate(columns)}
    tensors = [{"name": name, "shape": [2], "datatype": "FP64", "data": each} for name, each in by_name.items()]
    csv = "\n".join(",".join(map(str, line)) for line in [turned["columns"], *turned["data"]]).encode()
    with without_a_script(MODELS / "mlflow", tmp_path, interpreter()) as server:
        keeps(server, rows)
        wrong = {"columns": [f"x{name}" for name in columns], "data": rows}
        assert post(server, "/invocations", {"dataframe_split": wrong}).status == 400
        direct = told(post(server, "/score", {"dataframe_split": turned}))["predictions"]
        for document in ({"dataframe_split": turned}, {"inputs": by_name}, {"instances": rows}):
            assert told(post(server, "/invocations", document))["predictions"] == direct
        assert told(post(server, "/invocations", csv, "text/csv"))["predictions"] == direct
        assert told(post(server, "/v2/models/rows/infer", {"inputs": tensors}))["outputs"][0]["data"] == direct
        given = {each["name"]: (each["datatype"], each["shape"]) for each in metadata(server)["inputs"]}
    assert given == dict.fromkeys(columns, ("FP64", [-1]))
