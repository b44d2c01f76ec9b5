"""The Open Inference Protocol (V2) over REST: health, metadata, and inference with named, typed tensors.

https://github.com/kserve/open-inference-protocol; a test compares the answers with MLServer's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import VERSION
from ..data import Data
from ..envelopes import json_object
from ..predictions import unwrapped
from ..request import AMLRequest, HttpError
from ..response import JSON, Response, error_object
from ..service import Service, scored
from ..signature import signature
from ..tensors import data_of, tensor_of
from . import Check, Handler, Platform, Route

OUTPUT = "predict"
"""The name of the only output, where neither the script's result nor its signature names it."""


def _json(document: Any) -> Response:
    return Response(json.dumps(document), content_type=JSON)


def _ready(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return Response("", content_type=JSON)


def _server(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return _json({"name": "modelcrate", "version": VERSION, "extensions": []})


def _index(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    model = service.settings.model
    return _json([{"name": model.name, "version": model.version, "state": "READY", "reason": ""}])


def _metadata(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    inputs, outputs = signature(service.entry)
    model = service.settings.model
    return _json(
        {"name": model.name, "versions": [model.version], "platform": "", "inputs": inputs, "outputs": outputs}
    )


def _infer(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    if request.headers.get("Inference-Header-Content-Length") is not None:
        raise HttpError(400, "Binary tensors are not supported; send the data as JSON")
    document: dict[str, Any] = {}

    def read(request: AMLRequest) -> Data:
        document.update(json_object(request, strict=True))
        return _data(document)

    result = service.predict(read, request)
    own = scored(result)
    if own is not None:
        return own
    own_id = document.get("id")
    outputs = _wanted(document.get("outputs"), _outputs(_named(result), signature(service.entry)[1]))
    model = service.settings.model
    answer = {"model_name": model.name, "model_version": model.version, **({} if own_id is None else {"id": own_id})}
    return _json({**answer, "outputs": outputs})


def _data(document: Mapping[str, Any]) -> Data:
    if document.get("id") is not None and not isinstance(document["id"], str):
        raise HttpError(400, "The id should be a text")
    return data_of(document.get("inputs"), document.get("parameters"))


def _named(result: object) -> tuple[str, Any]:
    """Returns the name that the script gave its result, the only member of an object, and the result."""
    if isinstance(result, dict) and len(result) == 1 and not isinstance(unwrapped(result), dict):
        return str(next(iter(result))), unwrapped(result)
    return "", unwrapped(result)


def _outputs(named: tuple[str, Any], declared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    name, value = named
    types = {each["name"]: each["datatype"] for each in declared}
    if isinstance(value, dict) and value and all(isinstance(v, list) or hasattr(v, "tolist") for v in value.values()):
        return [tensor_of(str(key), item, types.get(str(key))) for key, item in value.items()]
    only = declared[0] if len(declared) == 1 else None
    own = only["name"] if only else name or OUTPUT
    return [tensor_of(own, value, only["datatype"] if only else None)]


def _wanted(names: object, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the outputs that the request names, in its order; all when it names none."""
    if not names:
        return outputs
    if not isinstance(names, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in names
    ):
        raise HttpError(400, "'outputs' should be a list of objects with names")
    known = {output["name"]: output for output in outputs}
    for each in names:
        if each["name"] not in known:
            raise HttpError(400, f"There is no output {each['name']!r}; there are: {', '.join(known)}")
    return [known[each["name"]] for each in names]


def _of_model(handler: Handler) -> Handler:
    """Returns the handler for the image's own model; another model is 404."""

    def checked(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
        name, version = names["model"], names.get("version")
        if not service.is_model(name, version):
            of_version = f" with version {version}" if version is not None else ""
            raise HttpError(404, f"Model {name}{of_version} not found")
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
    return json.dumps({"id": "check", "inputs": [tensor_of("input-0", instances)]}).encode()


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
