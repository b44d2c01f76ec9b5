"""Progress, as a stream of small typed values. The command line renders them; a library user iterates them.

`Emit` is called from any thread. It may raise, which is how a build is cancelled: whoever emits stops there and cleans up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """The line has come to a step: read, resolve, plan, pack, assemble, deliver."""

    name: str


@dataclass(frozen=True, slots=True)
class Started:
    """Something that takes a while has begun; `total` bytes are to come, where that is known."""

    label: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """`count` more bytes of it are done; negative, where bytes have to be done again."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Finished:
    """It is done; `note` says how, where there is something to say ("already there")."""

    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should read: what was detected, what is being waited for, a warning."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was asked for is done, and stays so whatever fails after it: an image is where it should go."""

    what: str


Event = Step | Started | Advanced | Finished | Notice | Done
Emit = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """An Emit for those who don't listen."""


def track_chunks(chunks: Iterable[bytes], label: str, total: int | None, emit: Emit) -> Iterator[bytes]:
    """The same chunks, told of as they pass."""
    emit(Started(label, total))
    for chunk in chunks:
        emit(Advanced(label, len(chunk)))
        yield chunk
    emit(Finished(label))


@dataclass(frozen=True, slots=True)
class TrackedChunks:
    """The same for chunks that can be taken more than once."""

    chunks: Iterable[bytes]
    label: str
    total: int | None
    emit: Emit

    def __iter__(self) -> Iterator[bytes]:
        return track_chunks(self.chunks, self.label, self.total, self.emit)


@contextmanager
def time_step(step: str, timings: dict[str, float], emit: Emit) -> Iterator[None]:
    """Reports a step, and adds the seconds that it takes to `timings`."""
    emit(Step(step))
    begun = time.monotonic()
    try:
        yield
    finally:
        timings[step] = timings.get(step, 0.0) + time.monotonic() - begun
