"""The WSGI application: routes, and the way of one request through them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .blame import raised_while_converting
from .cors import Origins
from .deadline import Stopwatch, deadline
from .entry import Entry
from .inputs import NoInputError
from .request import AMLRequest, HttpError
from .request_ids import read_ids
from .response import JSON, AMLResponse, Response, adopted, error
from .results import encode
from .settings import Settings
from .swagger import Documents, NoSuchVersionError

_log = logging.getLogger("azmlinfsrv")

# the sentences of the contract, which clients may compare
NOT_FOUND = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
NOT_ALLOWED = "The method is not allowed for the requested URL."
SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
SERVER_FAILED = "An unexpected internal error occurred. Check the logs for more info."

Handler = Callable[[AMLRequest], Response]


class ScoringApp:
    """Serves one entry script. Every request is answered; what goes wrong is in the log and never in the answer."""

    def __init__(self, entry: Entry, documents: Documents, settings: Settings) -> None:
        self._entry, self._documents, self._settings = entry, documents, settings
        self._origins = Origins(settings.cors_origins) if settings.cors_origins else None
        self._routes: dict[str, tuple[Handler, tuple[str, ...]]] = {
            "/": (lambda request: Response("Healthy"), ("GET", "HEAD")),
            "/score": (self._score, ("GET", "HEAD", "OPTIONS", "POST")),
            "/swagger.json": (self._swagger, ("GET", "HEAD")),
        }
        if settings.departures.probes:
            # the script is loaded before the first request is taken, so being there is being ready
            self._routes["/livez"] = self._routes["/readyz"] = (lambda request: Response("ok"), ("GET", "HEAD"))

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = AMLRequest(environ, self._settings.departures.max_body_bytes)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: AMLRequest) -> Response:
        handler, methods = self._routes.get(request.path, (None, ()))
        if handler is None:
            return error(404, NOT_FOUND)
        if request.method == "OPTIONS" and "OPTIONS" not in methods:
            handler, methods = _options(methods), ("OPTIONS",)
        if request.method not in methods:
            return error(405, NOT_ALLOWED)
        return self._routed(request, handler)

    def _routed(self, request: AMLRequest, handler: Handler) -> Response:
        watch = Stopwatch()
        ids, refusal = read_ids(request)
        if ids.legacy:
            _log.warning("x-ms-request-id is deprecated for a client's own id; use x-ms-client-request-id")
        response = refusal or self._guarded(request, handler)
        if self._settings.version_header:
            response.headers.add("x-ms-server-version", self._settings.version_header)
        ids.write(response)
        if "TraceId" in request.headers:
            response.headers.add("TraceId", request.headers["TraceId"])
        if self._origins:
            self._origins.write(request, response)
        if refusal is None and handler in (self._score, self._swagger):  # health probes would flood the log
            _log_access(request, response, watch)
        return response

    def _guarded(self, request: AMLRequest, handler: Handler) -> Response:
        try:
            return handler(request)
        except HttpError as refused:
            return error(refused.status, refused.message)
        except Exception as failure:
            _log.exception("The server could not answer %s %s: %s", request.method, request.path, failure)
            return error(500, SERVER_FAILED)

    def _swagger(self, request: AMLRequest) -> Response:
        asked = request.args.get("version", "2")
        try:
            return AMLResponse(self._documents.of(asked), 200, json_str=True)
        except NoSuchVersionError as missing:
            return error(404, str(missing))

    def _score(self, request: AMLRequest) -> Response:
        try:
            arguments = self._entry.read(request)
        except NoInputError:
            return AMLResponse("", 200) if request.method == "OPTIONS" else error(405, "Method not allowed")
        limit = self._settings.scoring_timeout_ms
        try:
            with deadline(limit):
                watch = Stopwatch()
                result = self._entry.call(arguments, request.headers)  # type: ignore[arg-type]  # has keys and items, all that dict() asks
                elapsed = watch.elapsed_ms
        except TimeoutError:
            _log.exception("run() was ended after %s ms", limit)
            return error(500, f"Scoring timeout after {limit} ms", run_function_failed=True)
        except Exception as failure:
            return self._run_failed(failure)
        return self._finished(result, elapsed)

    def _run_failed(self, failure: Exception) -> Response:
        if self._settings.departures.bad_input_is_400 and raised_while_converting(failure, self._entry.run):
            _log.warning("The input does not fit the schema of run(): %s", failure)
            return error(400, f"The input does not fit the schema: {failure}")
        _log.error("run() raised an exception", exc_info=failure)
        return error(500, SCRIPT_FAILED, run_function_failed=True)

    def _finished(self, result: object, elapsed_ms: float) -> Response:
        response = adopted(result)
        if response is None:
            response = AMLResponse(encode(result, self._settings.departures.encode_numpy), 200)
            response.headers["Content-Type"] = JSON
        elif response.status_code >= 500:
            response.headers["x-ms-run-function-failed"] = True
        response.headers.add("x-ms-run-fn-exec-ms", f"{elapsed_ms:.3f}")
        return response


def _options(methods: tuple[str, ...]) -> Handler:
    def answer(request: AMLRequest) -> Response:
        response = Response("")
        response.headers["Allow"] = ", ".join([*methods, "OPTIONS"])
        return response

    return answer


def _log_access(request: AMLRequest, response: Response, watch: Stopwatch) -> None:
    query = request.query_string.decode("utf-8", "replace")
    path = f"{request.path}?{query}" if query else request.path
    length = "N/A" if response.is_streamed else response.length
    _log.info("%s %s %s %.3fms %s", request.method, path, response.status_code, watch.elapsed_ms, length)
