"""How a transfer is stopped from outside: by the caller, or because another blob of the same push failed."""

from __future__ import annotations

import threading

from modelcrate_layers.errors import CrateError


class Cancelled(CrateError):  # noqa: N818  (errors are named after what happened)
    """The caller cancelled the transfer; its upload session is deleted."""


class Halted(CrateError):  # noqa: N818  (errors are named after what happened)
    """Another blob failed. The upload session is kept, so that the next run continues it."""


class StopSignal:
    """A signal that every transfer checks before it goes on. It can't be taken back."""

    def __init__(self, parent: StopSignal | None = None) -> None:
        self._parent = parent
        self._cancelled, self._halted = threading.Event(), threading.Event()

    def cancel(self) -> None:
        """Stops the transfers and drops what was sent."""
        self._cancelled.set()

    def halt(self) -> None:
        """Stops the transfers and keeps what was sent for the next run."""
        self._halted.set()

    def check(self) -> None:
        """Does nothing unless the signal was given, here or to the parent.

        Raises:
            Cancelled: After `cancel`.
            Halted: After `halt`.
        """
        if self._parent:
            self._parent.check()
        if self._cancelled.is_set():
            raise Cancelled("the transfer was cancelled")
        if self._halted.is_set():
            raise Halted("the transfer was stopped, because another blob failed")
