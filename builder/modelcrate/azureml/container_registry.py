"""The address of a registry, with what it takes to log in there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ContainerRegistry:
    """Not frozen: scripts of the original fill it in, field by field. The password is in its field and never in `repr`."""

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_identity: str | None = None
