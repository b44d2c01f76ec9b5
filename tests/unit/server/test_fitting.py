"""Requests that do not fit the script's description, where it was asked to hold them to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_server.fitting import misfit
from support.wsgi import SCHEMA, app_of

TAKES: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "additionalProperties": False,
    "properties": {
        "data": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number", "maximum": 100}},
        },
        "method": {"enum": ["a", "b"]},
        "count": {"type": ["integer", "null"]},
    },
}
SUMS = "import json\ndef init():\n    pass\ndef run(raw):\n    return [sum(row) for row in json.loads(raw)['data']]\n"
BAD = {
    "": "empty",
    "{": "could not be decoded",
    "[]": "the input should be an object; this is an array",
    "{}": "should have the member 'data'",
    '{"data": []}': "'data' should have at least 1 items; this is 0",
    '{"data": [[1]]}': "'data'[0] should have at least 2 items; this is 1",
    '{"data": [[1, 2, 3]]}': "'data'[0] should have at most 2 items; this is 3",
    '{"data": [[1, "x"]]}': "'data'[0][1] should be a number; this is a string",
    '{"data": [[1, true]]}': "'data'[0][1] should be a number; this is a boolean",
    '{"data": [[1, NaN]]}': "NaN is no JSON",
    '{"data": [[1, 101]]}': "should be at most 100; this is 101",
    '{"data": [[1, 2]], "dta": 1}': "unknown member 'dta'; known are: data, method, count",
    '{"data": [[1, 2]], "method": "c"}': "should be one of 'a', 'b'",
    '{"data": [[1, 2]], "count": 1.5}': "should be an integer or null",
}


@pytest.mark.parametrize(("body", "said"), BAD.items())
def test_what_does_not_fit_is_refused_with_the_place_in_each_contracts_form(
    tmp_path: Path, body: str, said: str
) -> None:
    (tmp_path / "modelcrate-schema.json").write_text(json.dumps({"input": TAKES}))
    ask = app_of(tmp_path, SUMS, MODELCRATE_BAD_INPUT_IS_400="true", MODELCRATE_CONTRACTS="azureml,sagemaker")
    for path in ("/score", "/invocations"):
        answer = ask("POST", path, body)
        assert answer.status == 400
        assert said in json.loads(answer.body)["message"]


@pytest.mark.parametrize("body", ['{"data": [[1, 2.5]]}', '{"data": [[1, 2]], "method": "a", "count": null}'])
def test_what_fits_is_answered(tmp_path: Path, body: str) -> None:
    (tmp_path / "modelcrate-schema.json").write_text(json.dumps({"input": TAKES}))
    assert app_of(tmp_path, SUMS, MODELCRATE_BAD_INPUT_IS_400="true")("POST", "/score", body).status == 200


def test_other_contracts_data_is_held_to_it_too(tmp_path: Path) -> None:
    (tmp_path / "modelcrate-schema.json").write_text(json.dumps({"input": TAKES}))
    ask = app_of(tmp_path, SUMS, MODELCRATE_BAD_INPUT_IS_400="true", MODELCRATE_CONTRACTS="kserve")
    answer = ask("POST", "/v1/models/model:predict", '{"instances": [[1, "x"]]}')
    assert (answer.status, "should be a number" in json.loads(answer.body)["error"]) == (400, True)


def test_without_being_asked_the_script_gets_everything(tmp_path: Path) -> None:
    (tmp_path / "modelcrate-schema.json").write_text(json.dumps({"input": TAKES}))
    assert app_of(tmp_path, SUMS)("POST", "/score", "{}").status == 500


def test_unknown_members_of_a_decorated_script_are_refused_where_asked(tmp_path: Path) -> None:
    body = '{"data": [[1, 2]], "rat": 2}'
    assert app_of(tmp_path, SCHEMA)("POST", "/score", body, Content_Type="application/json").status == 200
    ask = app_of(tmp_path, SCHEMA, MODELCRATE_BAD_INPUT_IS_400="true")
    answer = ask("POST", "/score", body, Content_Type="application/json")
    assert (answer.status, "'rat'; known are: data, rate" in answer.body.decode()) == (400, True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_any_schema_and_value_give_a_text(value: Any) -> None:
    schema = value if isinstance(value, dict) else {"type": value, "items": value, "enum": value, "required": value}
    assert isinstance(misfit(value, schema), str)
