"""One registry as it turned out: its address, its habits, and how it is believed."""

from __future__ import annotations

from modelcrate.net.tls import Trust
from modelcrate.net.urls import origin
from modelcrate.registry.limiter import AdaptiveLimiter
from modelcrate.registry.profiles import RegistryProfile
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Remote:
    """`registry` is its name in references, `origin` where it is asked (scheme, host and, if unusual, port)."""

    registry: str
    origin: str
    habits: RegistryProfile
    trust: Trust
    gate: AdaptiveLimiter

    @property
    def plain(self) -> bool:
        return self.origin.startswith("http://")

    def owns(self, url: str) -> bool:
        """Whether a URL is this registry's own, so that credentials may go there."""
        return origin(url) == origin(self.origin)

    def place(self, repository: str, namespace: str | None = None) -> RepositoryAddress:
        return RepositoryAddress(self.origin, repository, namespace)
