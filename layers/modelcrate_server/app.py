"""The WSGI application: gives each request to the platform that has its path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .access import log_access
from .deadline import Stopwatch
from .inputs import RawInput
from .metrics import CONTENT_TYPE, PATH, Metrics
from .packing import packed
from .platforms import Platform
from .request import AMLRequest
from .request_ids import new_id
from .response import Response
from .routing import Found, Routing
from .service import Service, Steps, guarded
from .tracing import tracer

NOT_FOUND = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
NOT_ALLOWED = "The method is not allowed for the requested URL."


class ScoringApp:
    """Serves one entry script to some platforms. Exceptions are in the log, never in an answer.

    Args:
        service: The script and its settings.
        platforms: The protocols to serve.
        metrics: Counts requests and is readable at /metrics; None without metrics.
    """

    def __init__(self, service: Service, platforms: Sequence[Platform], metrics: Metrics | None = None) -> None:
        self.service, self._routing = service, Routing(platforms, service.settings.variables)
        self.metrics = metrics
        self._tracer = tracer(service.settings.variables)
        self._adds_ids = service.settings.log_format == "json"

    @property
    def max_body_bytes(self) -> int | None:
        """The largest body that is taken; None for any."""
        return self.service.settings.departures.max_body_bytes

    def close(self) -> None:
        """Ends what goes on beside requests."""
        if self._tracer is not None:
            self._tracer.close()

    def is_probe(self, environ: Mapping[str, Any]) -> bool:
        """Returns whether a request can be answered while run() works: it needs nothing of the script."""
        path = AMLRequest(environ).path
        found = self._routing.find(path, environ["REQUEST_METHOD"])
        return found.probe if found is not None else path == PATH

    def refusal(self, path: str, status: int, message: str) -> Response:
        """Returns the answer to bytes that are no request, in the form of the platform that has the path."""
        return self._routing.nearest(path or "/").error(status, message)

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request by WSGI (PEP 3333)."""
        return self.answer(environ)(environ, start_response)

    def answer(self, environ: Mapping[str, Any]) -> Response:
        """Returns the answer to a request."""
        return self.service.finish(self.steps(environ))

    def steps(self, environ: Mapping[str, Any]) -> Steps:
        """Returns the steps to the answer of a request (see `service`)."""
        if self._adds_ids:
            environ = {"HTTP_X_REQUEST_ID": new_id(), **environ}
        raw = isinstance(self.service.entry.read, RawInput)  # whose script reads and writes bodies as it likes
        request = AMLRequest(environ, self.max_body_bytes, unpacks=not raw)
        response = yield from self._answer(request)
        return response if raw else packed(response, request)

    def _answer(self, request: AMLRequest) -> Steps:
        found = self._routing.find(request.path, request.method)
        if found is None:
            return self._page(request) or self._routing.nearest(request.path).error(404, NOT_FOUND)
        if found.handler is None:
            return found.platform.error(405, NOT_ALLOWED)
        if not found.logged:  # health probes would flood the log
            return (yield from self._guarded(request, found))
        watch = Stopwatch()
        span = None if self._tracer is None else self._tracer.begin(request, found.path)
        response = None
        if self.metrics is not None:
            self.metrics.begin()
        try:
            response = yield from self._guarded(request, found)
        finally:
            status = 500 if response is None else response.status_code
            if self.metrics is not None:
                self.metrics.end(found.path, status, watch.elapsed_ms / 1000)
            if span is not None:
                span.end(status)
        log_access(request, response, watch, "" if span is None else span.trace_id)
        return response

    def _page(self, request: AMLRequest) -> Response | None:
        """Returns what the server has beside its platforms' routes: counters, and a page for people."""
        if request.method not in ("GET", "HEAD"):
            return None
        if self.metrics is not None and request.path == PATH:
            model = self.service.settings.model
            return Response(self.metrics.text(model.name, model.version), content_type=CONTENT_TYPE)
        browser = "text/html" in request.headers.get("accept", "")  # others are told that there is no such route
        if request.path == "/docs" or (request.path == "/" and browser):
            from .page import page  # late: most servers are never looked at

            return page(self.service, self._routing.platforms)
        return None

    def _guarded(self, request: AMLRequest, found: Found) -> Steps:
        handler, error = found.handler, found.platform.error
        assert handler is not None
        return guarded(request, lambda: handler(self.service, request, found.names), error, error)
