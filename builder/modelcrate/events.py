"""Progress as a stream of small typed values. The command line renders them; a user of the library iterates them.

`Emit` is called from any thread. It may raise to cancel a build: the code that emits stops there and cleans up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A build has begun a step: read, resolve, plan, pack, assemble, deliver."""

    name: str


@dataclass(frozen=True, slots=True)
class Started:
    """A task has begun. `total` is its number of bytes, if it is known."""

    label: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """A task has done `count` more bytes. The count is negative when bytes have to be done again."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A task has ended. `note` may add how, such as "already there"."""

    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A text for the user: what was detected, what is waited for, a warning."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """A result is complete, and stays so if a later step fails: an image is at its output."""

    what: str


Event = Step | Started | Advanced | Finished | Notice | Done
Emit = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Ignores an event: the Emit for callers that show no progress."""


def track_chunks(chunks: Iterable[bytes], label: str, total: int | None, emit: Emit) -> Iterator[bytes]:
    """Yields the chunks, and emits their progress as a task.

    Args:
        chunks: The chunks.
        label: The label of the task.
        total: The number of bytes, if it is known.
        emit: Gets the events.
    """
    emit(Started(label, total))
    for chunk in chunks:
        emit(Advanced(label, len(chunk)))
        yield chunk
    emit(Finished(label))


@dataclass(frozen=True, slots=True)
class TrackedChunks:
    """Chunks that can be iterated more than once, each time with progress as a task. See `track_chunks`."""

    chunks: Iterable[bytes]
    label: str
    total: int | None
    emit: Emit

    def __iter__(self) -> Iterator[bytes]:
        return track_chunks(self.chunks, self.label, self.total, self.emit)


@contextmanager
def time_step(step: str, timings: dict[str, float], emit: Emit) -> Iterator[None]:
    """Emits a step, and adds the seconds that it takes to `timings`."""
    emit(Step(step))
    begun = time.monotonic()
    try:
        yield
    finally:
        timings[step] = timings.get(step, 0.0) + time.monotonic() - begun
