"""The protocol of outputs: places where an image can go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from modelcrate.events import Emit
from modelcrate.images.image import Deliverable
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of putting an image into one output.

    Attributes:
        sent: Bytes of blobs and documents that were written.
        reused: Bytes of blobs that the output had already.
        requests: HTTP requests that it took.
    """

    kind: str
    target: str
    digest: Digest
    sent: int
    reused: int = 0
    requests: int = 0


class Output(Protocol):
    """A place where an image can go."""

    @property
    def kind(self) -> str: ...

    @property
    def target(self) -> str:
        """The place, in the user's words."""
        ...

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Put the image there. Afterwards all of it is there under its name, or nothing is changed and an error says why."""
        ...


@runtime_checkable
class NameableOutput(Protocol):
    """An output whose target may lack the image's name."""

    def named(self, name: str) -> Output: ...


@contextmanager
def open_output(output: Output, connections: Connections, emit: Emit) -> Iterator[Output]:
    """The output with its connections kept between calls, where it has any (a method `session`)."""
    session = getattr(output, "session", None)
    if session is None:
        yield output
    else:
        with session(connections, emit) as live:
            yield live
