"""The thirty rows of the scoring contract, each asked of the application itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.serving import Answer
from support.wsgi import RAW, SCHEMA, app_of, returning

JSON = "application/json"
IDS = {"x-request-id", "x-ms-request-id", "x-ms-server-version"}


def names(answer: Answer) -> set[str]:
    return {name.lower() for name, _ in answer.headers}


def message(answer: Answer) -> Any:
    return json.loads(answer.body)["message"]


def test_row_01_get_root_says_healthy(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("GET", "/")
    assert (answer.status, answer.body) == (200, b"Healthy")
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert answer.header("Content-Length") == "7"
    assert names(answer) >= IDS
    assert "x-ms-run-function-failed" not in names(answer)


def test_row_02_head_root_has_no_body(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("HEAD", "/")
    assert (answer.status, answer.body, answer.header("Content-Length")) == (200, b"", "7")


def test_row_03_post_root_is_refused_by_the_router(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("POST", "/")
    assert answer.status == 405
    assert message(answer) == "The method is not allowed for the requested URL."
    assert not names(answer) & IDS


def test_row_04_unknown_path_is_not_found(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("GET", "/nope")
    assert answer.status == 404
    assert "was not found on the server" in message(answer)
    assert not names(answer) & IDS


def test_row_05_post_gives_run_the_text(tmp_path: Path) -> None:
    answer = app_of(tmp_path)(body="caf\u00e9 [1]", content_type="text/plain")
    assert answer.status == 200
    assert answer.body == b'{"got": "caf\\u00e9 [1]"}'
    assert answer.header("Content-Type") == JSON
    assert answer.header("x-ms-run-function-failed") == "False"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; a=b"])
def test_row_06_a_form_leaves_run_with_an_empty_text(tmp_path: Path, kind: str) -> None:
    assert app_of(tmp_path)(body='{"data": 1}', content_type=kind).body == b'{"got": ""}'


def test_row_07_an_empty_body_is_an_empty_text(tmp_path: Path) -> None:
    assert app_of(tmp_path)(body="", content_type=JSON).body == b'{"got": ""}'


def test_row_08_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    answer = app_of(tmp_path)(body=b"\xff", content_type=JSON)
    assert answer.status == 400
    assert message(answer).startswith("Input cannot be decoded as UTF-8: 'utf-8' codec can't decode byte 0xff")


def test_row_09_get_gives_run_the_query_as_json(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("GET", "/score?a=1&b=[1,2]&c=x&c=y&d=null&%C3%A9=%FF")
    got = json.loads(json.loads(answer.body)["got"])
    assert got == {"a": 1, "b": [1, 2], "c": ["x", "y"], "d": None, "\u00e9": "%FF"}


def test_row_10_options_is_answered_empty(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("OPTIONS")
    assert (answer.status, answer.body) == (200, b"")


def test_row_10_options_reaches_a_raw_script(tmp_path: Path) -> None:
    assert app_of(tmp_path, RAW)("OPTIONS", "/score?status=202").status == 202


def test_row_11_head_is_no_way_to_score(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("HEAD")
    assert answer.status == 405
    assert answer.header("Content-Length") == str(len(json.dumps({"message": "Method not allowed"})))


def test_row_12_put_is_refused_by_the_router(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("PUT", body="{}")
    assert answer.status == 405
    assert not names(answer) & IDS


def test_row_13_nothing_is_an_empty_object(tmp_path: Path) -> None:
    assert app_of(tmp_path, returning("None"))().body == b"{}"


def test_row_14_text_is_a_json_string(tmp_path: Path) -> None:
    assert app_of(tmp_path, returning("'say \"hi\"'"))().body == b'"say \\"hi\\""'


def test_row_15_what_json_cannot_say_is_an_internal_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answer = app_of(tmp_path, returning("{1, 2}"))()
    assert answer.status == 500
    assert message(answer) == "An unexpected internal error occurred. Check the logs for more info."
    assert answer.header("x-ms-run-function-failed") == "False"
    assert answer.header("x-ms-run-fn-exec-ms") is None
    assert "Object of type set is not JSON serializable" in caplog.text


def test_row_16_an_exception_of_run_never_leaks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answer = app_of(tmp_path, returning("1 / 0"))()
    assert answer.status == 500
    assert message(answer) == "An unexpected error occurred in scoring script. Check the logs for more info."
    assert answer.header("x-ms-run-function-failed") == "True"
    assert "division by zero" in caplog.text


def test_row_17_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    answer = app_of(tmp_path, returning("time.sleep(20)", "import time"), SCORING_TIMEOUT_MS="50")()
    assert answer.status == 500
    assert message(answer) == "Scoring timeout after 50 ms"
    assert answer.header("x-ms-run-function-failed") == "True"


def test_row_18_input_schema_gives_run_its_arguments(tmp_path: Path) -> None:
    answer = app_of(tmp_path, SCHEMA)(body='{"data": [[1, 2]], "rate": 2}', content_type=JSON)
    assert (answer.status, answer.body) == (200, b"[6]")


def test_row_19_input_schema_wants_json(tmp_path: Path) -> None:
    answer = app_of(tmp_path, SCHEMA)(body='{"data": []}', content_type="text/plain")
    assert (answer.status, message(answer)) == (415, "Expects Content-Type to be application/json")


@pytest.mark.parametrize(
    ("row", "body", "text"),
    [
        (20, "{", "POST body could not be decoded as JSON: Expecting property name"),
        (21, "", "POST body is empty. Expecting a JSON dictionary."),
        (22, "[1]", "POST body should be a JSON dictionary."),
        (23, "{}", "A value is not provided for the 'data' parameter."),
    ],
)
def test_rows_20_to_23_input_schema_names_what_is_wrong(tmp_path: Path, row: int, body: str, text: str) -> None:
    answer = app_of(tmp_path, SCHEMA)(body=body, content_type=JSON)
    assert answer.status == 400, row
    assert message(answer).startswith(text)


def test_row_24_a_value_of_the_wrong_type_is_the_scripts_failure(tmp_path: Path) -> None:
    answer = app_of(tmp_path, SCHEMA)(body='{"data": "no"}', content_type=JSON)
    assert (answer.status, answer.header("x-ms-run-function-failed")) == (500, "True")


def test_row_25_input_schema_takes_the_query(tmp_path: Path) -> None:
    assert app_of(tmp_path, SCHEMA)("GET", "/score?data=[[1,2],[3,4]]").body == b"[3.0, 7.0]"


def test_row_26_a_raw_script_decides_the_answer(tmp_path: Path) -> None:
    answer = app_of(tmp_path, RAW)("POST", "/score?status=201", b"\x00\xff")
    assert (answer.status, answer.body, answer.header("Content-Type")) == (201, b"\x00\xff", "image/png")
    assert [value for name, value in answer.headers if name == "X-Many"] == ["a", "b"]
    assert answer.header("x-ms-run-function-failed") == "False"


def test_row_26_a_server_error_of_a_raw_script_has_failed(tmp_path: Path) -> None:
    answer = app_of(tmp_path, RAW)("POST", "/score?status=503")
    assert (answer.status, answer.header("x-ms-run-function-failed")) == (503, "True")


@pytest.mark.parametrize(
    ("asked", "said"), [("", "2.0"), ("?version=2.0", "2.0"), ("?version=3", "3.0.3"), ("?version=3.1", "3.1.0")]
)
def test_row_27_swagger_in_each_version(tmp_path: Path, asked: str, said: str) -> None:
    document = json.loads(app_of(tmp_path)("GET", f"/swagger.json{asked}").body)
    assert document.get("swagger", document.get("openapi")) == said
    assert set(document["paths"]) == {"/", "/score", "/swagger.json"}


def test_row_28_a_version_that_does_not_exist(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("GET", "/swagger.json?version=9")
    assert answer.status == 404
    assert message(answer) == "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1]."


def test_row_29_a_version_that_the_types_cannot_be_told_in(tmp_path: Path) -> None:
    answer = app_of(tmp_path, SCHEMA.replace("[[1.0, 2.0]]", "[1.0, 'two']"))("GET", "/swagger.json?version=2")
    assert answer.status == 404
    assert message(answer) == (
        "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3, 3.1]."
    )


def test_row_30_an_id_that_is_too_long(tmp_path: Path) -> None:
    ask = app_of(tmp_path)
    own, client = ask(x_request_id="i" * 101), ask(x_request_id="mine", x_ms_client_request_id="c" * 101)
    assert (own.status, message(own)) == (431, "x-request-id must not exceed 100 characters")
    assert (client.status, client.header("x-request-id")) == (431, "mine")
    assert message(client) == "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"
    assert own.header("x-request-id") is None
