"""Configuration of the network as frozen values: environment, certificates, timeouts, retries. No value here holds a socket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from modelcrate_layers.frozen import dataclass, field

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Variables that name certificate authorities, a file or a folder; the first that is set counts."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of retrying: attempts in all, the first and largest bound of a wait, and the largest Retry-After (seconds)."""

    attempts: int = 6
    first: float = 0.5
    largest: float = 30.0
    longest_retry_after: float = 120.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits on waiting, in seconds and bytes a second. A transfer that keeps moving may take as long as it needs.

    Attributes:
        connect: Until a connection stands, and for one piece of a body (256 KiB; over TLS a record of 16 KiB) to leave.
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
class HttpConfig:
    """Configuration of one HTTP client.

    Attributes:
        environment: Variables that name proxies, certificates and credentials. It is never `os.environ` itself.
        offline: Every use of the network is an error.
        home: The user's home folder, for `.netrc` and other files; None for HOME of the environment.
        foreign: Whether a project of somebody else names indexes: only places that the user has configured get credentials.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    offline: bool = False
    home: Path | None = None
    patience: Patience = field(default_factory=Patience)
    timeouts: Timeouts = field(default_factory=Timeouts)
    user_agent: str = "modelcrate"
    foreign: bool = False

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
