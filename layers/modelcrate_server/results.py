"""What run() returned, as JSON."""

from __future__ import annotations

import json
from typing import Any


def encode(result: object, with_numpy: bool) -> str:
    """The JSON of a result; nothing is an empty object. TypeError for what JSON can't say: the message names the type.

    `with_numpy`: arrays, numpy's scalars and pandas' tables are told by their plain values.
    """
    if result is None:
        return "{}"
    return json.dumps(result, default=plain) if with_numpy else json.dumps(result)


def plain(value: Any) -> Any:
    """The plain values of what has them: arrays, scalars and tables."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict(orient="records")
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
