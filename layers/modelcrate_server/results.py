"""The result of run() as JSON."""

from __future__ import annotations

import json
from typing import Any


def encode(result: object, with_numpy: bool) -> str:
    """Returns a result as JSON; None becomes an empty object.

    Args:
        result: What run() returned.
        with_numpy: Writes arrays and scalars of numpy and tables of pandas by their values.

    Raises:
        TypeError: JSON has no form for it; the message names the type.
    """
    if result is None:
        return "{}"
    return json.dumps(result, default=plain) if with_numpy else json.dumps(result)


def plain(value: Any) -> Any:
    """Returns the plain values of an array, a scalar or a table; TypeError for anything else."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict(orient="records")
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
