"""How a transfer is ended from outside: by the caller, or because another blob of the same push has failed."""

from __future__ import annotations

import threading

from modelcrate_layers.errors import CrateError


class Cancelled(CrateError):  # noqa: N818  (errors are named after what happened)
    """The caller ended the transfer; its upload session is deleted."""


class Halted(CrateError):  # noqa: N818  (errors are named after what happened)
    """Another blob failed; the upload session is kept, so that the next run goes on."""


class StopSignal:
    """The word that it is enough; every transfer looks here before it goes on. It is said once, and for good."""

    def __init__(self, parent: StopSignal | None = None) -> None:
        self._parent = parent
        self._cancelled, self._halted = threading.Event(), threading.Event()

    def cancel(self) -> None:
        """The caller wants no more of it."""
        self._cancelled.set()

    def halt(self) -> None:
        """What was sent shall be kept for the next run."""
        self._halted.set()

    def check(self) -> None:
        """Raises Cancelled or Halted once the word was said, here or to the parent."""
        if self._parent:
            self._parent.check()
        if self._cancelled.is_set():
            raise Cancelled("the transfer was cancelled")
        if self._halted.is_set():
            raise Halted("the transfer was ended, because another blob failed")
