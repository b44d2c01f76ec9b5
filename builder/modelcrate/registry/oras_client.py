"""The registry client for users of the library: RegistryClient's methods, and those of oras-py's client on top of them."""

from __future__ import annotations

from modelcrate.net.retry import Clock
from modelcrate.registry.client import RegistryClient
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.events import Emit, silent
from modelcrate.registry.oras_adapter import OrasAdapter

_NOTHING = RegistryConfig()


class Registry(RegistryClient, OrasAdapter):
    """A `RegistryClient` that is an `oras.provider.Registry` as well, for code that works with `OrasClient`."""

    def __init__(self, settings: RegistryConfig = _NOTHING, emit: Emit = silent, clock: Clock | None = None) -> None:
        OrasAdapter.__init__(self)
        RegistryClient.__init__(self, settings, emit, clock)

    def close(self) -> None:
        """Closes all connections."""
        RegistryClient.close(self)
        self.session.close()
