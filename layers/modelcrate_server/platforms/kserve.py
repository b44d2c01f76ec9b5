"""KServe's first protocol (V1): /v1/models/NAME and /v1/models/NAME:predict, with {"instances": [...]} or {"inputs": ...}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..envelopes import instances_body, instances_of, object_of
from ..predictions import answer_of
from ..request import AMLRequest, HttpError
from ..response import Response, error_object, json_response
from ..service import Service, Steps
from . import Check, Platform, Route


def _models(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return json_response({"models": [service.settings.model.name]})


def _model(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return json_response({"name": _known(service, names), "ready": True})


def _predict(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
    _known(service, names)
    result = yield from service.predict(
        lambda request: instances_of(object_of(request.get_data()), ("instances", "inputs")), request
    )
    return answer_of(result)


def _known(service: Service, names: Mapping[str, str]) -> str:
    name = names["model"]
    if not service.is_model(name):
        raise HttpError(404, f"Model with name {name} does not exist.")
    return name


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    return [
        Route(("GET", "HEAD"), "/v1/models", _models, probe=True),
        Route(("GET", "HEAD"), "/v1/models/{model}", _model, probe=True),
        Route(("POST",), "/v1/models/{model}:predict", _predict, logged=True),
    ]


_PREDICT = "/v1/models/{model}:predict"

PLATFORM = Platform(
    name="kserve",
    port=8080,
    port_variables=("PORT",),
    health="/v1/models",
    routes=_routes,
    error=error_object,
    model_folder="/mnt/models",
    lists_models="/v1/models",
    checks=(
        Check("it lists its models", "GET", "/v1/models", members=("models",)),
        Check("the model is ready", "GET", "/v1/models/{model}", members=("name", "ready")),
        Check("an unknown model", "GET", "/v1/models/no-such-model", (404,), ("error",)),
        Check("an unknown model is asked", "POST", "/v1/models/no-such-model:predict", (404,), ("error",), b"{}"),
        Check("predictions are posted", "GET", _PREDICT, (405,)),
        Check("a body that is not JSON", "POST", _PREDICT, (400,), ("error",), b"{"),
        Check("a body without instances", "POST", _PREDICT, (400,), ("error",), b"{}"),
        Check("instances are predicted", "POST", _PREDICT, members=("predictions",), body=instances_body),
    ),
)
