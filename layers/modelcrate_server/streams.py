"""Answers that run() makes part by part, and run() as a coroutine."""

from __future__ import annotations

import inspect
import itertools
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from .deadline import deadline

TEXT = "text/plain; charset=utf-8"
JSON_LINES = "application/x-ndjson"

_own = threading.local()
"""Has the loop of each thread that runs coroutines."""


class Stream:
    """The parts of an answer, as bytes. The first one is made at once, so that a script that fails still gets its error status.

    Text and bytes are sent as they are, and everything else as lines of JSON.

    Args:
        result: The generator that run() returned.
        milliseconds: How long the script may take for each part.
        plain: The value that JSON can write in the place of one that it can't (`json.dumps`), or None.
    """

    def __init__(self, result: Any, milliseconds: int, plain: Callable[[Any], Any] | None) -> None:
        self._parts = _in_turn(result) if inspect.isasyncgen(result) else result
        self._milliseconds, self._plain = milliseconds, plain
        self._first = list(itertools.islice(self._parts, 1))
        self.content_type = TEXT if not self._first or isinstance(self._first[0], (str, bytes)) else JSON_LINES

    def values(self) -> Iterator[Any]:
        """Yields the parts as the script made them."""
        yield from self._first
        while True:
            with deadline(self._milliseconds):
                try:
                    part = next(self._parts)
                except StopIteration:
                    return
            yield part

    def __iter__(self) -> Iterator[bytes]:
        for part in self.values():
            if isinstance(part, (str, bytes)):
                yield part.encode() if isinstance(part, str) else part
            else:
                yield json.dumps(part, default=self._plain).encode() + b"\n"


def is_stream(result: object) -> bool:
    """Returns whether run() makes its answer part by part."""
    return inspect.isgenerator(result) or inspect.isasyncgen(result)


def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Returns what a coroutine gives. All of one thread run in one loop, so that connections that a script keeps stay usable."""
    import asyncio  # late: few scripts need it

    loop = getattr(_own, "loop", None)
    if loop is None:
        loop = _own.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    task = loop.create_task(coroutine)
    try:
        return loop.run_until_complete(task)
    finally:
        task.cancel()  # where an alarm or a signal has ended it


def _in_turn(parts: AsyncIterator[Any]) -> Iterator[Any]:
    async def following() -> Any:
        return await parts.__anext__()

    while True:
        try:
            yield awaited(following())
        except StopAsyncIteration:
            return
