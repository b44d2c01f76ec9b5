"""Spans as OpenTelemetry's own messages read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcrate_server.request import AMLRequest
from modelcrate_server.trace_export import document, message
from modelcrate_server.tracing import Span, Tracer, read_tracing
from support.azure import environment
from support.tools import call
from support.wsgi import environ_of

pytestmark = [pytest.mark.interop, pytest.mark.network]

READ = """
import json
import sys

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

with open(sys.argv[1], "rb") as file:
    found = ExportTraceServiceRequest.FromString(file.read())
for resource in found.resource_spans:
    for scope in resource.scope_spans:
        for span in scope.spans:
            assert len(span.trace_id) == 16 and len(span.span_id) == 8
print(json.dumps(MessageToDict(found)))
"""


def spans() -> list[Span]:
    settings = read_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})
    assert settings is not None
    found = []
    for status, parent in ((200, "b7ad6b7169203331"), (500, "")):
        span = Span(
            Tracer(settings),
            AMLRequest(environ_of("POST", "/score")),
            "/score",
            "0af7651916cd43dd8448eb211c80319c",
            parent,
        )
        span.status, span.ended = status, span.started + 1
        found.append(span)
    return found


def test_opentelemetrys_messages_say_the_same_as_our_json(tmp_path: Path) -> None:
    python = environment("otlp", "opentelemetry-proto==1.45.2", compiled=False)
    made = spans()
    (tmp_path / "message").write_bytes(message(made, {"service.name": "sums"}))
    (resource,) = json.loads(call(python, "-c", READ, tmp_path / "message"))["resourceSpans"]
    (expected,) = document(made, {"service.name": "sums"})["resourceSpans"]
    assert resource["resource"] == expected["resource"]
    (scope,), (wanted,) = resource["scopeSpans"], expected["scopeSpans"]
    assert scope["scope"] == wanted["scope"]
    for span, own in zip(scope["spans"], wanted["spans"], strict=True):
        for name in ("name", "startTimeUnixNano", "endTimeUnixNano", "attributes"):
            assert span[name] == own[name], name
        assert span["kind"] == "SPAN_KIND_SERVER"
        assert ("parentSpanId" in span) == bool(own["parentSpanId"])
    codes = [span.get("status", {}).get("code") for span in scope["spans"]]
    assert codes == [None, "STATUS_CODE_ERROR"]
