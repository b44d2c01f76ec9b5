"""The proxy for a server, by the variables that other programs use as well."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from modelcrate.net.addresses import is_loopback
from modelcrate_layers.frozen import dataclass, field


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
