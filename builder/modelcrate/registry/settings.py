"""All that is configurable about the registry client, as one frozen value that is passed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType

from modelcrate.net.config import HttpConfig, Patience, Timeouts
from modelcrate.net.tls import Trust
from modelcrate.registry.profiles import RegistryProfile, Rule, profile_of
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """Everything that the registry client is told.

    environment: what credentials, proxies and CA bundles are looked up in (never os.environ itself). home: the user's
    folder, for Docker's and containers' files. auth_file: credentials that come before all files found by convention.
    username, password: come before everything. rules: the user's registries.yaml. journal: the folder where uploads are
    noted so that they can be resumed; None for no resuming after a crash. offline: every use of the network is
    an error.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    home: Path | None = None
    auth_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    rules: tuple[Rule, ...] = ()
    journal: Path | None = None
    offline: bool = False
    concurrency: int | None = None
    patience: Patience = field(default_factory=Patience)
    timeouts: Timeouts = field(default_factory=Timeouts)
    user_agent: str = "modelcrate"

    @property
    def http(self) -> HttpConfig:
        """The part of it that concerns every use of the network."""
        return HttpConfig(self.environment, self.offline, self.home, self.patience, self.timeouts, self.user_agent)

    def habits(self, registry: str) -> RegistryProfile:
        """What holds for this registry, by the table and the user's rules."""
        return profile_of(registry, self.rules)

    def trust(self, registry: str) -> Trust:
        """Returns how this registry is verified, by the user's rules and the environment."""
        habits, usual = self.habits(registry), Trust.of(self.http)
        verify = False if habits.skip_verify else str(habits.ca) if habits.ca else usual.verify
        pair = (str(habits.client_cert), str(habits.client_key or habits.client_cert)) if habits.client_cert else None
        return Trust(verify, pair)
