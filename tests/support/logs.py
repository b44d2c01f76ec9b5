"""What the scoring server logs, as a list that fills while the block runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def records(name: str = "azmlinfsrv") -> Iterator[list[str]]:
    """The messages from level INFO on of this logger and those below it."""
    seen: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    logger, keeper = logging.getLogger(name), Keeper()
    level = logger.level
    logger.addHandler(keeper)
    logger.setLevel(logging.INFO)
    try:
        yield seen
    finally:
        logger.removeHandler(keeper)
        logger.setLevel(level)
