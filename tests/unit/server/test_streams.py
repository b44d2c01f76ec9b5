"""Answers made part by part, and run() as a coroutine."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from support.wsgi import app_of, returning

WORDS = "def words(data):\n    yield 'a '\n    yield b'b'\n"
ROWS = "def rows(data):\n    for n in range(3):\n        yield {'n': n}\n"
LATER = "import asyncio\nasync def later(data):\n    await asyncio.sleep(0)\n    return {'got': data}\n"
ASYNC_ROWS = (
    "import asyncio\nasync def rows(data):\n    for n in range(3):\n        await asyncio.sleep(0)\n        yield n\n"
)


@pytest.mark.parametrize(("contract", "path"), [("azureml", "/score"), ("sagemaker", "/invocations")])
def test_parts_are_sent_as_they_are_and_values_as_lines(tmp_path: Path, contract: str, path: str) -> None:
    answer = app_of(tmp_path, returning("words(data)", WORDS), MODELCRATE_CONTRACTS=contract)("POST", path)
    assert (answer.body, answer.header("Content-Type")) == (b"a b", "text/plain; charset=utf-8")
    assert answer.header("Content-Length") is None
    answer = app_of(tmp_path, returning("rows(data)", ROWS), MODELCRATE_CONTRACTS=contract)("POST", path)
    assert (answer.body, answer.header("Content-Type")) == (b'{"n": 0}\n{"n": 1}\n{"n": 2}\n', "application/x-ndjson")


def test_server_sent_events_go_out_as_they_are_made(tmp_path: Path) -> None:
    before = "from azureml_inference_server_http.api.aml_response import AMLResponse\n"
    events = "(f'data: {n}\\n\\n' for n in range(2))"
    source = returning(f"AMLResponse({events}, 200, {{'Content-Type': 'text/event-stream'}})", before)
    answer = app_of(tmp_path, source)("POST", "/score", Accept_Encoding="gzip")
    assert (answer.status, answer.body) == (200, b"data: 0\n\ndata: 1\n\n")
    assert (answer.header("Content-Type"), answer.header("Content-Length")) == ("text/event-stream", None)


def test_a_contract_whose_answer_is_one_document_gets_all_parts(tmp_path: Path) -> None:
    ask = app_of(tmp_path, returning("rows(data)", ROWS), MODELCRATE_CONTRACTS="vertex")
    answer = ask("POST", "/predict", '{"instances": [1]}', content_type="application/json")
    assert json.loads(answer.body) == {"predictions": [{"n": 0}, {"n": 1}, {"n": 2}]}


def test_coroutines_and_asynchronous_generators_are_run(tmp_path: Path) -> None:
    assert app_of(tmp_path, returning("later(data)", LATER))(body="x").body == b'{"got": "x"}'
    assert app_of(tmp_path, returning("rows(data)", ASYNC_ROWS))(body="x").body == b"0\n1\n2\n"
    source = LATER + "def init(): pass\nasync def run(data):\n    return await later(data)\n"
    assert app_of(tmp_path, source)(body="x").body == b'{"got": "x"}'


@pytest.mark.parametrize(
    "source",
    [
        returning("rows(data)", "def rows(data):\n    raise ValueError('no')\n    yield 1\n"),
        returning("rows(data)", "import time\ndef rows(data):\n    time.sleep(600)\n    yield 1\n"),
        returning("later()", "import asyncio\nasync def later():\n    await asyncio.sleep(600)\n"),
    ],
)
def test_a_stream_that_fails_before_its_first_part_is_an_error(tmp_path: Path, source: str) -> None:
    assert app_of(tmp_path, source, SCORING_TIMEOUT_MS="300")().status == 500


def test_a_part_that_takes_too_long_ends_the_answer(tmp_path: Path) -> None:
    source = returning("rows(data)", "import time\ndef rows(data):\n    yield 1\n    time.sleep(600)\n    yield 2\n")
    with pytest.raises(TimeoutError):
        app_of(tmp_path, source, SCORING_TIMEOUT_MS="300")()


def test_an_empty_stream_is_an_empty_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "azmlinfsrv"):
        answer = app_of(tmp_path, returning("iter_nothing(data)", "def iter_nothing(data):\n    return\n    yield\n"))()
    assert (answer.status, answer.body) == (200, b"")
