"""The server as a process of its own, on every Python there is: it starts, scores, and ends as it should."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from modelcrate.project.contracts import promise
from support.ports import free_port
from support.serving import Ask, Server, ask_over, our_server
from support.waiting import HANG
from support.wsgi import PLAIN, returning

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
JSON = [("Content-Type", "application/json")]


@cache
def interpreter(version: str) -> str | None:
    """A CPython of this version: in the path, or where pyenv keeps them."""
    pyenv = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    candidates = [sys.executable, shutil.which(f"python{version}"), *map(str, pyenv)]
    show = "import sys, platform; print(platform.python_implementation(), '%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        done = subprocess.run([candidate, "-c", show], capture_output=True, text=True)
        if done.stdout.strip() == f"CPython {version}":
            return candidate
    return None


def script(folder: Path, source: str = PLAIN) -> Path:
    path = folder / "score.py"
    path.write_text(source)
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_starts_scores_and_stops(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no CPython {version} here")
    source = "import json\n" + PLAIN.replace("pass", "print('ready')").replace(
        "{'got': data}", "json.loads(data)[0] * 2"
    )
    with our_server(python, script(tmp_path, source), tmp_path) as server:
        answer = server.ask(Ask(body=b"[21]", headers=JSON))
        assert (answer.status, answer.body) == (200, b"42")
        assert server.ask(Ask("GET", "/nope")).status == 404
        assert server.stop() == 0
    assert "azmlinfsrv.print - ready" in server.log
    assert "POST /score 200 " in server.log


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    source = returning("time.sleep(float(data or 0)) or data", "import time")
    with our_server(sys.executable, script(tmp_path, source), tmp_path) as running:
        yield running


def test_a_connection_serves_many_requests(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG)
    try:
        assert [ask_over(connection, Ask(body=b"0")).status for _ in range(3)] == [200] * 3
    finally:
        connection.close()


def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    source = returning(f"time.sleep({HANG})", "import time")
    with our_server(sys.executable, script(tmp_path, source), tmp_path, {"SCORING_TIMEOUT_MS": "700"}) as server:
        answer = server.ask(Ask(body=b""))
    assert (answer.status, json.loads(answer.body)["message"]) == (500, "Scoring timeout after 700 ms")


def test_many_clients_at_once_are_all_answered(server: Server) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(server.ask(Ask(body=b"0")).status)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 50


def test_what_was_taken_is_answered_before_the_end(tmp_path: Path) -> None:
    source = returning("print('begun') or time.sleep(0.3) or 'done'", "import time")
    answers: list[bytes] = []
    with our_server(sys.executable, script(tmp_path, source), tmp_path) as server:
        asking = threading.Thread(target=lambda: answers.append(server.ask(Ask(body=b"")).body))
        asking.start()
        while asking.is_alive() and "begun" not in server.log:
            time.sleep(0.01)
        assert server.stop() == 0
        asking.join()
    assert answers == [b'"done"']


def test_a_script_that_wants_to_leave_does_not_take_the_server_along(tmp_path: Path) -> None:
    with our_server(sys.executable, script(tmp_path, returning("exit(5)")), tmp_path) as server:
        assert server.ask(Ask(body=b"")).status == 500
        assert server.ask(Ask("GET", "/")).status == 200


def test_the_second_listener_answers_too(tmp_path: Path) -> None:
    port = free_port()
    env = {"SEPERATE_HEALTH_ENDPOINT": "true"}
    with our_server(sys.executable, script(tmp_path), tmp_path, env, ["--health_port", str(port)]) as server:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG)
        try:
            assert ask_over(connection, Ask("GET", "/")).body == b"Healthy"
        finally:
            connection.close()
        assert server.ask(Ask("GET", "/")).body == b"Healthy"


@pytest.mark.parametrize(
    ("source", "env", "code", "said"),
    [
        (PLAIN.replace("pass", "raise OSError('no model')"), {}, 3, "OSError: no model"),
        (PLAIN, {"SCORING_TIMEOUT_MS": "soon"}, 3, "SCORING_TIMEOUT_MS is 'soon'"),
        (PLAIN, {"AZUREML_ENTRY_SCRIPT": ""}, 1, "There is no entry script"),
        (PLAIN, {"AZUREML_ENTRY_SCRIPT": "missing.py"}, 3, "FileNotFoundError"),
        (PLAIN, {"AZUREML_CONFIG_FILE": "score.py"}, 3, "can't be read as JSON"),
        (PLAIN, {"AZUREML_DEBUG_PORT": "1"}, 3, "debugpy is not installed"),
    ],
)
def test_a_start_that_fails_has_a_code_and_a_reason(
    tmp_path: Path, source: str, env: dict[str, str], code: int, said: str
) -> None:
    with pytest.raises(AssertionError) as failed, our_server(sys.executable, script(tmp_path, source), tmp_path, env):
        pass
    assert f"the server ended with {code}:" in str(failed.value)
    assert said in str(failed.value)


def test_a_wrong_command_line_ends_with_1(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"the server ended with 1:(.|\n)*usage"),
        our_server(sys.executable, script(tmp_path), tmp_path, {}, ["--worker_count", "none"]),
    ):
        pass


def test_logging_json_is_taken_and_a_broken_one_ends_with_3(tmp_path: Path) -> None:
    line = {"()": "azureml_inference_server_http.log_config.AMLLogFormatter", "fmt": "OWN %(message)s"}
    config = {
        "version": 1,
        "formatters": {"line": line},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {"azmlinfsrv": {"level": "INFO", "handlers": ["out"]}},
    }
    (tmp_path / "logging.json").write_text(json.dumps(config))
    with our_server(sys.executable, script(tmp_path), tmp_path) as server:
        server.stop()
    assert "OWN Loaded the logging configuration" in server.log
    (tmp_path / "logging.json").write_text("{}")
    with (
        pytest.raises(AssertionError, match="the server ended with 3:"),
        our_server(sys.executable, tmp_path / "score.py", tmp_path),
    ):
        pass


def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    with our_server(sys.executable, script(tmp_path), tmp_path) as server:
        assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.log


def test_the_argv_of_the_contract_is_what_these_tests_start() -> None:
    assert promise().argv[1:] == ("-m", "modelcrate_server")
