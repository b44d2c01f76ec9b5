"""What comes out of a platform's envelope, how it reaches run(), and what becomes of the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelcrate_server.data import Data, Table
from modelcrate_server.predictions import as_json, predictions, unwrapped
from modelcrate_server.request import AMLRequest, HttpError
from modelcrate_server.tables import table_of_csv, table_of_records, table_of_split
from modelcrate_server.tensors import data_of, tensor_of, values_of
from support.platforms import ALL, ROWS, SUMS
from support.wsgi import RAW, SCHEMA, Ask, app_of, environ_of, returning

RECORDS = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
TABLE = Table(("a", "b"), [[1, 2], [3, 4]])


def serve(folder: Path, source: str, **env: str) -> Ask:
    return app_of(folder, source, MODELCRATE_CONTRACTS=",".join(ALL), MODELCRATE_MODEL_NAME="rows", **env)


def asked(ask: Ask, path: str, document: object) -> Any:
    answer = ask("POST", path, json.dumps(document), Content_Type="application/json")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({}, TABLE.rows),
        ({"type": "array", "items": {"type": "array"}}, TABLE.rows),
        ({"items": {"type": "object"}, "format": "pandas.DataFrame:records"}, RECORDS),
        ({"items": {"type": "object"}}, RECORDS),
        ({"format": "pandas.DataFrame:split"}, {"columns": ["a", "b"], "index": [0, 1], "data": TABLE.rows}),
        ({"format": "pandas.DataFrame:columns"}, {"a": {"0": 1, "1": 3}, "b": {"0": 2, "1": 4}}),
        ({"format": "pandas.DataFrame:index"}, {"0": RECORDS[0], "1": RECORDS[1]}),
        ({"items": {"type": "object"}, "format": "pandas.DataFrame:values"}, TABLE.rows),
    ],
)
def test_a_table_takes_the_form_that_a_schema_describes(schema: dict[str, Any], wanted: Any) -> None:
    assert Data(TABLE).whole(schema) == wanted
    assert Data({"a": [1, 3], "b": [2, 4]}).whole(schema) == wanted


def test_one_named_value_is_itself_and_several_keep_their_names() -> None:
    assert Data({"x": [1]}).plain() == [1]
    assert Data({"x": [1], "y": [2, 3]}).plain() == {"x": [1], "y": [2, 3]}
    assert Data({"x": [1], "y": [2, 3]}).whole({}) == {"x": [1], "y": [2, 3]}, "no table: not equally long"
    assert Data(TABLE).plain() == TABLE.rows
    assert Data([1]).named(["x"]) is None


def csv(body: bytes) -> Table:
    return table_of_csv(AMLRequest(environ_of("POST", "/invocations", body, {"Content-Type": "text/csv"})))


def test_csv_columns_have_the_type_that_all_their_cells_have() -> None:
    found = csv(b"\xef\xbb\xbfa,b,c,d\r\n1,1.5,true,x\r\n,2,False,7\r\n")
    assert found == Table(("a", "b", "c", "d"), [[1, 1.5, True, "x"], [None, 2.0, False, "7"]])


@pytest.mark.parametrize("body", [b"", b"\n\n", b"a,b\n1\n", b"\xff", b'a\n"x\n' + b"y" * 200_000])
def test_what_is_no_csv_is_refused(body: bytes) -> None:
    with pytest.raises(HttpError) as refused:
        csv(body)
    assert refused.value.status == 400


def test_data_frames_are_tables() -> None:
    assert table_of_split({"data": [[1, 2]]}) == Table(("0", "1"), [[1, 2]])
    assert table_of_records([{"a": 1}, {"b": 4}]) == Table(("a", "b"), [[1, None], [None, 4]])
    for wrong in ([], {"data": 1}, {"data": [1]}, {"columns": 1, "data": []}, {"columns": ["a"], "data": [[1, 2]]}):
        with pytest.raises(HttpError):
            table_of_split(wrong)


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        ([1, 2], [1, 2]),
        ({"predict": [1, 2]}, [1, 2]),
        ({"outputs": {"a": [1, 2], "b": [3, 4]}}, [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"a": [1, 2], "b": [3]}, [{"a": [1, 2], "b": [3]}]),
        ({"a": 1}, [{"a": 1}]),
        ('{"result": [1]}', [1]),
        ("[1, 2]", [1, 2]),
        ("7", ["7"]),
        ("some text", ["some text"]),
        (5, [5]),
        (None, [None]),
        ([float("nan"), 1.0], [None, 1.0]),
        ((1, 2), [1, 2]),
    ],
)
def test_results_become_predictions(result: object, wanted: list[Any]) -> None:
    assert predictions(result) == wanted


class Array:
    """What numpy's arrays have of all that matters here; the real ones are asked in tests/interop."""

    class dtype:
        kind, itemsize = "f", 4

    def __init__(self, *values: float) -> None:
        self._values = values

    def tolist(self) -> list[float]:
        return list(self._values)


