"""The WSGI application: gives each request to the platform that has its path."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .access import log_access
from .deadline import Stopwatch
from .inputs import RawInput
from .metrics import CONTENT_TYPE, PATH, Metrics
from .platforms import Platform
from .request import AMLRequest, HttpError
from .response import Response, with_fields
from .routing import Found, Routing
from .service import SERVER_FAILED, ScriptFailedError, Service

_log = logging.getLogger("azmlinfsrv")

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
        self._service, self._routing = service, Routing(platforms, service.settings.variables)
        self.metrics = metrics
        self._adds_ids = service.settings.log_format == "json"

    @property
    def max_body_bytes(self) -> int | None:
        """The largest body that is taken; None for any."""
        return self._service.settings.departures.max_body_bytes

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
        if self._adds_ids:
            environ = {"HTTP_X_REQUEST_ID": str(uuid.uuid4()), **environ}
        request = AMLRequest(environ, self.max_body_bytes, unpacks=not isinstance(self._service.entry.read, RawInput))
        return self._answer(request)(environ, start_response)

    def _answer(self, request: AMLRequest) -> Response:
        found = self._routing.find(request.path, request.method)
        if found is None:
            if self.metrics is not None and request.path == PATH and request.method in ("GET", "HEAD"):
                model = self._service.settings.model
                return Response(self.metrics.text(model.name, model.version), content_type=CONTENT_TYPE)
            return self._routing.nearest(request.path).error(404, NOT_FOUND)
        if found.handler is None:
            return found.platform.error(405, NOT_ALLOWED)
        if not found.logged:  # health probes would flood the log
            return self._guarded(request, found)
        watch = Stopwatch()
        if self.metrics is None:
            response = self._guarded(request, found)
        else:
            self.metrics.begin()
            status = 500
            try:
                response = self._guarded(request, found)
                status = response.status_code
            finally:
                self.metrics.end(found.path, status, watch.elapsed_ms / 1000)
        log_access(request, response, watch)
        return response

    def _guarded(self, request: AMLRequest, found: Found) -> Response:
        assert found.handler is not None
        try:
            return found.handler(self._service, request, found.names)
        except HttpError as refused:
            return with_fields(found.platform.error(refused.status, refused.message), refused.fields)
        except ScriptFailedError as failure:
            return found.platform.error(500, str(failure))
        except Exception as failure:
            _log.exception("The server could not answer %s %s: %s", request.method, request.path, failure)
            return found.platform.error(500, SERVER_FAILED)
