"""The registry client for users of the library: our verbs, and the names of oras-py's client over the same engine."""

from __future__ import annotations

from modelcrate.net.retry import Clock
from modelcrate.registry.events import Emit, silent
from modelcrate.registry.oras_face import OrasFace
from modelcrate.registry.registry_client import RegistryClient
from modelcrate.registry.settings import RegistryConfig

_NOTHING = RegistryConfig()


class Registry(RegistryClient, OrasFace):
    """A `RegistryClient` that is an `oras.provider.Registry` too, and so can be handed to whatever works with `OrasClient`."""

    def __init__(self, settings: RegistryConfig = _NOTHING, emit: Emit = silent, clock: Clock | None = None) -> None:
        OrasFace.__init__(self)
        RegistryClient.__init__(self, settings, emit, clock)

    def close(self) -> None:
        """End all connections."""
        RegistryClient.close(self)
        self.session.close()
