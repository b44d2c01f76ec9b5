"""Whose fault an exception of run() is.

The client's, whose input the schema's types couldn't convert, or the script's own.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any


def raised_while_converting(failure: BaseException, run: Callable[..., Any]) -> bool:
    """Whether it came out of the schema's decorators before the script's own run() was reached."""
    own = getattr(inspect.unwrap(run), "__code__", None)
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)]
    if any(frame.f_code is own for frame in frames):
        return False
    return any(_converts(str(frame.f_globals.get("__name__", ""))) for frame in frames)


def _converts(module: str) -> bool:
    return module.startswith(("inference_schema.", f"{__package__}.schema."))
