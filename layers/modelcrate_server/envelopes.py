"""The JSON objects in which platforms send instances."""

from __future__ import annotations

import json
from typing import Any

from .data import Data
from .request import HttpError


def object_of(body: bytes, strict: bool = False) -> dict[str, Any]:
    """Returns a body as a JSON object (see `json_of`).

    Raises:
        HttpError: 400, it is not a JSON object.
    """
    document = json_of(body, strict)
    if not isinstance(document, dict):
        raise HttpError(400, f"The body should be a JSON object; this is {type(document).__name__}")
    return document


def json_of(body: bytes | str, strict: bool = False) -> Any:
    """Returns a body as JSON.

    Args:
        body: The body.
        strict: Refuses NaN and the infinities, which are not JSON.

    Raises:
        HttpError: 400, the body is not JSON.
    """

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    if not body.strip():
        raise HttpError(400, "The body is empty; JSON is expected")
    try:
        return json.loads(body, parse_constant=constant) if strict else json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise HttpError(400, f"The body could not be decoded as JSON: {fault}") from None


def instances_body(instances: list[Any]) -> bytes:
    """Returns a body that asks for predictions of instances."""
    return json.dumps({"instances": instances}).encode()


def instances_of(document: dict[str, Any], members: tuple[str, ...]) -> Data:
    """Returns the instances, and the parameters.

    Args:
        document: The body.
        members: The names under which instances may be. Under any but the first they may be named columns, too.

    Raises:
        HttpError: 400, they are missing or have another form.
    """
    member = next((each for each in members if each in document), members[0])
    value = document.get(member)
    if not isinstance(value, list) and (member == members[0] or not isinstance(value, dict)):
        raise HttpError(400, f"The body should have a member {member!r} with a list")
    given = document.get("parameters")
    if given is not None and not isinstance(given, dict):
        raise HttpError(400, "'parameters' should be an object")
    return Data(value, given or {})
