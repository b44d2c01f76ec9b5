"""The result of run() as a platform's predictions: plain JSON, without the object around it that a script may have made."""

from __future__ import annotations

import json
from typing import Any

from .response import Response, json_response
from .results import plain


def unwrapped(result: object) -> Any:
    """Returns the result without what is around it: text is read as JSON, and the only member of an object is taken when it is a list or an object."""
    if isinstance(result, str):
        try:
            document = json.loads(result)
        except ValueError:
            return result
        return unwrapped(document) if isinstance(document, (dict, list)) else result
    if isinstance(result, dict) and len(result) == 1:
        (inner,) = result.values()
        return inner if _holds_more(inner) else result
    return result


def predictions(result: object) -> list[Any]:
    """Returns one prediction for each row.

    A list is the predictions, and so is the only list of an object. An object with several lists of one length becomes a row of them each.
    Anything else is the only prediction.
    """
    value = as_json(unwrapped(result))
    if isinstance(value, dict):
        columns = list(value.values())
        if columns and all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
            return [dict(zip(value, row)) for row in zip(*columns)]
        return [value]
    return value if isinstance(value, list) else [value]


def answer_of(result: object) -> Response:
    """Returns the response that a script made itself, else an object with the predictions."""
    return result if isinstance(result, Response) else json_response({"predictions": predictions(result)})


def as_json(value: object) -> Any:
    """Returns the result as plain JSON values, also those of numpy and pandas. NaN and the infinities become None.

    Raises:
        TypeError: JSON has no form for a value; the message names the type.
    """
    text = json.dumps(value, default=plain)
    return json.loads(text, parse_constant=lambda name: None)


def _holds_more(value: object) -> bool:
    return isinstance(value, (list, dict, tuple)) or hasattr(value, "tolist") or hasattr(value, "to_dict")
