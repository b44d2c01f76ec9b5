"""The sockets on which a worker accepts connections, and which of them are watched now."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

_ACCEPT_ALL_SECONDS = 0.02
"""How often all waiting connections are accepted together, instead of one."""


class Listeners:
    """The listening sockets of one worker.

    Args:
        sockets: The sockets that the master process has opened.
        always: Ports that accept connections at any time, even where several workers share the others.
        shared: Other workers accept connections from them, too.
        selector: Watches them.
    """

    def __init__(
        self, sockets: Sequence[Any], always: Collection[int], shared: bool, selector: selectors.BaseSelector
    ) -> None:
        self._sockets, self._shared, self._selector = list(sockets), shared, selector
        self._always = {each for each in sockets if each.getsockname()[1] in always}
        self._watched: set[Any] = set()
        self._accepted_all = 0.0

    def __bool__(self) -> bool:
        return bool(self._sockets)

    def start(self) -> None:
        """Makes them fit to be watched."""
        for each in self._sockets:
            each.setblocking(False)

    def watch(self, free: bool, full: bool) -> None:
        """Watches those of which connections may be accepted now, and only these.

        Args:
            free: This worker could answer a request at once. Where it can't, another one may.
            full: There is no room for another connection.
        """
        if not self._shared and not full and len(self._watched) == len(self._sockets):
            return  # nothing has changed: the usual case
        wanted = {each for each in self._sockets if (free or not self._shared or each in self._always) and not full}
        for each in wanted - self._watched:
            self._selector.register(each, selectors.EVENT_READ)
        for each in self._watched - wanted:
            self._selector.unregister(each)
        self._watched = wanted

    def accept_from(self, socket: Any, accept: Callable[[Any], bool]) -> None:
        """Accepts one connection; now and then all of them, so that a probe does not wait behind many other clients.

        Args:
            socket: One of the sockets.
            accept: Accepts a connection; returns whether there was one.
        """
        now = time.monotonic()
        if self._shared or now - self._accepted_all < _ACCEPT_ALL_SECONDS:
            accept(socket)
            return
        self._accepted_all = now
        while accept(socket):
            pass

    def close(self, accept: Callable[[Any], bool]) -> None:
        """Takes what the kernel has accepted already, for it would be reset, and closes them."""
        sockets, self._sockets = self._sockets, []
        for each in self._watched:
            self._selector.unregister(each)
        self._watched = set()
        for each in sockets:
            while accept(each):
                pass
            each.close()
