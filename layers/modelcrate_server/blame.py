"""Which exceptions of run() are the client's fault."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

MAX_REASON = 2000
"""Characters of a reason that a client gets: libraries may repeat the input in it."""


def reason_for_client(failure: BaseException, run: Callable[..., Any], from_schema: bool) -> str:
    """Returns why the input was refused, for the client; an empty text when the script has failed.

    Args:
        failure: What run() raised. A true attribute `client_error` says that its text is for the client.
        run: The script's function.
        from_schema: Input that the schema's types can't convert is the client's fault, too.
    """
    if getattr(failure, "client_error", False) is True:
        return (str(failure) or "The input can't be scored")[:MAX_REASON]
    if from_schema and isinstance(failure, Exception) and raised_while_converting(failure, run):
        return f"The input does not fit the schema: {failure}"[:MAX_REASON]
    return ""


def raised_while_converting(failure: BaseException, run: Callable[..., Any]) -> bool:
    """Returns whether the schema's decorators raised it, before the script's own run() was reached."""
    own = getattr(inspect.unwrap(run), "__code__", None)
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)]
    if any(frame.f_code is own for frame in frames):
        return False
    return any(_converts(str(frame.f_globals.get("__name__", ""))) for frame in frames)


def _converts(module: str) -> bool:
    return module.startswith(("inference_schema.", f"{__package__}.schema."))
