"""Progress events of registries: small frozen values for the `emit` of the caller.

`emit` may be called from any thread, and may raise to cancel; the transfer then ends its session, and the error passes.
"""

from __future__ import annotations

from modelcrate.net.events import Emit, Retrying, Warned, silent
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass

__all__ = [
    "CredentialsUsed",
    "Emit",
    "Mounted",
    "Moved",
    "Restarted",
    "Resumed",
    "Retrying",
    "Waiting",
    "Warned",
    "silent",
]


@dataclass(frozen=True, slots=True)
class Moved:
    """The registry has `done` bytes of a blob so far, out of `total` where that is known.

    For one blob `done` never falls. After a retry it stays the same until the old value is passed.
    """

    digest: Digest | None
    name: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """All bytes are sent, and the registry is hashing them once more."""

    name: str


@dataclass(frozen=True, slots=True)
class Mounted:
    """The registry took a blob over from another of its repositories. Nothing was sent."""

    digest: Digest
    source: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """An upload that was interrupted continues at this byte."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """An upload starts again, because the registry could not continue the one before."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class CredentialsUsed:
    """The source of the credentials for a registry, never the secret."""

    registry: str
    source: str
