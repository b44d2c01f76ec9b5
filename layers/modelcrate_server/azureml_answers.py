"""How the server answers in Azure Machine Learning's protocol. It is apart from `platforms.azureml`, which every build reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Union

from .cors import Origins
from .inputs import NoInputError
from .platforms import Handler, Route
from .request import AMLRequest
from .request_ids import read_ids
from .response import JSON, AMLResponse, Response, adopted, error
from .results import encode
from .service import Service, Steps, guarded
from .variables import switch

_log = logging.getLogger("azmlinfsrv")
_Answer = Callable[[Service, AMLRequest], Union[Response, Steps]]
READ = ("GET", "HEAD")
_origins = lru_cache(Origins)
_failed = partial(error, run_function_failed=True)


def _healthy(service: Service, request: AMLRequest) -> Response:
    return Response("Healthy")


def _probed(service: Service, request: AMLRequest) -> Response:
    return Response("ok")  # the script is loaded before the first request is taken, so being there is being ready


def _swagger(service: Service, request: AMLRequest) -> Response:
    return AMLResponse(service.documents.of(request.args.get("version", "2")), 200, json_str=True)


def _score(service: Service, request: AMLRequest) -> Steps:
    try:
        arguments = service.entry.read.of_request(request)
    except NoInputError:
        return AMLResponse("", 200) if request.method == "OPTIONS" else error(405, "Method not allowed")
    departures = service.settings.departures
    result, elapsed_ms = yield from service.call(arguments, request, departures.bad_input_is_400)
    response = adopted(result)
    if response is None:
        response = AMLResponse(encode(result, departures.encode_numpy), 200)
        response.headers["Content-Type"] = JSON
    elif response.status_code >= 500:
        response.headers["x-ms-run-function-failed"] = True
    response.headers.add("x-ms-run-fn-exec-ms", f"{elapsed_ms:.3f}")
    return response


def _allowing(methods: tuple[str, ...]) -> _Answer:
    def answer(service: Service, request: AMLRequest) -> Response:
        response = Response("")
        response.headers["Allow"] = ", ".join([*methods, "OPTIONS"])
        return response

    return answer


def _dressed(answer: _Answer) -> Handler:
    """Adds Azure's header fields to the answers of a handler, and to its errors."""

    def dressed(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
        ids, refusal = read_ids(request)
        if ids.legacy:
            _log.warning("x-ms-request-id is deprecated for a client's own id; use x-ms-client-request-id")
        response = refusal or (yield from guarded(request, lambda: answer(service, request), error, _failed))
        if service.settings.version_header:
            response.headers.add("x-ms-server-version", service.settings.version_header)
        ids.write(response)
        if "TraceId" in request.headers:
            response.headers.add("TraceId", request.headers["TraceId"])
        if service.settings.cors_origins:
            _origins(service.settings.cors_origins).write(request, response)
        return response

    return dressed


def routes(environ: Mapping[str, str]) -> Sequence[Route]:
    """Returns the routes in this environment."""
    readable: list[tuple[str, _Answer, bool]] = [("/", _healthy, True), ("/swagger.json", _swagger, False)]
    if switch(environ, "MODELCRATE_PROBES"):
        readable += [("/livez", _probed, True), ("/readyz", _probed, True)]
    out = [Route(("GET", "HEAD", "OPTIONS", "POST"), "/score", _dressed(_score), logged=True)]
    for path, answer, probe in readable:
        out += [
            Route(READ, path, _dressed(answer), logged=not probe, probe=probe),
            Route(("OPTIONS",), path, _dressed(_allowing(READ))),
        ]
    return out
