"""The protocol of outputs: places where an image can be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from modelcrate.events import Emit
from modelcrate.images.image import Deliverable
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of writing an image to one output.

    Attributes:
        kind: The kind of the output, such as `registry`.
        target: The place in the user's words.
        digest: The digest of the manifest or index.
        sent: Bytes of blobs and documents that were written.
        reused: Bytes of blobs that the output had already.
        requests: HTTP requests that it took.
        variants: Where the variants of the image are by themselves, in the user's words, by their names.
    """

    kind: str
    target: str
    digest: Digest
    sent: int
    reused: int = 0
    requests: int = 0
    variants: Mapping[str, str] = field(default_factory=dict, hash=False)


class Output(Protocol):
    """A place where an image can be written."""

    @property
    def kind(self) -> str:
        """The kind as in `KIND:TARGET`."""
        ...

    @property
    def target(self) -> str:
        """The place, in the user's words."""
        ...

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the image. Afterwards it is complete under its name, or nothing has changed and an error is raised.

        Args:
            image: The image, or the index of several platforms.
            connections: The open connections.
            emit: Gets the progress.

        Raises:
            CrateError: The image can't be written, or a file that it is made from has changed.
        """
        ...


@runtime_checkable
class NameableOutput(Protocol):
    """An output whose target may lack the image's name."""

    def with_name(self, name: str) -> Output:
        """Returns the output with a name, unless it has one already."""
        ...


@contextmanager
def open_output(output: Output, connections: Connections, emit: Emit) -> Iterator[Output]:
    """Opens an output for several calls. One without a method `session` has nothing to keep open."""
    session = getattr(output, "session", None)
    if session is None:
        yield output
    else:
        with session(connections, emit) as open_session:
            yield open_session
