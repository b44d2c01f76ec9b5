"""OpenTelemetry's variables, and the spans that a collector gets."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelcrate_server.settings import read_settings
from modelcrate_server.tracing import read_tracing
from modelcrate_server.variables import SettingsError
from support.serving import Ask, our_server
from support.waiting import until
from support.wsgi import returning

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FAILS = returning("1 / 0 if data == 'fail' else data")


@dataclass
class Collector:
    """Keeps what it is sent."""

    url: str = ""
    sent: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200

    def spans(self) -> list[dict[str, Any]]:
        documents = [json.loads(body) for _, _, body in self.sent]
        return [
            span
            for document in documents
            for resource in document["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.sent.append((self.path, dict(self.headers), body))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *parts: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_collector_gets_a_span_for_each_request(tmp_path: Path, collector: Collector) -> None:
    (tmp_path / "score.py").write_text(FAILS)
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + "/",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
        "OTEL_SERVICE_NAME": "sums",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "MODELCRATE_LOG_FORMAT": "json",
    }
    with our_server(sys.executable, tmp_path / "score.py", tmp_path, env) as server:
        server.ask(Ask(body=b"x", headers=[("traceparent", PARENT), ("x-request-id", "r1")]))
        server.ask(Ask(body=b"fail"))
        server.ask(Ask(body=b"x", headers=[("traceparent", PARENT[:-1] + "0")]))  # of which its client keeps nothing
        server.ask(Ask(body=b"x", headers=[("traceparent", "00-" + "0" * 32 + PARENT[35:])]))  # no trace
        server.ask(Ask("GET", "/"))
        until(lambda: len(collector.spans()) >= 3)
    spans = collector.spans()
    assert len(spans) == 3
    first, failed, own = spans
    assert (first["traceId"], first["parentSpanId"]) == (PARENT[3:35], PARENT[36:52])
    assert (first["name"], first["kind"], first["status"]) == ("POST /score", 2, {})
    assert int(first["endTimeUnixNano"]) > int(first["startTimeUnixNano"]) > 1e18
    attributes = {each["key"]: each["value"] for each in first["attributes"]}
    assert attributes["http.response.status_code"] == {"intValue": "200"}
    assert attributes["modelcrate.request_id"] == {"stringValue": "r1"}
    assert failed["status"] == {"code": 2}
    assert own["parentSpanId"] == ""
    path, fields, body = collector.sent[0]
    assert (path, fields["x-key"]) == ("/v1/traces", "a b")
    resource = json.loads(body)["resourceSpans"][0]["resource"]["attributes"]
    assert {"key": "service.name", "value": {"stringValue": "sums"}} in resource
    assert f'"trace_id": "{PARENT[3:35]}"' in server.log


def test_a_collector_that_is_gone_costs_one_line_of_the_log(tmp_path: Path, collector: Collector) -> None:
    collector.status = 400
    (tmp_path / "score.py").write_text(FAILS)
    env = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/t?x=1", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with our_server(sys.executable, tmp_path / "score.py", tmp_path, env) as server:
        for _ in range(3):
            sent = len(collector.sent)
            assert server.ask(Ask(body=b"x")).status == 200
            until(lambda sent=sent: len(collector.sent) > sent)
        until(lambda: "has answered 400" in server.log)
    assert {path for path, _, _ in collector.sent} == {"/t?x=1"}
    assert server.log.count("has answered 400") == 1


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "no http or https URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:word@host"}, "no http or https URL"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "http/protobuf or http/json",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_SAMPLER": "some"}, "parentbased_always_on"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_SAMPLER_ARG": "2"}, "from 0 to 1"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "zipkin"}, "otlp or none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "whole number"),
    ],
)
def test_a_wrong_variable_is_named(env: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_tracing(env)


@pytest.mark.parametrize(
    "more", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}]
)
def test_without_a_collector_there_are_no_traces(more: dict[str, str]) -> None:
    assert read_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", **more}) is None
    assert read_settings({}).process.threads == 1


def test_the_sampler_keeps_a_part_of_all_traces(tmp_path: Path) -> None:
    from modelcrate_server.tracing import Tracer

    settings = read_tracing(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x",
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.25",
        }
    )
    assert settings is not None
    tracer = Tracer(settings)
    assert tracer._keeps("0" * 18 + "3" + "f" * 13, None)
    assert not tracer._keeps("0" * 18 + "4" + "0" * 13, None)
