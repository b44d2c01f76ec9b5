"""Spans on their way to a collector, by OTLP over HTTP: https://opentelemetry.io/docs/specs/otlp."""

from __future__ import annotations

import http.client
import json
import logging
import queue
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from . import VERSION
from .background import start_thread
from .tracing import Span, Tracing
from .wire import fixed64, part, text, whole

_log = logging.getLogger("azmlinfsrv")

_SERVER, _ERROR = 2, 2  # SPAN_KIND_SERVER, STATUS_CODE_ERROR
_CLOSING_SECONDS = 2.0
_RETRY = (429, 502, 503, 504)
_ATTEMPTS = 3


class Exporter:
    """A thread that sends spans, several at once. A collector that is slow or gone costs spans and nothing else.

    Args:
        settings: Where spans go.
    """

    def __init__(self, settings: Tracing) -> None:
        self._settings = settings
        self._spans: queue.Queue[Span] = queue.Queue(settings.queue)
        self._closing = threading.Event()
        self._done = threading.Event()
        self._silent = False
        start_thread(self._work, "modelcrate-spans")

    def add(self, span: Span) -> None:
        """Lets a span be sent, unless too many wait already."""
        try:
            self._spans.put_nowait(span)
        except queue.Full:
            self._complain("spans are dropped, because the collector takes them too slowly")

    def close(self) -> None:
        """Sends what waits, for at most two seconds."""
        self._closing.set()
        self._done.wait(_CLOSING_SECONDS)

    def _work(self) -> None:
        while not self._closing.wait(self._settings.delay):
            self._send_all()
        self._send_all()
        self._done.set()

    def _send_all(self) -> None:
        while not self._spans.empty():
            count = min(self._spans.qsize(), self._settings.together)
            try:
                self._send([self._spans.get_nowait() for _ in range(count)])
            except (OSError, http.client.HTTPException, ValueError) as fault:
                self._complain(f"the collector at {self._settings.endpoint} can't be reached: {fault}")

    def _send(self, spans: Sequence[Span]) -> None:
        settings = self._settings
        as_json = settings.protocol == "http/json"
        body = json.dumps(document(spans, settings.resource)).encode() if as_json else message(spans, settings.resource)
        kind = "application/json" if as_json else "application/x-protobuf"
        for attempt in range(_ATTEMPTS):
            status = self._post(body, {**settings.headers, "Content-Type": kind})
            if status not in _RETRY or self._closing.is_set():
                break
            time.sleep(2**attempt)
        if status >= 300:
            self._complain(f"the collector at {settings.endpoint} has answered {status}")
        else:
            self._silent = False

    def _post(self, body: bytes, fields: Mapping[str, str]) -> int:
        url = urlsplit(self._settings.endpoint)
        assert url.hostname is not None
        if url.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                url.hostname, url.port, timeout=self._settings.timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=self._settings.timeout)
        try:
            connection.request("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""), body, dict(fields))
            answer = connection.getresponse()
            answer.read(65_536)
            return answer.status
        finally:
            connection.close()

    def _complain(self, what: str) -> None:
        """Logs what is wrong, once until something was sent again."""
        if not self._silent:
            self._silent = True
            _log.warning("Traces: %s", what)


def attributes(span: Span) -> dict[str, str | int]:
    """Returns the attributes of a span, by the conventions for HTTP servers."""
    found: dict[str, str | int] = {
        "http.request.method": span.method,
        "http.route": span.route,
        "http.response.status_code": span.status,
        "url.path": span.path,
        "url.scheme": span.scheme,
    }
    if span.request_id:
        found["modelcrate.request_id"] = span.request_id
    return found


def document(spans: Sequence[Span], resource: Mapping[str, str]) -> dict[str, Any]:
    """Returns an ExportTraceServiceRequest as JSON, where ids are hexadecimal."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_pair(*each) for each in resource.items()]},
                "scopeSpans": [
                    {"scope": {"name": "modelcrate", "version": VERSION}, "spans": [_json(each) for each in spans]}
                ],
            }
        ]
    }


def _json(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent,
        "name": f"{span.method} {span.route}",
        "kind": _SERVER,
        "startTimeUnixNano": str(span.started),
        "endTimeUnixNano": str(span.ended),
        "attributes": [_pair(*each) for each in attributes(span).items()],
        "status": {"code": _ERROR} if span.status >= 500 else {},
    }


def _pair(name: str, value: str | int) -> dict[str, Any]:
    return {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def message(spans: Sequence[Span], resource: Mapping[str, str]) -> bytes:
    """Returns an ExportTraceServiceRequest of Protocol Buffers; the numbers are those of its fields."""
    described = b"".join(part(1, _attribute(*each)) for each in resource.items())
    scope = text(1, "modelcrate") + text(2, VERSION)
    scoped = part(1, scope) + b"".join(part(2, _span(each)) for each in spans)
    return part(1, part(1, described) + part(2, scoped))


def _span(span: Span) -> bytes:
    out = part(1, bytes.fromhex(span.trace_id)) + part(2, bytes.fromhex(span.span_id))
    out += part(4, bytes.fromhex(span.parent)) if span.parent else b""
    out += text(5, f"{span.method} {span.route}") + whole(6, _SERVER)
    out += fixed64(7, span.started) + fixed64(8, span.ended)
    out += b"".join(part(9, _attribute(*each)) for each in attributes(span).items())
    return out + (part(15, whole(3, _ERROR)) if span.status >= 500 else b"")


def _attribute(name: str, value: str | int) -> bytes:
    return text(1, name) + part(2, whole(3, value) if isinstance(value, int) else part(1, value.encode()))
