"""Every row of the client's checklist is named by a test: `test_aNN_...`."""

from __future__ import annotations

import re
from pathlib import Path

ROWS = range(1, 91)


def test_every_row_has_a_test_that_names_it() -> None:
    tests = Path(__file__).parents[1]
    named = {
        int(row) for path in tests.rglob("test_*.py") for row in re.findall(r"def test_a(\d\d)_", path.read_text())
    }
    assert sorted(set(ROWS) - named) == []
    assert named <= set(ROWS)
