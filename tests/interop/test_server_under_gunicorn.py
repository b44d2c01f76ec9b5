"""The server as images run it: under gunicorn from PyPI."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.azure import LIBRARIES, environment
from support.ports import free_port
from support.serving import SCRIPTS, Ask, Server, our_server
from support.wsgi import PLAIN, returning

pytestmark = [pytest.mark.interop, pytest.mark.network]


@pytest.fixture(scope="module")
def python() -> str:
    return environment("libraries", *LIBRARIES)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "score.py"
    path.write_text(returning("os.getpid()", "import os").replace("pass", "print('init in', os.getpid())"))
    return path


@pytest.fixture
def server(python: str, script: Path, tmp_path: Path) -> Iterator[Server]:
    with our_server(python, script, tmp_path, {"HOME": "/nonexistent"}) as running:
        yield running


def workers_of(server: Server) -> set[int]:
    return {json.loads(server.ask(Ask(body=b"")).body) for _ in range(20)}


def test_ends_with_0_after_sigterm_and_needs_no_home(server: Server) -> None:
    assert server.ask(Ask(body=b"")).status == 200
    assert server.stop() == 0
    assert "Control server" not in server.log
    assert "Starting gunicorn" in server.log


def test_an_init_that_fails_ends_the_whole_server_with_3(python: str, tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_text(PLAIN.replace("pass", "raise OSError('no such model')"))
    with pytest.raises(AssertionError) as failed, our_server(python, path, tmp_path, {"WORKER_COUNT": "2"}):
        pass
    assert "the server ended with 3:" in str(failed.value)
    assert "OSError: no such model" in str(failed.value)


def test_workers_are_counted_and_each_calls_init(python: str, script: Path, tmp_path: Path) -> None:
    with our_server(python, script, tmp_path, {"WORKER_COUNT": "2"}) as server:
        assert len(workers_of(server)) <= 2
        server.stop()
    assert server.log.count("init in") == 2


def test_preloaded_init_is_called_once(python: str, script: Path, tmp_path: Path) -> None:
    with our_server(python, script, tmp_path, {"WORKER_COUNT": "2", "WORKER_PRELOAD": "True"}) as server:
        server.ask(Ask(body=b""))
        server.stop()
    assert server.log.count("init in") == 1


def test_a_run_that_takes_too_long_is_ended_and_the_worker_lives_on(python: str, tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_text(returning("time.sleep(20) if data else os.getpid()", "import os, time"))
    with our_server(python, path, tmp_path, {"SCORING_TIMEOUT_MS": "1500"}) as server:
        before = workers_of(server)
        answer = server.ask(Ask(body=b"x"))
        assert (answer.status, json.loads(answer.body)["message"]) == (500, "Scoring timeout after 1500 ms")
        assert workers_of(server) == before


def test_both_ports_answer(python: str, script: Path, tmp_path: Path) -> None:
    port = free_port()
    env = {"SEPERATE_HEALTH_ENDPOINT": "true"}
    with our_server(python, script, tmp_path, env, ["--health_port", str(port)]) as server:
        other = Server(server.process, port, server.log_file)
        assert (other.ask(Ask("GET", "/")).body, server.ask(Ask("GET", "/")).body) == (b"Healthy", b"Healthy")


def test_a_silent_client_is_given_up_and_the_worker_lives_on(python: str, script: Path, tmp_path: Path) -> None:
    with our_server(python, script, tmp_path, {"MODELCRATE_CLIENT_TIMEOUT": "1"}) as server:
        before = workers_of(server)
        for begun in (b"POST /sco", b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12"):
            with socket.create_connection(("127.0.0.1", server.port)) as silent:
                silent.sendall(begun)
                assert server.ask(Ask(body=b"")).status == 200
        assert workers_of(server) == before


def test_two_hundred_clients_at_once_are_all_answered(server: Server) -> None:
    with ThreadPoolExecutor(200) as clients:
        statuses = list(clients.map(lambda _: server.ask(Ask(body=b"")).status, range(200)))
    assert statuses == [200] * 200
    assert server.ask(Ask("GET", "/")).body == b"Healthy"


def test_a_body_that_is_not_json_is_the_scripts_failure_and_the_worker_lives_on(python: str, tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_text(returning("json.loads(data)['pid'] or os.getpid()", "import json, os"))
    with our_server(python, path, tmp_path) as server:
        good = Ask(body=b'{"pid": 0}')
        before = server.ask(good).body
        for body in (b"", b"{", b"[1, 2]", b"\xff\xfe", b'{"pid": 0}' * 2):
            answer = server.ask(Ask(body=body))
            assert answer.status == (400 if body[:1] == b"\xff" else 500), body
            assert "JSON" not in answer.body.decode(), "nothing of the script leaks"
        assert server.ask(good).body == before


def test_fifty_megabytes_are_taken(python: str, tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_text(returning("len(data)"))
    with our_server(python, path, tmp_path) as server:
        assert server.ask(Ask(body=b"x" * 50_000_000)).body == b"50000000"
        assert server.ask(Ask("GET", "/")).body == b"Healthy"


def test_numpy_results_and_wrong_shapes_are_told_better_on_demand(python: str, tmp_path: Path) -> None:
    env = {"MODELCRATE_ENCODE_NUMPY": "true", "MODELCRATE_BAD_INPUT_IS_400": "true"}
    with our_server(python, SCRIPTS / "numpy_schema.py", tmp_path, env) as server:
        answers = [
            server.ask(Ask(body=json.dumps({"data": data}).encode(), headers=[("Content-Type", "application/json")]))
            for data in ([[14, 2]], [[1, 2, 3]], [[13, 1]], "no")
        ]
    assert [answer.status for answer in answers] == [200, 400, 500, 400]
    assert answers[0].body == b"[[14.0, 2.0]]"
    assert "shape (any, 2) is expected; this has (1, 3)" in answers[1].body.decode()
