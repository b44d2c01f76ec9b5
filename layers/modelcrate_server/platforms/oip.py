"""The Open Inference Protocol (V2) over REST: health, metadata, and inference with named, typed tensors.

https://github.com/kserve/open-inference-protocol; a test compares the answers with MLServer's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import VERSION
from ..binary_tensors import packed, with_data
from ..data import Table
from ..envelopes import object_of
from ..inference import Inferred, check_model, infer, metadata
from ..request import AMLRequest, HttpError
from ..response import JSON, Response, error_object, json_response
from ..service import Service, Steps
from ..tensors import tensor_of
from . import Check, Handler, Platform, Route

JSON_SIZE = "Inference-Header-Content-Length"
"""The field that says how many bytes of a body are its JSON; the rest are the elements of tensors."""


def _ready(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return Response("", content_type=JSON)


def _server(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return json_response({"name": "modelcrate", "version": VERSION, "extensions": ["binary_tensor_data"]})


def _index(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    model = service.settings.model
    return json_response([{"name": model.name, "version": model.version, "state": "READY", "reason": ""}])


def _metadata(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return json_response(metadata(service))


def _infer(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
    found = yield from infer(service, request, _document)
    return found if isinstance(found, Response) else _answer(service, found)


def _document(request: AMLRequest) -> dict[str, Any]:
    """Returns the body's JSON object, with the data of those inputs that follow it as bytes."""
    field = request.headers.get(JSON_SIZE)
    if field is None:
        return object_of(request.get_data(), strict=True)
    body = request.get_data()
    size = int(field) if field.isascii() and field.isdigit() and len(field) < 16 else -1
    if not 0 <= size <= len(body):
        raise HttpError(400, f"{JSON_SIZE} is {field[:80]!r}, and the body has {len(body)} bytes")
    return with_data(object_of(body[:size], strict=True), body[size:])


def _answer(service: Service, found: Inferred) -> Response:
    own_id, model = found.document.get("id"), service.settings.model
    answer = {"model_name": model.name, "model_version": model.version, **({} if own_id is None else {"id": own_id})}
    binary = _binary(found)
    if not binary:
        return json_response({**answer, "outputs": found.outputs})
    outputs, rest = [], []
    for each in found.outputs:
        if each["name"] not in binary:
            outputs.append(each)
            continue
        rest.append(packed(each["data"], each["datatype"]))
        plain = {name: value for name, value in each.items() if name != "data"}
        outputs.append({**plain, "parameters": {"binary_data_size": len(rest[-1])}})
    head = json.dumps({**answer, "outputs": outputs}).encode()
    response = Response(b"".join([head, *rest]), content_type="application/octet-stream")
    response.headers[JSON_SIZE] = len(head)
    return response


def _binary(found: Inferred) -> set[str]:
    """Returns the names of the outputs that the client wants as bytes: all, or those of which it says so."""
    parameters = found.document.get("parameters")
    every = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    wanted = {each["name"]: every for each in found.outputs}
    for each in found.document.get("outputs") or ():
        own = each.get("parameters")
        if isinstance(own, dict) and isinstance(own.get("binary_data"), bool):
            wanted[each["name"]] = own["binary_data"]
    return {name for name, binary in wanted.items() if binary}


def _of_model(handler: Handler) -> Handler:
    """Returns the handler for the image's own model; another model is 404."""

    def checked(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response | Steps:
        check_model(service, names["model"], names.get("version"))
        return handler(service, request, names)

    return checked


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    out = [
        Route(("GET",), "/v2", _server, probe=True),
        Route(("GET",), "/v2/health/live", _ready, probe=True),
        Route(("GET",), "/v2/health/ready", _ready, probe=True),
        Route(("POST",), "/v2/repository/index", _index, probe=True),
    ]
    for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        out += [
            Route(("GET",), model, _of_model(_metadata)),
            Route(("GET",), f"{model}/ready", _of_model(_ready), probe=True),
            Route(("POST",), f"{model}/infer", _of_model(_infer), logged=True),
        ]
    return out


def _body(instances: list[Any]) -> bytes:
    named: Mapping[str, Any] = {"input-0": instances}
    if instances and all(isinstance(each, dict) for each in instances):
        named = Table.of_records(instances).by_column()
    return json.dumps({"id": "check", "inputs": [tensor_of(*each) for each in named.items()]}).encode()


_MODEL, _INFER = "/v2/models/{model}", "/v2/models/{model}/infer"
_ANSWER = ("model_name", "outputs", "id")
_BAD = b'{"inputs": [{"name": "x", "datatype": "%s", "shape": %s, "data": [1, 2, 3]}]}'

PLATFORM = Platform(
    name="oip",
    port=8080,
    port_variables=("PORT",),
    health="/v2/health/ready",
    routes=_routes,
    error=error_object,
    model_folder="/mnt/models",
    lists_models="/v2/repository/index",
    checks=(
        Check("it is alive", "GET", "/v2/health/live"),
        Check("it is ready", "GET", "/v2/health/ready"),
        Check("it describes itself", "GET", "/v2", members=("name", "version", "extensions")),
        Check("it describes the model", "GET", _MODEL, members=("name", "platform", "inputs", "outputs")),
        Check("the model is ready", "GET", f"{_MODEL}/ready"),
        Check("an unknown model", "GET", "/v2/models/no-such-model", (400, 404), ("error",)),
        Check("an unknown version", "GET", f"{_MODEL}/versions/no-such-version", (400, 404), ("error",)),
        Check(
            "an unknown model is asked",
            "POST",
            "/v2/models/no-such-model/infer",
            (400, 404),
            ("error",),
            _BAD % (b"INT64", b"[3]"),
        ),
        Check("inference is posted", "GET", _INFER, (405,)),
        Check("a body that is not JSON", "POST", _INFER, (400, 422), (), b"{"),
        Check("a body without inputs", "POST", _INFER, (400, 422), (), b"{}"),
        Check("an unknown datatype", "POST", _INFER, (400, 422), (), _BAD % (b"NONE", b"[3]")),
        Check("too few elements for the shape", "POST", _INFER, (400, 422), ("error",), _BAD % (b"INT64", b"[9]")),
        Check("instances are predicted", "POST", _INFER, members=_ANSWER, body=_body),
    ),
)
