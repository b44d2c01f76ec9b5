"""A complete request that waits for the script, whichever way it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .app import ScoringApp
    from .response import Response


class Work(Protocol):
    """A request, and where its answer goes."""

    @property
    def environ(self) -> Mapping[str, Any]:
        """The request by WSGI (PEP 3333)."""
        ...

    def answer(
        self, app: ScoringApp, waiting: Callable[[], object] = lambda: None, response: Response | None = None
    ) -> None:
        """Gives the answer, whatever the application does.

        Args:
            app: Makes the answer, where there is none yet.
            waiting: Called about once a second while a slow client is waited for, and with each part of a streamed answer.
            response: The answer that was made for it.

        Raises:
            Stopped: A signal ends the process.
        """
        ...
