"""Several requests by one call of run(), run() in several threads, and workers that are replaced: the server as a process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from modelcrate_server.entry import EntryError
from modelcrate_server.settings import Batch, read_settings
from modelcrate_server.variables import SettingsError
from support.serving import Answer, Ask, Server, our_server
from support.wsgi import PLAIN, RAW, SCHEMA, entry_of, returning

LISTS = """
import time

class BadInput(ValueError):
    client_error = True

def init():
    pass

def run(inputs):
    assert isinstance(inputs, list)
    if "poison" in inputs:
        raise RuntimeError("poison")
    if "short" in inputs:
        return []
    time.sleep(0.05)
    return [BadInput("this one") if each == "bad" else [each, len(inputs)] for each in inputs]
"""


def all_at_once(server: Server, bodies: list[str], **headers: str) -> list[Answer]:
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: server.ask(Ask(body=body.encode(), headers=tuple(headers.items()))), bodies))


def served(folder: Path, source: str, env: Mapping[str, str]) -> AbstractContextManager[Server]:
    (folder / "score.py").write_text(source)
    return our_server(sys.executable, folder / "score.py", folder, env)


def test_requests_that_wait_are_answered_by_one_call_each_with_its_own_answer(tmp_path: Path) -> None:
    with served(tmp_path, LISTS, {"MODELCRATE_BATCH_MAX": "8", "MODELCRATE_BATCH_WAIT_MS": "200"}) as server:
        assert json.loads(server.ask(Ask(body=b"alone")).body) == ["alone", 1]
        names = [f"n{number}" for number in range(40)]
        answers = all_at_once(server, names)
        assert [json.loads(answer.body)[0] for answer in answers] == names
        sizes = [json.loads(answer.body)[1] for answer in answers]
        assert max(sizes) > 1
        assert max(sizes) <= 8
        mixed = all_at_once(server, ["a", "bad", "poison", "b"])
        assert [answer.status for answer in mixed] == [200, 400, 500, 200]
        assert json.loads(mixed[1].body) == {"message": "this one"}
        assert server.ask(Ask(body=b"short")).status == 500
        assert "has to return a list of as many results" in server.log
        assert server.ask(Ask("PUT")).status == 405


def test_one_client_does_not_wait_for_others(tmp_path: Path) -> None:
    with served(tmp_path, LISTS, {"MODELCRATE_BATCH_MAX": "8", "MODELCRATE_BATCH_WAIT_MS": "30000"}) as server:
        started = time.monotonic()
        for _ in range(5):
            assert server.ask(Ask(body=b"x")).status == 200
        assert time.monotonic() - started < 20


def test_run_works_in_several_threads_and_health_is_answered(tmp_path: Path) -> None:
    source = returning("[time.sleep(float(data)), threading.current_thread().name][1]", "import threading, time")
    with served(tmp_path, source, {"MODELCRATE_THREADS": "4", "SCORING_TIMEOUT_MS": "20000"}) as server:
        started = time.monotonic()
        answers = all_at_once(server, ["2"] * 4)
        assert time.monotonic() - started < 7
        assert len({answer.body for answer in answers}) == 4
        assert server.ask(Ask("GET", "/")).body == b"Healthy"


def test_a_thread_that_takes_too_long_is_ended_and_goes_on(tmp_path: Path) -> None:
    source = returning("[time.sleep(0.01) for _ in range(int(data or 0))] and 'done'", "import time")
    with served(tmp_path, source, {"MODELCRATE_THREADS": "2", "SCORING_TIMEOUT_MS": "1000"}) as server:
        late = all_at_once(server, ["100000", "100000"])
        assert [answer.status for answer in late] == [500, 500]
        assert b"Scoring timeout after 1000 ms" in late[0].body
        assert [answer.status for answer in all_at_once(server, ["1"] * 6)] == [200] * 6


def test_a_worker_is_replaced_after_its_share_and_no_request_is_lost(tmp_path: Path) -> None:
    source = returning("os.getpid()", "import os")
    with served(tmp_path, source, {"MODELCRATE_MAX_REQUESTS": "5", "WORKER_COUNT": "2"}) as server:
        answers = [server.ask(Ask(body=b"")) for _ in range(40)]
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) > 3
        assert "another one takes its place" in server.log


def test_batch_and_threads_exclude_each_other() -> None:
    assert read_settings({"MODELCRATE_BATCH_MAX": "32"}).process.batch == Batch(32, 5)
    with pytest.raises(SettingsError, match="exclude each other"):
        read_settings({"MODELCRATE_BATCH_MAX": "32", "MODELCRATE_THREADS": "2"})


@pytest.mark.parametrize("source", [SCHEMA, RAW, PLAIN.replace("run(data)", "run(data, request_headers)")])
def test_a_script_that_takes_no_list_is_not_started_with_batches(tmp_path: Path, source: str) -> None:
    with pytest.raises(EntryError, match="a batch takes"):
        entry_of(tmp_path, source, MODELCRATE_BATCH_MAX="2")
