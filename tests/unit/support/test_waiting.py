"""The tests' own limits: processor time counts, waiting does not."""

from __future__ import annotations

import re
import time

import pytest

from support.waiting import processor_limit


def test_waiting_uses_no_processor_time() -> None:
    with processor_limit(0.2):
        time.sleep(0.4)


@pytest.mark.parametrize("endless", [lambda: sum(1 for _ in iter(int, 1)), lambda: re.match("(a*)*b", "a" * 40)])
def test_work_without_an_end_is_ended(endless: object) -> None:
    assert callable(endless)
    with pytest.raises(AssertionError, match="processor time"), processor_limit(0.1):
        endless()
