"""What all tests share: one option."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden digests anew; review the difference line by line, and say in the changelog why they moved",
    )
