"""A container in the foreground: its output as it comes, our signals passed on to it, its exit code in the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from modelcrate.containers.container import Container

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def attach(container: Container, write: Callable[[bytes], object], start: int = 0) -> int:
    """Gives the container's output to `write` until it ends. Call it from the main thread.

    Signals that we get go to the program. The same signal a second time kills it, for a program may ignore signals.

    Args:
        container: the container.
        write: gets the output of both streams, in pieces.
        start: the byte of the log to begin with.

    Returns:
        The exit code.
    """
    with forwarded(container.signal):
        for piece in container.logs(follow=True, start=start):
            write(piece)
        return container.wait()


@contextmanager
def forwarded(send: Callable[[int], object]) -> Iterator[None]:
    """Passes FORWARDED signals of this process to `send`, and SIGKILL where one comes again."""
    before: set[int] = set()

    def pass_on(number: int, frame: FrameType | None) -> None:
        send(signal.SIGKILL if number in before else number)
        before.add(number)

    handlers = {number: signal.signal(number, pass_on) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
