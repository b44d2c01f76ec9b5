"""How much Python does, without a clock."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType


def count_calls(act: Callable[[], object]) -> int:
    """Returns the number of functions that this thread calls in `act`, built-in ones included.

    Garbage is collected before and not meanwhile: its finalizers are functions as well, and it may be that of other tests.
    """
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    gc.collect()
    gc.disable()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
        gc.enable()
    return counted
