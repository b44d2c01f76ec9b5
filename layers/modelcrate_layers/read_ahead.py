"""A stream whose next bytes are made in another thread: unpacking, hashing and reading let go of the interpreter's lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue

AHEAD = 4
"""Chunks that may wait: as many as even out the steps, few enough to keep memory flat."""

PATIENCE = 1.0
"""Seconds that a reader who gives up waits for the thread, which may wait for a network. It ends with the next chunk in any case."""


def read_ahead(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the same chunks. A thread takes them from their source meanwhile, and stops when this iterator is closed.

    What the source raises is raised here, behind the chunks that came before.
    """
    ready: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
    room, closed = threading.Semaphore(AHEAD), threading.Event()

    def take() -> None:
        source: Iterator[bytes] | None = None
        try:
            source = iter(chunks)  # which may connect, and fail
            while room.acquire() and not closed.is_set():
                chunk = next(source, None)
                ready.put(chunk)
                if chunk is None:
                    return
        except BaseException as fault:  # it belongs to the one who reads
            ready.put(fault)
        finally:
            if (close := getattr(source, "close", None)) is not None:
                close()

    thread = threading.Thread(target=take, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (chunk := ready.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            room.release()
            yield chunk
    finally:
        closed.set()
        room.release()
        thread.join(PATIENCE)
