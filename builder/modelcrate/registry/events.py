"""What a transfer tells while it goes on: small frozen values, handed to the `emit` that the caller gave.

`emit` may be called from any thread, and may raise to cancel; the transfer then ends its session and lets the
error pass.
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
    """`done` bytes of a blob are with the registry so far, out of `total` where that is known.

    It never goes back for one blob: after a retry it rests until the old mark is passed.
    """

    digest: Digest | None
    name: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """All bytes are sent, and the registry is busy with them (it hashes them once more)."""

    name: str


@dataclass(frozen=True, slots=True)
class Mounted:
    """The registry took over a blob from another of its repositories; nothing was sent."""

    digest: Digest
    source: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """An upload that was cut goes on at this byte."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """An upload begins anew, because the registry could not continue the one before."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class CredentialsUsed:
    """Which source the credentials for a registry came from. Never the secret."""

    registry: str
    source: str
