"""A container in the foreground: its output as it comes, our signals handed on to it, its exit code in the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from modelcrate.containers.container import Container

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def attach(container: Container, write: Callable[[bytes], object]) -> int:
    """Hands the container's output to `write` until it ends, and gives its exit code. Call it from the main thread.

    Signals that we get go to the program; the same one a second time kills it, for a program may be deaf.
    """
    with _forwarding(container):
        for piece in container.logs(follow=True):
            write(piece)
        return container.wait()


@contextmanager
def _forwarding(container: Container) -> Iterator[None]:
    seen: set[int] = set()

    def hand_on(number: int, frame: FrameType | None) -> None:
        container.signal(signal.SIGKILL if number in seen else number)
        seen.add(number)

    before = {number: signal.signal(number, hand_on) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
