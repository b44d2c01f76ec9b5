"""The address of a registry, with its credentials."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ContainerRegistry:
    """A registry and its credentials. The password is not part of `repr`.

    Not frozen: scripts set its fields one by one, as in the original.
    """

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_identity: str | None = None
