"""Answers: what entry scripts make, and what becomes of them on the wire."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modelcrate_server.response import AMLResponse, Response, adopted
from support.serving import Answer
from support.wsgi import app_of, call, environ_of, returning


def sent(response: Response, method: str = "GET") -> Answer:
    return call(response, environ_of(method, "/score"))


def test_text_bytes_and_json() -> None:
    assert sent(AMLResponse("caf\u00e9", 200)).body == b"caf\xc3\xa9"
    assert sent(AMLResponse(b"\xff", 200)).body == b"\xff"
    assert sent(AMLResponse({"a": 1}, 200, json_str=True)).body == b'{"a": 1}'
    nothing = sent(AMLResponse(None, 202))
    assert (nothing.status, nothing.body, nothing.header("Content-Type")) == (202, b"{}", "application/json")


def test_numbers_that_json_lacks_are_written_as_by_the_original_and_are_null_in_other_contracts(tmp_path: Path) -> None:
    ask = app_of(tmp_path, returning("[float('nan'), float('-inf')]"), MODELCRATE_CONTRACTS="azureml,kserve")
    assert ask().body == b"[NaN, -Infinity]"
    assert ask("POST", "/v1/models/model:predict", '{"instances": [1]}').body == b'{"predictions": [null, null]}'


def test_a_failed_run_is_marked() -> None:
    assert sent(AMLResponse("x", 200, run_function_failed=True)).header("x-ms-run-function-failed") == "True"


def test_no_body_and_no_length_where_the_status_forbids_them() -> None:
    gone, same = sent(AMLResponse("x", 204)), sent(AMLResponse("x", 304))
    assert (gone.body, gone.header("Content-Length"), gone.header("Content-Type") is None) == (b"", None, False)
    assert (same.body, same.header("Content-Length"), same.header("Content-Type")) == (b"", None, None)


def test_chunks_are_sent_as_they_come_without_a_length() -> None:
    response = AMLResponse((part for part in ("a", b"b")), 200)
    assert response.is_streamed
    answer = sent(response)
    assert (answer.body, answer.header("Content-Length")) == (b"ab", None)


def test_unknown_statuses_have_a_reason_too() -> None:
    assert Response("x", 299).reason == "UNKNOWN"


def test_plain_scripts_may_answer_themselves(tmp_path: Path) -> None:
    before = "from azureml_inference_server_http.api.aml_response import AMLResponse"
    answer = app_of(tmp_path, returning("AMLResponse('no', 404, {'X-Why': 'a, b'})", before))()
    assert (answer.status, answer.body, answer.header("Content-Type")) == (404, b"no", "text/html; charset=utf-8")
    assert [value for name, value in answer.headers if name == "X-Why"] == ["a", "b"]


@pytest.mark.parametrize("streamed", [True, False])
def test_answers_of_the_images_web_framework_are_adopted(monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
    class Foreign:
        status_code, headers, is_streamed = 418, {"X-Tea": "1"}, streamed

        def get_data(self) -> bytes:
            return b"whole"

        def iter_encoded(self) -> Any:
            return iter([b"in ", b"parts"])

    wrappers: Any = ModuleType("werkzeug.wrappers")
    wrappers.Response = Foreign
    monkeypatch.setitem(sys.modules, "werkzeug.wrappers", wrappers)
    response = adopted(Foreign())
    assert response is not None
    answer = sent(response)
    assert (answer.status, answer.header("X-Tea")) == (418, "1")
    assert answer.body == (b"in parts" if streamed else b"whole")
    assert adopted({"a": 1}) is None
