"""The address of a registry, with its credentials."""

from __future__ import annotations

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field


@dataclass(slots=True)
class ContainerRegistry:
    """A registry and its credentials. The password is not part of `repr`.

    Not frozen: scripts set its fields one by one, as in the original.
    """

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_identity: RegistryIdentity | None = None

    def check(self) -> None:
        """Checks that it has a login or none, and not half of one.

        Raises:
            UserError: The username or the password is missing.
        """
        if bool(self.username) != bool(self.password):
            raise UserError(
                "a base image's registry needs username and password, or none of them",
                hint="set both, or leave both out and use `modelcrate login HOST`",
            )


@dataclass(slots=True)
class RegistryIdentity:
    """The managed identity of a cloud. It is kept, and refused where it would be used.

    Not frozen: scripts set its fields one by one, as in the original.
    """

    resource_id: str | None = None
    client_id: str | None = None
