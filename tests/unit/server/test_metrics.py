"""What the workers count, and the log in JSON."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelcrate_server.metrics import SECONDS, STATUSES, Metrics
from support.serving import Ask, our_server
from support.waiting import until
from support.wsgi import app_of, returning

SOURCE = "import os, time\n" + returning("time.sleep(float(data)) or os.getpid()")


def values(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)*\})? [0-9.e+-]+', line) for line in lines), text
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_counts_by_route_status_and_time() -> None:
    metrics = Metrics(["/score", "/other", "/score"], slots=2)
    for slot, status, seconds in ((0, 200, 0.002), (1, 200, 0.3), (1, 418, 1000.0)):
        metrics.join(slot)
        metrics.begin()
        metrics.end("/score", status, seconds)
    metrics.begin()
    metrics.wait(7)
    found = values(metrics.text('a"b\\c\nd', "1"))
    assert found['modelcrate_requests_total{route="/score",status="200"}'] == 2
    assert found['modelcrate_requests_total{route="/score",status="other"}'] == 1
    assert found["modelcrate_requests_running"] == 1
    assert found["modelcrate_requests_waiting"] == 7
    buckets = [
        found[f'modelcrate_request_seconds_bucket{{route="/score",le="{bound}"}}'] for bound in (*SECONDS, "+Inf")
    ]
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[1], buckets[-2], buckets[-1]) == (0, 1, 2, 3)
    assert found['modelcrate_request_seconds_count{route="/score"}'] == 3
    assert found['modelcrate_request_seconds_sum{route="/score"}'] == pytest.approx(1000.302)
    assert found['modelcrate_request_seconds_count{route="/other"}'] == 0
    metrics.join(1)
    assert values(metrics.text("m", "1"))["modelcrate_requests_running"] == 0, (
        "what a dead worker was answering is over"
    )
    assert 200 in STATUSES


def test_workers_count_together_also_when_one_is_replaced(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text(SOURCE)
    env = {"WORKER_COUNT": "2", "MODELCRATE_METRICS": "true", "WORKER_TIMEOUT": "2"}
    with our_server(sys.executable, script, tmp_path, env) as server:
        with ThreadPoolExecutor(4) as clients:
            asked = list(clients.map(lambda _: server.ask(Ask(body=b"0.1")).status, range(20)))
        assert asked == [200] * 20
        assert server.ask(Ask(body=b"no number")).status == 500
        assert server.ask(Ask(body=b"600")).status == 500, "this one ends its worker"
        until(lambda: server.log.count("is ready") == 3)
        answer = server.ask(Ask("GET", "/metrics"))
        found = values(answer.body.decode())
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert found['modelcrate_requests_total{route="/score",status="200"}'] == 20
    assert found['modelcrate_requests_total{route="/score",status="500"}'] == 2
    assert found["modelcrate_requests_running"] == 0


def test_there_are_no_metrics_unless_they_are_switched_on(tmp_path: Path) -> None:
    assert app_of(tmp_path)("GET", "/metrics").status == 404


def test_the_log_in_json_has_ids_and_exceptions(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text(SOURCE)
    with our_server(sys.executable, script, tmp_path, {"MODELCRATE_LOG_FORMAT": "json"}) as server:
        own = server.ask(Ask(body=b"0", headers=[("x-request-id", "mine")]))
        other = server.ask(Ask(body=b"no number"))
        server.stop()
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert all({"time", "level", "pid", "logger", "message"} <= set(line) for line in lines)
    access = [line for line in lines if "status" in line]
    assert [(line["status"], line["path"], line["request_id"]) for line in access] == [
        (200, "/score", "mine"),
        (500, "/score", other.header("x-request-id")),
    ]
    assert own.header("x-request-id") == "mine"
    assert any("could not convert string to float" in line.get("exception", "") for line in lines)


def test_another_log_format_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text(SOURCE)
    with (
        pytest.raises(AssertionError, match="MODELCRATE_LOG_FORMAT is 'xml'; it can be text or json"),
        our_server(sys.executable, script, tmp_path, {"MODELCRATE_LOG_FORMAT": "xml"}),
    ):
        pass
