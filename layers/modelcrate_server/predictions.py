"""What run() returned, as the predictions of a platform: plain JSON, without the wrapping that a script gave it."""

from __future__ import annotations

import json
from typing import Any

from .results import plain


def unwrapped(result: object) -> Any:
    """The result without its wrapping: what a text of JSON says, and the one value of an object with one member, if it holds more."""
    if isinstance(result, str):
        try:
            told = json.loads(result)
        except ValueError:
            return result
        return unwrapped(told) if isinstance(told, (dict, list)) else result
    if isinstance(result, dict) and len(result) == 1:
        (inner,) = result.values()
        return inner if _holds_more(inner) else result
    return result


def predictions(result: object) -> list[Any]:
    """One prediction a row.

    A list is the predictions. An object with one list is that list; one with several equally long lists is a row of them each.
    Anything else is the only prediction.
    """
    value = as_json(unwrapped(result))
    if isinstance(value, dict):
        columns = list(value.values())
        if columns and all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
            return [dict(zip(value, row)) for row in zip(*columns)]
        return [value]
    return value if isinstance(value, list) else [value]


def as_json(value: object) -> Any:
    """Numpy's and pandas' values by their plain ones, all the way down; what is no number is nothing, since JSON can't say it.

    TypeError for what can't be said at all: the message names the type.
    """
    text = json.dumps(value, default=plain)
    return json.loads(text, parse_constant=lambda name: None)


def _holds_more(value: object) -> bool:
    return isinstance(value, (list, dict, tuple)) or hasattr(value, "tolist") or hasattr(value, "to_dict")