def test_arrays_are_told_by_their_values() -> None:
    assert predictions({"out": Array(1.5, float("inf"))}) == [1.5, None]
    made = unwrapped({"a": Array(1.0)})
    assert isinstance(made, Array)
    assert (tensor_of("x", made)["datatype"], tensor_of("x", made)["data"]) == ("FP32", [1.0])
    with pytest.raises(TypeError, match="object"):
        as_json(object())


def tensor(**changed: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4], **changed}


def test_tensors_are_nested_by_their_shape() -> None:
    assert values_of(tensor()) == ("x", [[1.0, 2.0], [3.0, 4.0]])
    assert values_of(tensor(data=[[1, 2], [3, 4]], datatype="UINT8")) == ("x", [[1, 2], [3, 4]])
    assert values_of(tensor(shape=[1, 1, 4])) == ("x", [[[1.0, 2.0, 3.0, 4.0]]])
    assert values_of(tensor(shape=[2, 0], data=[])) == ("x", [[], []])
    assert values_of(tensor(shape=[2], data=["a", "b"], datatype="BYTES")) == ("x", ["a", "b"])


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        {},
        tensor(name=1),
        tensor(datatype="FLOAT"),
        tensor(datatype=[]),
        tensor(shape=None),
        tensor(shape=[]),
        tensor(shape=[True, 2]),
        tensor(shape=[1] * 65),
        tensor(shape=[10**18, 10**18]),
        tensor(data=None),
        tensor(data=[1]),
        tensor(data=[1, 2, 3, "4"]),
        tensor(datatype="INT8", data=[1, 2, 3, 128]),
        tensor(datatype="BOOL"),
        tensor(datatype="BYTES"),
        tensor(datatype="UINT64", data=[1, 2, 3, True]),
        tensor(data=[1, 2, 3, 10**400]),
        tensor(datatype="INT64", data=[1, 2, 3, 4.0]),
        tensor(datatype="BOOL", data=[True, False, True, None]),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(wrong: object) -> None:
    with pytest.raises(HttpError) as refused:
        values_of(wrong)
    assert refused.value.status == 400


def test_a_million_elements_come_in_their_shape() -> None:
    _, rows = values_of(tensor(shape=[1000, 1000], data=[1.5] * 1_000_000))
    assert (len(rows), {len(row) for row in rows}, rows[-1][-1]) == (1000, {1000}, 1.5)


def test_nesting_without_end_is_refused() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(HttpError, match="dimensions"):
        values_of(tensor(data=deep))


def test_inputs_need_names_of_their_own() -> None:
    assert data_of([tensor(), tensor(name="y")], {"a": 1}).extra == {"a": 1}
    for wrong in (None, [], [tensor(), tensor()]):
        with pytest.raises(HttpError):
            data_of(wrong, None)


@pytest.mark.parametrize(
    ("value", "datatype", "wanted"),
    [
        ([1, 2], None, ("INT64", [2], [1, 2])),
        ([1, 2.5], None, ("FP64", [2], [1, 2.5])),
        ([1, 2], "FP32", ("FP32", [2], [1, 2])),
        ([1.5], "INT64", ("FP64", [1], [1.5])),
        ([True], None, ("BOOL", [1], [True])),
        (["a"], "FP64", ("BYTES", [1], ["a"])),
        ([[1, 2], [3, 4]], None, ("INT64", [2, 2], [1, 2, 3, 4])),
        ([], None, ("FP64", [0], [])),
        (7, None, ("INT64", [1], [7])),
        ([[1], [2, 3]], None, ("BYTES", [2], ["[1]", "[2, 3]"])),
        ([{"a": 1}, "b"], None, ("BYTES", [2], ['{"a": 1}', "b"])),
    ],
)
def test_results_become_tensors(value: Any, datatype: str | None, wanted: tuple[str, list[int], list[Any]]) -> None:
    made = tensor_of("x", value, datatype)
    assert (made["datatype"], made["shape"], made["data"]) == wanted


