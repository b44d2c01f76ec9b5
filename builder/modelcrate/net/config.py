"""Configuration of the network as frozen values: environment, proxies, certificates, timeouts. No value here holds a socket."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType

from modelcrate.net.addresses import is_loopback
from modelcrate.net.retry import Patience
from modelcrate_layers.frozen import dataclass

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Variables that name certificate authorities, a file or a folder; the first that is set counts."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits on waiting, in seconds and bytes a second. A transfer that keeps moving may take as long as it needs.

    Attributes:
        connect: Until a connection stands, and for one piece (256 KiB) to leave.
        answer: Until the first byte of a response, and between two pieces of it.
        finish: As `answer`, after the last byte of an upload, because the registry hashes it then. A second more is
            given for every 20 MiB.
        headers: From the first byte of a response to the end of its header.
        document: For the body of a document that is read into memory.
        slowest: Bytes a second that a body has to bring, measured over `answer` seconds of waiting.
    """

    connect: float = 20.0
    answer: float = 60.0
    finish: float = 120.0
    headers: float = 30.0
    document: float = 300.0
    slowest: int = 1024

    def finishing(self, size: int) -> float:
        """Returns the seconds to wait for the answer to an upload of so many bytes."""
        return self.finish + size / (20 << 20)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy by scheme, and the hosts that are reached without one (in the syntax of NO_PROXY)."""

    by_scheme: Mapping[str, str] = field(default_factory=dict, repr=False)
    exempt: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Proxies:
        """Returns the proxies of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; the lower-case spelling counts first."""

        def value(name: str) -> str:
            return environment.get(name.lower()) or environment.get(name) or ""

        every = value("ALL_PROXY")
        by_scheme = {scheme: value(f"{scheme.upper()}_PROXY") or every for scheme in ("http", "https")}
        return cls(
            {scheme: url for scheme, url in by_scheme.items() if url},
            tuple(part.strip().lower() for part in value("NO_PROXY").split(",") if part.strip()),
        )

    def choose(self, scheme: str, host: str, port: int) -> str | None:
        """Returns the proxy for this address; None for loopback and for exempt hosts."""
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
class HttpConfig:
    """Configuration of one HTTP client.

    Attributes:
        environment: Variables that name proxies, certificates and credentials. It is never `os.environ` itself.
        offline: Every use of the network is an error.
        home: The user's home folder, for `.netrc` and other files; None for HOME of the environment.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    offline: bool = False
    home: Path | None = None
    patience: Patience = field(default_factory=Patience)
    timeouts: Timeouts = field(default_factory=Timeouts)
    user_agent: str = "modelcrate"

    @property
    def proxies(self) -> Proxies:
        return Proxies.of(self.environment)

    @property
    def ca(self) -> Path | None:
        """The bundle or folder of certificate authorities that the environment names; None for the system's."""
        named = (self.environment.get(name) for name in CA_VARIABLES)
        return next((Path(path) for path in named if path), None)

    @property
    def user_home(self) -> Path | None:
        """The folder that `~` stands for; None where there is none."""
        named = self.environment.get("HOME")
        return self.home or (Path(named) if named else None)
