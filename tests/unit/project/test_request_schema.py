"""The key `schema` of a project file: what it means, how it is written, what is refused, and that the server holds requests to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.project.reading import parse_project
from modelcrate.project.request_schema import KEYWORDS, MAX_DESCRIPTION, SchemaError, read_columns, read_schema
from modelcrate.project.schema import schema
from modelcrate.project.serving import serving_variables
from modelcrate.project.values import Project
from modelcrate.project.writing import project_text
from modelcrate_layers.errors import UserError
from modelcrate_server.fitting import misfit
from support.wsgi import app_of

COLUMNS = """
name: x
entry: score.py
server: {validate: true}
schema:
  columns:
    age: integer
    mass: [number, null]
    group: {type: string, enum: [a, "1"], description: of patients}
  output: {type: object, properties: {sums: {type: array, items: {type: number}}}}
"""
ROWS = """
name: x
entry: score.py
server: {validate: true}
schema:
  input:
    type: object
    required: [data]
    additionalProperties: false
    example: {data: [[1, 2.5]]}
    properties:
      data: {type: array, minItems: 1, items: {type: array, minItems: 2, maxItems: 2, items: {type: number, maximum: 1e2}}}
      method: {type: string, enum: [sum, "1"], default: sum}
"""
SUMS = "import json\ndef init():\n    pass\ndef run(raw):\n    return [len(row) for row in json.loads(raw)['data']]\n"


def parsed(text: str) -> Project:
    project = parse_project(text.encode())
    assert parse_project(project_text(project).encode()) == project
    return project


def variables(text: str) -> dict[str, str]:
    return dict(serving_variables(parsed(text).serving))


def test_columns_are_rows_of_objects_in_their_order() -> None:
    found = json.loads(variables(COLUMNS)["MODELCRATE_SCHEMA"])
    row = found["input"]["properties"]["data"]["items"]
    assert list(row["properties"]) == row["required"] == ["age", "mass", "group"]
    assert row["properties"]["mass"] == {"type": ["number", "null"]}
    assert row["properties"]["group"] == {"type": "string", "enum": ["a", "1"], "description": "of patients"}
    assert found["output"]["properties"]["sums"]["items"] == {"type": "number"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"data": [{"age": 4, "mass": None, "group": "1"}]}, ""),
        ({"data": [{"age": 4.5, "mass": 1, "group": "a"}]}, "'data'[0].age should be an integer"),
        ({"data": [{"age": 4, "mass": 1}]}, "'data'[0] should have the member 'group'"),
        ({"data": [{"age": 4, "mass": 1, "group": "a", "hight": 1}]}, "unknown member 'hight'"),
        ({"data": []}, "at least 1 items"),
        ({"dta": []}, "should have the member 'data'"),
        ({"data": [[4, 1, "a"]]}, "'data'[0] should be an object"),
    ],
)
def test_the_server_holds_requests_to_columns_in_every_contract(tmp_path: Path, body: Any, said: str) -> None:
    ask = app_of(tmp_path, SUMS, **variables(COLUMNS), MODELCRATE_CONTRACTS="azureml,sagemaker,kserve")
    rows = {"instances": body["data"]} if "data" in body else {"instances": [{}]}
    for path, document in (("/score", body), ("/invocations", body), ("/v1/models/model:predict", rows)):
        answer = ask("POST", path, json.dumps(document), Content_Type="application/json")
        assert answer.status == (400 if said else 200), answer.body
        if "data" in body:
            assert said in " ".join(map(str, json.loads(answer.body).values() if said else [""]))


def test_a_schema_is_shown_for_people_and_programs_and_names_the_tensors(tmp_path: Path) -> None:
    ask = app_of(tmp_path, SUMS, **variables(ROWS), MODELCRATE_CONTRACTS="azureml,oip")
    takes = json.loads(variables(ROWS)["MODELCRATE_SCHEMA"])["input"]
    for version, at in (("2", "definitions"), ("3", "components")):
        found = json.loads(ask("GET", f"/swagger.json?version={version}").body)[at]
        assert (found.get("schemas") or found)["ServiceInput"] == takes
    page = ask("GET", "/docs").body.decode()
    assert '"sample": {"data": [[1, 2.5]]}' in page
    (tensor,) = json.loads(ask("GET", "/v2/models/model").body)["inputs"]
    assert tensor == {"name": "data", "datatype": "FP64", "shape": [-1, 2]}
    good = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}
    assert ask("POST", "/v2/models/model/infer", json.dumps(good)).status == 200
    bad = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 200]}]}
    assert "at most 100" in ask("POST", "/v2/models/model/infer", json.dumps(bad)).body.decode()


def test_columns_are_tensors_and_the_page_asks_for_them_in_every_contract(tmp_path: Path) -> None:
    ask = app_of(tmp_path, SUMS, **variables(COLUMNS), MODELCRATE_CONTRACTS="azureml,oip,kserve,mlflow,vertex")
    inputs = json.loads(ask("GET", "/v2/models/model").body)["inputs"]
    assert [(each["name"], each["datatype"]) for each in inputs] == [
        ("age", "INT64"),
        ("mass", "FP64"),
        ("group", "BYTES"),
    ]
    page = ask("GET", "/docs").body.decode()
    facts = json.loads(page.partition('id="facts">')[2].partition("</script>")[0])
    for route in facts["routes"]:
        answer = ask("POST", route["path"], json.dumps(route["sample"]), Content_Type=route["type"])
        assert answer.status == 200, (route, answer.body)


def test_without_validate_it_only_describes(tmp_path: Path) -> None:
    found = variables(ROWS.replace("server: {validate: true}", ""))
    assert "MODELCRATE_BAD_INPUT_IS_400" not in found
    assert app_of(tmp_path, SUMS, **found)("POST", "/score", "{}").status == 500


def test_scalars_mean_what_their_type_says() -> None:
    takes = json.loads(variables(ROWS)["MODELCRATE_SCHEMA"])["input"]
    assert takes["additionalProperties"] is False
    assert takes["properties"]["data"]["items"]["items"]["maximum"] == 100
    assert takes["properties"]["method"] == {"type": "string", "enum": ["sum", "1"], "default": "sum"}
    assert read_schema({"type": ["integer", None], "enum": ["1", None]}, "x") == {
        "type": ["integer", "null"],
        "enum": [1, None],
    }
    assert read_schema({"type": "boolean", "default": "true"}, "x") == {"type": "boolean", "default": True}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: {}", "a schema without an input"),
        ("schema: {columns: {a: integer}, input: {type: object}}", "columns and an input at once"),
        ("schema: {columns: {}}", "columns are a mapping"),
        ("schema: {columns: {a: int}}", "the column 'a': type is one of object, array, string"),
        ("schema: {columns: [a, b]}", "columns are a mapping"),
        ("schema: {columns: }", "has no value"),
        ("schema: {input: {type: array}}", "should have type: object"),
        ("schema: {input: {type: object, pattern: x}}", "the keyword 'pattern', which is not held"),
        ("schema: {input: {type: object, minItem: 3}}", "did you mean 'minItems'?"),
        ("schema: {input: {type: object, properties: [a]}}", "properties is a mapping"),
        ("schema: {input: {type: object, properties: {a: integer}}}", "'a' should be a mapping of JSON Schema"),
        ("schema: {input: {type: object, required: a}}", "required is a list of names"),
        ("schema: {input: {type: object, properties: {a: {enum: [1]}}}}", "of no type that stands beside it"),
        ("schema: {input: {type: object, properties: {a: {type: integer, enum: [x]}}}}", "of no type"),
        ("schema: {input: {type: object, properties: {a: {type: string, minLength: -1}}}}", "whole number from 0 on"),
        ("schema: {input: {type: object, properties: {a: {type: number, minimum: nan}}}}", "minimum is a number"),
        ("schema: {input: {type: object, additionalProperties: {}}}", "true or false"),
        ("schema: {input: {type: object, properties: {a: {type: integer, maximum: 3, default: 4}}}}", "does not fit"),
        ("schema: {inputs: {type: object}}", "did you mean 'input'"),
        ("schema: score.json", "has to be a mapping, not a text"),
        ("schema: {columns: {a: integer}}\nserver: azureml", "Microsoft's server holds no schema"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_project(f"name: x\nentry: score.py\n{text}\n".encode())
    whole = " ".join(f"{each} {each.hint}" for each in (refused.value, *refused.value.also))
    assert said in whole


def test_a_schema_is_for_a_script_of_the_project() -> None:
    with pytest.raises(UserError, match="no entry script of your own"):
        parse_project(b"name: x\nmodels: [m.pkl]\nschema: {columns: {a: integer}}\n")


def test_a_large_one_is_refused_before_it_is_a_variable() -> None:
    names = ", ".join(f"column_number_{number}: integer" for number in range(MAX_DESCRIPTION // 60))
    with pytest.raises(UserError, match="the most is"):
        parse_project(f"name: x\nentry: score.py\nschema: {{columns: {{{names}}}}}\n".encode())


@pytest.mark.parametrize("name", sorted(set(KEYWORDS) - {"title", "description", "format", "example", "default"}))
def test_every_keyword_that_is_taken_is_held_as_json_schema_holds_it(name: str) -> None:
    samples: dict[str, Any] = {
        "type": "integer", "enum": ["a"], "required": ["z"], "additionalProperties": False, "minimum": 5, "maximum": -5,
        "items": {"type": "integer"}, "properties": {"a": {"type": "integer"}}, "minItems": 3, "maxItems": 1, "minLength": 3, "maxLength": 1,
    }  # fmt: skip
    values = [1, 1.5, -9, 9, "aa", "aaaa", ["x"], ["x", "y"], {"a": "b"}, None, True]
    held = [bool(misfit(value, {name: samples[name]})) for value in values]
    assert held == [not jsonschema.Draft202012Validator({name: samples[name]}).is_valid(value) for value in values]
    assert any(held)


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.sampled_from(["integer", "1", "object", "true"]),
        lambda each: (
            st.lists(each, max_size=3) | st.dictionaries(st.sampled_from([*KEYWORDS, "other"]), each, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_tree_is_a_schema_that_others_take_or_refused(value: Any) -> None:
    for read in (lambda tree: read_schema(tree, "x"), read_columns):
        try:
            made = read(value)
        except SchemaError:
            continue
        json.dumps(made)
        jsonschema.Draft202012Validator.check_schema(made)


def test_editors_take_what_is_good() -> None:
    import yaml

    for text in (COLUMNS, ROWS):
        assert list(jsonschema.Draft202012Validator(schema()).iter_errors(yaml.safe_load(text))) == []
