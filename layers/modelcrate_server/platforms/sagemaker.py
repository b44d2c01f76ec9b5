"""Amazon SageMaker: /ping and /invocations on port 8080; the container is started with the word `serve`.

SageMaker leaves the form of bodies to the container. A script without schema and description gets the body as it is. With one of
them it gets what /score would give it, and also rows: a JSON list or text/csv; with a description also `instances`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..data import Data
from ..envelopes import instances_of, json_of
from ..inputs import ObjectInput, TextInput
from ..predictions import as_json
from ..request import AMLRequest
from ..response import JSON, Response, adopted, error, json_response
from ..service import Service, Steps
from ..tables import table_of_csv
from . import Check, Platform, Route


def _ping(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return Response("", content_type=JSON)


def _invoke(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
    rows = _rows(service, request)
    if rows is None:
        result, _ = yield from service.call(service.entry.read.of_request(request), request, blames_clients=True)
    else:
        result = yield from service.predict(lambda _: rows, request)
    return adopted(result) or json_response(as_json(result))


def _rows(service: Service, request: AMLRequest) -> Data | None:
    """Returns the rows for a script with a known input when the body has rows; None when it is read as for /score."""
    read = service.entry.read
    described = read.described if isinstance(read, TextInput) and read.described.takes else None
    if described is None and not isinstance(read, ObjectInput):
        return None
    if request.mimetype == "text/csv":
        return Data(table_of_csv(request))
    if not request.is_json:
        return None
    document = json_of(request.get_data())
    if described is not None and isinstance(document, dict) and described.member not in document:
        return instances_of(document, ("instances",)) if "instances" in document else None
    return Data(document) if isinstance(document, list) else None


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    return [Route(("GET", "HEAD"), "/ping", _ping, probe=True), Route(("POST",), "/invocations", _invoke, logged=True)]


def _body(instances: list[Any]) -> bytes:
    """Returns a body in the two usual forms at once, since none is fixed."""
    return json.dumps({"data": instances, "instances": instances}).encode()


PLATFORM = Platform(
    name="sagemaker",
    port=8080,
    port_variables=("SAGEMAKER_BIND_TO_PORT",),
    health="/ping",
    routes=_routes,
    error=error,
    model_folder="/opt/ml/model",
    free_bodies=True,
    program="serve",
    checks=(
        Check("it is ready within two seconds", "GET", "/ping", seconds=2.0),
        Check("invocations are posted", "GET", "/invocations", (405,)),
        Check("instances are scored within a minute", "POST", "/invocations", body=_body),
    ),
)
