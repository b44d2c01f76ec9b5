"""Progress events of the network: small frozen values for the `emit` of the caller.

`emit` may be called from any thread. It may raise to cancel; the transfer then ends and the error passes.
"""

from __future__ import annotations

from collections.abc import Callable

from modelcrate_layers.frozen import dataclass

Emit = Callable[[object], None]


def silent(event: object) -> None:
    """Ignores the event."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """A request failed in a way that may pass; it is repeated in `seconds`."""

    where: str
    why: str
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning for the user, emitted once: a registry's own warning, a wrong size, an unusual token server."""

    where: str
    text: str