def test_parameters_are_arguments_where_there_are_such(schema_app: Ask) -> None:
    assert asked(schema_app, "/predict", {"instances": ROWS, "parameters": {"rate": 2.0, "other": 1}}) == {
        "predictions": [6, 15]
    }
    assert asked(schema_app, "/invocations", {"inputs": {"data": ROWS, "rate": 2.0}}) == {"predictions": [6, 15]}


@pytest.fixture
def schema_app(tmp_path: Path) -> Ask:
    return serve(tmp_path, SCHEMA)


def test_a_raw_script_gets_the_request_as_it_is(tmp_path: Path) -> None:
    ask = serve(tmp_path, RAW)
    for path in ("/score", "/invocations", "/predict", "/v1/models/rows:predict", "/v2/models/rows/infer"):
        kind = "text/csv" if path == "/invocations" else "application/json"
        answer = ask("POST", f"{path}?status=418", b"\x00raw", Content_Type=kind)
        assert (answer.status, answer.body, answer.header("Content-Type")) == (418, b"\x00raw", "image/png")


def test_a_plain_script_gets_the_body_as_it_is_from_sagemaker_alone(tmp_path: Path) -> None:
    ask = app_of(tmp_path, MODELCRATE_CONTRACTS="sagemaker")
    assert ask("POST", "/invocations", "1,2\n", Content_Type="text/csv").body == b'{"got": "1,2\\n"}'
    assert ask("POST", "/score", "x").status == 404


def test_sagemaker_gives_rows_to_a_script_with_a_schema(tmp_path: Path) -> None:
    ask = app_of(tmp_path, SCHEMA, MODELCRATE_CONTRACTS="sagemaker")
    assert asked(ask, "/invocations", ROWS) == SUMS
    assert asked(ask, "/invocations", {"data": ROWS, "rate": 2.0}) == [6, 15]
    assert json.loads(ask("POST", "/invocations", "a,b\n1,2\n3,4.5\n", Content_Type="text/csv").body) == SUMS
    assert ask("POST", "/invocations", "{", Content_Type="application/json").status == 400
    assert ask("POST", "/invocations", "x", Content_Type="image/png").status == 415


OWN = """
def init():
    pass

def run(data):
    return {"a": [1, 2], "b": ["x", "y"]}

def signature():
    return {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}, "nonsense"],
        "outputs": [{"name": "a", "datatype": "INT8", "shape": [-1]}, {"name": "b", "datatype": "BYTES", "shape": [-1]}],
    }
"""


def test_a_signature_is_the_metadata_and_types_the_outputs(tmp_path: Path) -> None:
    ask = serve(tmp_path, OWN)
    assert json.loads(ask("GET", "/v2/models/rows").body)["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1]}
    ]
    both = asked(ask, "/v2/models/rows/infer", {"inputs": [tensor()]})["outputs"]
    assert [(each["name"], each["datatype"]) for each in both] == [("a", "INT8"), ("b", "BYTES")]
    one = asked(ask, "/v2/models/rows/infer", {"inputs": [tensor()], "outputs": [{"name": "b"}]})["outputs"]
    assert [each["data"] for each in one] == [["x", "y"]]
    for wrong in (5, [{"name": "c"}], [1]):
        body = json.dumps({"inputs": [tensor()], "outputs": wrong})
        assert ask("POST", "/v2/models/rows/infer", body, Content_Type="application/json").status == 400


def test_a_signature_that_fails_is_no_signature(tmp_path: Path) -> None:
    ask = serve(tmp_path, returning("[1]") + "\ndef signature():\n    raise OSError('no')\n")
    assert json.loads(ask("GET", "/v2/models/rows").body)["inputs"] == []
