"""Azure Machine Learning: /score and /swagger.json on port 5001, with Azure's header fields on every answer.

A test compares the answers of this protocol with those of the original server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import Check, Platform, Route

if TYPE_CHECKING:
    from ..response import Response


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    from ..azureml_answers import routes  # only the server needs them

    return routes(environ)


def _error(status: int, message: str) -> Response:
    from ..response import error

    return error(status, message)


def _body(instances: list[Any]) -> bytes:
    return json.dumps({"data": instances}).encode()


PLATFORM = Platform(
    name="azureml",
    port=5001,
    port_variables=("SERVER_PORT",),
    health="/",
    routes=_routes,
    error=_error,
    checks=(
        Check("it is alive", "GET", "/"),
        Check("it describes itself", "GET", "/swagger.json", members=("swagger", "paths")),
        Check("an unknown version of the description", "GET", "/swagger.json?version=9", (404,), ("message",)),
        Check("an unknown path", "GET", "/no-such-path", (404,), ("message",)),
        Check("a method that is none", "PUT", "/score", (405,), ("message",)),
        Check("instances are scored", "POST", "/score", body=_body),
    ),
)
