"""A credential for a registry, as a frozen value whose secrets are not in its `repr`."""

from __future__ import annotations

from modelcrate.net.messages import basic_authorization
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and a password; or an identity token, which is exchanged for access tokens; or an access token."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    source: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header of the Basic scheme."""
        return basic_authorization(self.username, self.password)
