"""MLflow's scoring protocol: /invocations takes JSON or CSV and answers {"predictions": ...}; /ping, /health and /version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import VERSION
from ..data import Data
from ..envelopes import instances_body, json_of
from ..form import content_type_of
from ..predictions import answer_of
from ..request import AMLRequest, HttpError
from ..response import JSON, Response, json_response
from ..service import ScriptFailedError, Service, Steps
from ..tables import table_of_csv, table_of_records, table_of_split
from . import Check, Platform, Route

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
KINDS = ("text/csv", "application/json")


def _alive(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return Response("\n", content_type=JSON)


def _version(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return Response(f"modelcrate/{VERSION}", content_type=JSON)


def _invoke(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
    refused = _unsupported(request)
    if refused:
        return Response(refused, 415, "text/plain; charset=utf-8")
    try:
        result = yield from service.predict(_data, request)
    except ScriptFailedError as failure:
        raise HttpError(400, str(failure)) from None  # in this protocol, what a model refuses is the client's fault
    return answer_of(result)


def _unsupported(request: AMLRequest) -> str:
    """Returns why a body of this type can't be read, or an empty text."""
    kind, options = content_type_of(request.content_type)
    if kind not in KINDS:
        return f"These content types are supported: {', '.join(KINDS)}. This is {kind!r}."
    if set(options) - {"charset"}:
        return f"The content type has parameters that are not known: {', '.join(sorted(set(options) - {'charset'}))}"
    if options.get("charset", "utf-8").lower() != "utf-8":
        return "The body has to be UTF-8"
    return ""


def _data(request: AMLRequest) -> Data:
    if request.mimetype == "text/csv":
        return Data(table_of_csv(request))
    document = json_of(request.get_data())
    given = [form for form in FORMS if isinstance(document, dict) and form in document]
    if len(given) != 1:
        raise HttpError(400, f"The body should be a JSON object with exactly one of these members: {', '.join(FORMS)}")
    (form,) = given
    params = document.get("params")
    extra = params if isinstance(params, dict) else {}  # others are passed over, as by the original
    value: Any = document[form]
    if form == "dataframe_split":
        return Data(table_of_split(value), extra)
    if form == "dataframe_records":
        return Data(table_of_records(value), extra)
    if not isinstance(value, (list, dict)) or (form == "instances" and not isinstance(value, list)):
        raise HttpError(400, f"{form!r} should be a list")
    return Data(value, extra)


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    return [
        Route(("GET", "HEAD"), "/ping", _alive, probe=True),
        Route(("GET", "HEAD"), "/health", _alive, probe=True),
        Route(("GET", "HEAD"), "/version", _version, probe=True),
        Route(("POST",), "/invocations", _invoke, logged=True),
    ]


def _error(status: int, message: str) -> Response:
    code = "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR"
    return json_response({"error_code": code, "message": message}, status)


def _split(instances: list[Any]) -> bytes:
    return json.dumps({"dataframe_split": {"data": instances}}).encode()


_REFUSED = ("error_code", "message")

PLATFORM = Platform(
    name="mlflow",
    port=8080,
    port_variables=("PORT",),
    health="/ping",
    routes=_routes,
    error=_error,
    model_folder="/opt/ml/model",
    program="serve",
    checks=(
        Check("it is alive", "GET", "/ping"),
        Check("it is healthy", "GET", "/health"),
        Check("it tells its version", "GET", "/version"),
        Check("invocations are posted", "GET", "/invocations", (405,)),
        Check("a type that is not supported", "POST", "/invocations", (415,), body=b"[]", content_type="text/plain"),
        Check("another character set", "POST", "/invocations", (415,), body=b"a", content_type="text/csv; charset=x"),
        Check("a body that is not JSON", "POST", "/invocations", (400,), _REFUSED, b"{"),
        Check("none of the input forms", "POST", "/invocations", (400,), _REFUSED, b"{}"),
        Check("two input forms", "POST", "/invocations", (400,), _REFUSED, b'{"inputs": [], "instances": []}'),
        Check("instances are predicted", "POST", "/invocations", members=("predictions",), body=instances_body),
        Check("a split data frame is predicted", "POST", "/invocations", members=("predictions",), body=_split),
    ),
)
