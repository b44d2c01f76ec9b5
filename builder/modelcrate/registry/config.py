"""Configuration of the registry client as a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from modelcrate.net.config import HttpConfig, Patience, Timeouts
from modelcrate.net.tls import Trust
from modelcrate.registry.credential import Credential
from modelcrate.registry.profiles import RegistryProfile, Rule, profile_of
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """Configuration of the registry client.

    Attributes:
        environment: Variables that name credentials, proxies and certificates. It is never `os.environ` itself.
        home: The user's folder, for Docker's and containers' files.
        auth_file: A file whose credentials count before those of all files found by convention.
        username: Counts, with the password, before all other credentials.
        password: See `username`.
        logins: Credentials for one repository each (HOST[:PORT]/REPOSITORY), which count before all others.
        rules: The user's registries.yaml.
        journal: The folder where uploads are noted, so that a later run continues them; None for no notes.
        offline: Every use of the network is an error.
        concurrency: How many blobs are sent at once; None for the value of the registry's profile.
        patience: The limits of retrying.
        timeouts: The limits of waiting.
        user_agent: The User-Agent that is sent.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    home: Path | None = None
    auth_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    logins: Mapping[str, Credential] = field(default_factory=dict, repr=False)
    rules: tuple[Rule, ...] = ()
    journal: Path | None = None
    offline: bool = False
    concurrency: int | None = None
    patience: Patience = field(default_factory=Patience)
    timeouts: Timeouts = field(default_factory=Timeouts)
    user_agent: str = "modelcrate"

    @property
    def http(self) -> HttpConfig:
        """The part that concerns every use of the network."""
        return HttpConfig(self.environment, self.offline, self.home, self.patience, self.timeouts, self.user_agent)

    def profile(self, registry: str) -> RegistryProfile:
        """Returns the profile of this registry, by the table and the user's rules."""
        return profile_of(registry, self.rules)

    def trust(self, registry: str) -> Trust:
        """Returns how this registry is verified, by the user's rules and the environment."""
        profile, usual = self.profile(registry), Trust.of(self.http)
        verify = False if profile.skip_verify else str(profile.ca) if profile.ca else usual.verify
        pair = (
            (str(profile.client_cert), str(profile.client_key or profile.client_cert)) if profile.client_cert else None
        )
        return Trust(verify, pair)
