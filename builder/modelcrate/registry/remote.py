"""One registry as it was found: its address, its profile, and how its certificate is verified."""

from __future__ import annotations

from modelcrate.net.tls import Trust
from modelcrate.net.urls import origin
from modelcrate.registry.limiter import AdaptiveLimiter
from modelcrate.registry.profiles import RegistryProfile
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Remote:
    """A registry. `registry` is its name in references, `origin` its address (scheme, host and, if unusual, port)."""

    registry: str
    origin: str
    profile: RegistryProfile
    trust: Trust
    limiter: AdaptiveLimiter

    @property
    def plain(self) -> bool:
        """Whether the registry is used without TLS."""
        return self.origin.startswith("http://")

    def owns(self, url: str) -> bool:
        """Returns whether a URL is this registry's own, so that credentials may go there."""
        return url.startswith(f"{self.origin}/") or origin(url) == origin(
            self.origin
        )  # the first for nearly all, for it costs nothing

    def repository(self, name: str, namespace: str | None = None) -> RepositoryAddress:
        """Returns the address of a repository. `namespace` names the origin to a proxying mirror."""
        return RepositoryAddress(self.origin, name, namespace)
