"""Google's Vertex AI: it chooses port and paths by variables (AIP_*), and sends {"instances": [...], "parameters": ...}."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..envelopes import instances_of, json_object
from ..predictions import predictions
from ..request import AMLRequest
from ..response import JSON, Response, error_object
from ..service import Service, Steps, scored
from . import Check, Platform, Route


def _health(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return Response("{}", content_type=JSON)


def _predict(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
    result = yield from service.predict(lambda request: instances_of(json_object(request), ("instances",)), request)
    return scored(result) or Response(json.dumps({"predictions": predictions(result)}), content_type=JSON)


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    health = environ.get("AIP_HEALTH_ROUTE", "") or "/health"
    predict = environ.get("AIP_PREDICT_ROUTE", "") or "/predict"
    return [Route(("GET", "HEAD"), health, _health, probe=True), Route(("POST",), predict, _predict, logged=True)]


def _body(instances: list[Any]) -> bytes:
    return json.dumps({"instances": instances}).encode()


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
        Check("instances are predicted", "POST", "/predict", members=("predictions",), body=_body),
    ),
)
