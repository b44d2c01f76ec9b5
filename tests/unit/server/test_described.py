"""How a platform's data reaches a script without decorators: under the name, and in the form, that the file beside it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.framework_reading import describe_model
from modelcrate_server.data import Data, Table
from modelcrate_server.described import SCHEMA_FILE, Described
from modelcrate_server.entry import EntryError
from support.platforms import ALL, PREDICTS, ROWS, SUMS
from support.sources import REPOSITORY
from support.wsgi import PLAIN, RAW, SCHEMA, app_of, entry_of

MODELS = REPOSITORY / "fixtures" / "models"
TABLE = Table(("a", "b"), ROWS)
RECORDS = [{"a": 1, "b": 2}, {"a": 3, "b": 4.5}]
COLUMNS = {"a": [1, 3], "b": [2, 4.5]}


def takes(*required: str, **members: Any) -> Described:
    return Described({"properties": members, "required": list(required)})


@pytest.mark.parametrize(
    ("told", "member"),
    [
        (Described(), "data"),
        (takes("x", x={}, y={}), "x"),
        (takes(x={}), "x"),
        (takes(x={}, y={}), "data"),
        (takes("x", "y", x={}, y={}), "data"),
    ],
)
def test_the_data_goes_to_the_only_required_member_or_the_only_one(told: Described, member: str) -> None:
    assert told.member == member
    assert told.request(Data(ROWS)) == {member: ROWS}


def test_parameters_stand_beside_the_data_or_in_the_member_that_is_an_object() -> None:
    data = Data(ROWS, {"method": "predict_proba"})
    assert takes("x", x={}, method={"type": "string"}).request(data) == {"x": ROWS, "method": "predict_proba"}
    assert takes("x", x={}, more={"type": "object"}).request(data) == {"x": ROWS, "more": {"method": "predict_proba"}}
    assert takes("x", x={}, more={"type": "object"}).request(Data(ROWS)) == {"x": ROWS}


ARRAYS = {"type": "object", "properties": {"a": {}, "b": {}}}
ONLY = {"type": "object", "properties": {"a": {}}}
RECORD = {"type": "array", "items": {"type": "object", "properties": {"a": {}, "b": {}}}}


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        (ARRAYS, TABLE, COLUMNS),
        (ARRAYS, RECORDS, COLUMNS),
        (ARRAYS, COLUMNS, COLUMNS),
        (ARRAYS, ROWS, ROWS),
        (ARRAYS, {"input-0": ROWS}, ROWS),
        (ONLY, {"input-0": ROWS}, {"a": ROWS}),
        (ONLY, ROWS, {"a": ROWS}),
        (ONLY, Table(("x", "y"), ROWS), {"a": ROWS}),
        (ONLY, {"a": [1]}, {"a": [1]}),
        (RECORD, TABLE, RECORDS),
        (RECORD, COLUMNS, RECORDS),
        (RECORD, {"input-0": ROWS}, ROWS),
        (RECORD, ROWS, ROWS),
        (RECORD, Table(("0", "1"), ROWS), ROWS),
        (RECORD, Table(("x", "y"), ROWS), [{"x": 1, "y": 2}, {"x": 3, "y": 4.5}]),
        ({"type": "array", "items": {"type": "array"}}, TABLE, ROWS),
        ({"type": "array", "items": {"type": "array"}}, {"input-0": ROWS}, ROWS),
    ],
)
def test_the_data_takes_the_form_that_the_description_has(schema: dict[str, Any], value: Any, wanted: Any) -> None:
    assert takes("x", x=schema).request(Data(value)) == {"x": wanted}


def of_model(name: str) -> Described:
    told = describe_model(ModelFiles.of(MODELS / name))
    return Described(told.takes, told.gives)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("pipeline.joblib", "data"),
        ("boosted.ubj", "data"),
        ("leaves.txt", "data"),
        ("mlflow", "dataframe_records"),
        ("transformers", "inputs"),
    ],
)
def test_every_model_says_where_its_data_goes(name: str, member: str) -> None:
    assert of_model(name).member == member


def test_texts_and_parameters_reach_transformers_as_its_script_wants_them() -> None:
    data = Data({"text": ["a good film"]}, {"top_k": 1})
    assert of_model("transformers").request(data) == {"inputs": ["a good film"], "parameters": {"top_k": 1}}


SUM = """
import json

def init():
    pass

def run(raw):
    return [sum(row) for row in json.loads(raw)["x"]]
"""
ARRAY = {
    "type": "array",
    "items": {
        "type": "array",
        "items": {"type": "number", "format": "float"},
        "minItems": 2,
        "maxItems": 2,
    },
}
FILE = {
    "input": {"type": "object", "properties": {"x": ARRAY, "method": {"type": "string"}}, "required": ["x"]},
    "output": {"type": "object", "properties": {"y": {"type": "array", "items": {"type": "integer"}}}},
}


@pytest.mark.parametrize("name", sorted({*ALL} - {"azureml"}))
def test_every_platform_reaches_a_script_by_its_description(name: str, tmp_path: Path) -> None:
    (tmp_path / SCHEMA_FILE).write_text(json.dumps(FILE))
    path, document, found = PREDICTS[name]
    ask = app_of(tmp_path, SUM, MODELCRATE_CONTRACTS=",".join(ALL), MODELCRATE_MODEL_NAME="rows")
    answer = ask("POST", path, json.dumps(document), Content_Type="application/json")
    assert answer.status == 200, answer.body
    assert found(json.loads(answer.body)) == SUMS


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps(ROWS), "application/json"),
        (json.dumps({"instances": ROWS, "data": 1}), "application/json"),
        (json.dumps({"x": ROWS}), "application/json"),
        ("a,b\n1,2\n3,4.5\n", "text/csv"),
    ],
)
def test_sagemaker_brings_rows_to_a_described_script(body: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / SCHEMA_FILE).write_text(json.dumps(FILE))
    answer = app_of(tmp_path, SUM, MODELCRATE_CONTRACTS="sagemaker")("POST", "/invocations", body, Content_Type=kind)
    assert (answer.status, json.loads(answer.body)) == (200, SUMS)


def test_the_description_is_the_metadata(tmp_path: Path) -> None:
    (tmp_path / SCHEMA_FILE).write_text(json.dumps(FILE))
    ask = app_of(tmp_path, SUM, MODELCRATE_CONTRACTS="oip", MODELCRATE_MODEL_NAME="rows")
    told = json.loads(ask("GET", "/v2/models/rows").body)
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert told["outputs"] == [{"name": "y", "datatype": "INT64", "shape": [-1]}]


def test_a_script_that_says_it_itself_is_not_described_twice(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="keep one of them"):
        entry_of(tmp_path, SCHEMA, MODELCRATE_SCHEMA=json.dumps(FILE))
    (tmp_path / "modelcrate-schema.json").write_text("{}")
    with pytest.raises(EntryError, match="keep one"):
        entry_of(tmp_path, PLAIN, MODELCRATE_SCHEMA=json.dumps(FILE))


@pytest.mark.parametrize("source", [PLAIN, RAW])
def test_validate_without_anything_to_hold_to_is_said(
    tmp_path: Path, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    entry_of(tmp_path, source, MODELCRATE_BAD_INPUT_IS_400="true")
    assert "Input is held to nothing" in caplog.text
