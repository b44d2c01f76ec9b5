"""The stand-in for inference_schema: decorators, plain types, and what they say about themselves."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from modelcrate_server.blame import raised_while_converting
from modelcrate_server.schema.abstract import AbstractParameterType
from modelcrate_server.schema.decorators import convert, input_schema, output_schema
from modelcrate_server.schema.documents import (
    get_input_schema,
    get_output_schema,
    get_supported_versions,
    is_schema_decorated,
)
from modelcrate_server.schema.standard import StandardPythonParameterType as Standard
from modelcrate_server.schema.standard import moment
from support.wsgi import SCHEMA, app_of


class Celsius(AbstractParameterType):
    def deserialize_input(self, input_data: Any) -> Any:
        return f"{input_data} C"

    def input_to_swagger(self) -> dict[str, Any]:
        return {"type": "number", "example": 1}


def test_the_original_names_lead_to_the_stand_ins() -> None:
    module = importlib.import_module("inference_schema.parameter_types.standard_py_parameter_type")
    assert module.StandardPythonParameterType is Standard
    assert importlib.import_module("inference_schema.schema_decorators").input_schema is input_schema


@pytest.mark.parametrize(
    "name", ["inference_schema.nope", "azureml.core.nope", "inference_schema.parameter_types.spark"]
)
def test_other_names_are_still_missing(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)


@pytest.mark.parametrize(
    ("sample", "kind", "form", "example"),
    [
        (1, "integer", "int64", 1),
        (0.5, "number", "double", 0.5),
        (True, "boolean", None, True),
        ("x", "string", None, "x"),
        (b"x", "string", "byte", "eA=="),
        (bytearray(b"x"), "string", "byte", "eA=="),
        (date(2020, 1, 2), "string", "date", "2020-01-02"),
        (datetime(2020, 1, 2, 3), "string", "date-time", "2020-01-02 03:00:00.000000 +0000"),
        (time(3, tzinfo=UTC), "string", "time", "03:00:00.000000 +0000"),
    ],
)
def test_plain_values_describe_themselves(sample: Any, kind: str, form: str | None, example: Any) -> None:
    expected = {"type": kind, "example": example} | ({"format": form} if form else {})
    assert Standard(sample).input_to_swagger() == expected


def test_nested_values_describe_themselves() -> None:
    schema = Standard({"a": [1, 2], "b": Celsius("1 C")}).input_to_swagger()
    numbers = {"type": "array", "items": {"type": "integer", "format": "int64"}}
    assert schema == {
        "type": "object",
        "required": ["a", "b"],
        "properties": {"a": numbers, "b": {"type": "number"}},
        "example": {"a": [1, 2], "b": 1},
    }
    assert Standard([]).input_to_swagger() == {"type": "array", "items": {"type": "object"}, "example": []}


@pytest.mark.parametrize(("sample", "error"), [(None, ValueError), (object(), TypeError), ({"a": object()}, TypeError)])
def test_a_sample_that_cannot_be_told_is_refused(sample: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Standard(sample).input_to_swagger()


@pytest.mark.parametrize(
    ("sample", "given", "value"),
    [
        (1.0, 2, 2),
        ("x", "y", "y"),
        (b"x", "eA==", b"x"),
        (bytearray(b"x"), "eA==", bytearray(b"x")),
        (date(2020, 1, 1), "2021-02-03", date(2021, 2, 3)),
        (datetime(2020, 1, 1), "2021-02-03T04:05:06Z", datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (time(1), "04:05:06.000000 +0000", time(4, 5, 6, tzinfo=UTC)),
        ({"t": Celsius("1 C")}, {"t": 5, "more": 1}, {"t": "5 C", "more": 1}),
        ({"t": Celsius("1 C")}, {}, {}),
        ([Celsius("1 C")], [1, 2], ["1 C", "2 C"]),
        ([1], [1, "x"], [1, "x"]),
    ],
)
def test_plain_json_becomes_the_type(sample: Any, given: Any, value: Any) -> None:
    assert convert(given, Standard(sample)) == value


@pytest.mark.parametrize(("sample", "given"), [(1, "x"), (1.0, "1"), ([1], {}), ({}, [1]), (date(2020, 1, 1), "soon")])
def test_what_does_not_fit_is_refused(sample: Any, given: Any) -> None:
    with pytest.raises(ValueError):
        convert(given, Standard(sample))


@pytest.mark.parametrize("text", ["2020-01-02T03:04:05Z", "2020-01-02 03:04:05 +0000", "2020-01-02 03:04:05+00:00"])
def test_moments_are_read_in_the_forms_we_write(text: str) -> None:
    assert moment(text) == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_decorated_functions_are_known_through_all_decorators() -> None:
    @input_schema("a", Standard([1, "x"]))
    @output_schema(Standard(1))
    def run(a: Any, b: Any = 2) -> Any:
        return a

    assert is_schema_decorated(run)
    assert get_input_schema(run)["example"] == {"a": [1, "x"], "b": ""}
    assert get_output_schema(run) == {"type": "integer", "format": "int64", "example": 1}
    assert get_supported_versions(run) == ["3.0", "3.1"]
    assert run([2]) == [2]


def test_undecorated_functions_have_no_schema() -> None:
    assert not is_schema_decorated(print)
    assert get_input_schema(print) == get_output_schema(print) == {"type": "object"}
    assert get_supported_versions(print) == ["2.0", "3.0", "3.1"]


def test_optional_and_unconverted_arguments() -> None:
    @input_schema("a", Celsius("1 C"), optional=True)
    @input_schema("b", Celsius("1 C"), convert_to_provided_type=False)
    def run(a: Any = None, b: Any = None) -> Any:
        return a, b

    assert run() == (None, None)
    assert run(a="", b=1) == ("", 1)
    assert run(a=1) == ("1 C", None)


def test_prompts_of_ready_made_scripts_are_left_alone() -> None:
    @input_schema("a", Standard("x"))
    def run(a: Any) -> Any:
        return a

    assert run({"input_string": 1, "parameters": 2}) == {"input_string": 1, "parameters": 2}


def test_mistakes_in_decorating_are_refused() -> None:
    with pytest.raises(TypeError, match="a parameter type is expected"):
        input_schema("a", "no type")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has an output schema already"):
        output_schema(Standard(1))(output_schema(Standard(1))(lambda a: a))
    with pytest.raises(TypeError, match="has no argument 'b'"):
        input_schema("b", Standard(1))(lambda a: a)(1)


def test_blame_follows_the_frames() -> None:
    @input_schema("a", Standard(1))
    def run(a: Any) -> Any:
        raise ValueError(a)

    for given, fault in ((1, False), ("x", True)):
        with pytest.raises(ValueError) as raised:
            run(given)
        assert raised_while_converting(raised.value, run) is fault


def test_swagger_tells_the_schema_and_the_service(tmp_path: Path) -> None:
    env = {"SERVICE_NAME": "S", "SERVICE_VERSION": "7", "SERVICE_PATH_PREFIX": "/a/b/"}
    ask = app_of(tmp_path, SCHEMA, **env)
    document = json.loads(ask("GET", "/swagger.json").body)
    assert (document["info"]["title"], document["info"]["version"]) == ("S", "7")
    assert "/a/b/score" in document["paths"]
    assert document["definitions"]["ServiceInput"]["example"] == {"data": [[1.0, 2.0]], "rate": 1.0}
    document = json.loads(ask("GET", "/swagger.json?version=3").body)
    assert document["components"]["schemas"]["ServiceOutput"]["type"] == "array"


@pytest.mark.parametrize(("name", "version"), [("swagger.json", "2"), ("swagger2.json", "2"), ("swagger3.json", "3")])
def test_own_swagger_files_replace_ours(tmp_path: Path, name: str, version: str) -> None:
    (tmp_path / name).write_text('{"own": true}')
    ask = app_of(tmp_path, SCHEMA)
    assert json.loads(ask("GET", f"/swagger.json?version={version}").body) == {"own": True}
    assert "openapi" in json.loads(ask("GET", "/swagger.json?version=3.1").body)


def test_a_file_beside_a_script_without_decorators_tells_its_schema(tmp_path: Path) -> None:
    given, answered = {"type": "object", "properties": {"data": {"type": "array"}}}, {"type": "array"}
    file = tmp_path / "modelcrate-schema.json"
    file.write_text(json.dumps({"input": given, "output": answered}))
    plain = "def init():\n    pass\n\ndef run(data):\n    return data\n"
    for version, place in (("2", "definitions"), ("3", "components"), ("3.1", "components")):
        document = json.loads(app_of(tmp_path, plain)("GET", f"/swagger.json?version={version}").body)
        schemas = document[place] if version == "2" else document[place]["schemas"]
        assert (schemas["ServiceInput"], schemas["ServiceOutput"]) == (given, answered)
    document = json.loads(app_of(tmp_path, SCHEMA)("GET", "/swagger.json").body)
    assert document["definitions"]["ServiceInput"] != given, "decorators say it themselves"
    file.write_text("{}")
    document = json.loads(app_of(tmp_path, plain)("GET", "/swagger.json").body)
    assert document["definitions"]["ServiceInput"] == {"type": "object", "example": {}}
