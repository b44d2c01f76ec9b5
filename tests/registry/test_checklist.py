"""Every row of docs/registry-checklist.md has a test, named `test_aNN_...`, and every such test has a row."""

from __future__ import annotations

import re

from support.sources import REPOSITORY

ROW = re.compile(r"^\| (\d+) \| .+ \|$", re.MULTILINE)


def test_rows_and_tests_are_the_same_numbers() -> None:
    rows = [int(number) for number in ROW.findall((REPOSITORY / "docs" / "registry-checklist.md").read_text())]
    tests = (REPOSITORY / "tests").rglob("test_*.py")
    named = {int(number) for path in tests for number in re.findall(r"def test_a(\d\d)_", path.read_text())}
    assert rows == list(range(1, len(rows) + 1))
    assert named == set(rows)
