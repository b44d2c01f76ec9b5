"""All that is configurable about the registry client, as one frozen value that is passed in."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType

from modelcrate.images.reference import is_loopback
from modelcrate.net.retry import Patience
from modelcrate.registry.profiles import RegistryProfile, Rule, profile_of
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds of silence that are borne; none of them limits how long a transfer may take.

    connect: until a connection stands, and for one piece (256 KiB) to leave. answer: until the first byte of an answer,
    and between two pieces of it. finish: the same after the last byte of an upload, because the registry
    hashes it then;
    a second more is given for every 20 MiB.
    """

    connect: float = 20.0
    answer: float = 60.0
    finish: float = 120.0

    def finishing(self, size: int) -> float:
        return self.finish + size / (20 << 20)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy by scheme, and the hosts that are reached without one (the syntax of NO_PROXY)."""

    by_scheme: Mapping[str, str] = field(default_factory=dict, repr=False)
    exempt: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Proxies:
        """HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, lower-case spelling first."""

        def told(name: str) -> str:
            return environment.get(name.lower()) or environment.get(name) or ""

        every = told("ALL_PROXY")
        by_scheme = {scheme: told(f"{scheme.upper()}_PROXY") or every for scheme in ("http", "https")}
        return cls(
            {scheme: url for scheme, url in by_scheme.items() if url},
            tuple(part.strip().lower() for part in told("NO_PROXY").split(",") if part.strip()),
        )

    def choose(self, scheme: str, host: str, port: int) -> str | None:
        """The proxy for this address; None for loopback and for exempt hosts."""
        if is_loopback(host) or any(_exempts(rule, host.lower(), port) for rule in self.exempt):
            return None
        return self.by_scheme.get(scheme)


def _exempts(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    name, colon, wanted = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
    if colon and wanted != str(port):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        bare = name.removeprefix("*").lstrip(".")
        return bool(bare) and (host == bare or host.endswith(f".{bare}"))


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
    def proxies(self) -> Proxies:
        return Proxies.of(self.environment)

    @property
    def ca(self) -> Path | None:
        """The bundle of certificate authorities that the environment names, None for the usual one."""
        named = (self.environment.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
        return next((Path(path) for path in named if path), None)

    def habits(self, registry: str) -> RegistryProfile:
        """What holds for this registry, by the table and the user's rules."""
        return profile_of(registry, self.rules)
