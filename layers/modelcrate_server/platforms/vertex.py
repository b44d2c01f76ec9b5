"""Google's Vertex AI: it chooses port and paths by variables (AIP_*), and sends {"instances": [...], "parameters": ...}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..envelopes import instances_body, instances_of, object_of
from ..predictions import answer_of
from ..request import AMLRequest
from ..response import Response, error_object, json_response
from ..service import Service, Steps
from . import Check, Platform, Route


def _health(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return json_response({})


def _predict(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
    result = yield from service.predict(
        lambda request: instances_of(object_of(request.get_data()), ("instances",)), request
    )
    return answer_of(result)


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    health = environ.get("AIP_HEALTH_ROUTE", "") or "/health"
    predict = environ.get("AIP_PREDICT_ROUTE", "") or "/predict"
    return [Route(("GET", "HEAD"), health, _health, probe=True), Route(("POST",), predict, _predict, logged=True)]


PLATFORM = Platform(
    name="vertex",
    port=8080,
    port_variables=("AIP_HTTP_PORT",),
    health="/health",
    routes=_routes,
    error=error_object,
    ignored=(("AIP_STORAGE_URI", "the model is in the image; nothing is fetched from a bucket"),),
    checks=(
        Check("it is healthy within ten seconds", "GET", "/health", seconds=10.0),
        Check("predictions are posted", "GET", "/predict", (405,)),
        Check("a body that is not JSON", "POST", "/predict", (400,), body=b"{"),
        Check("a body without instances", "POST", "/predict", (400,), body=b"{}"),
        Check("instances are predicted", "POST", "/predict", members=("predictions",), body=instances_body),
    ),
)
