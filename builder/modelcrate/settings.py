"""What this machine and this run have decided, as a frozen value that is passed along: nothing looks into the environment itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.registry.fetch import Network
from modelcrate_layers.memo import Memo
from modelcrate_layers.store import Layout

if TYPE_CHECKING:
    from modelcrate.registry.settings import Settings as RegistrySettings


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` is where everything of ours is kept; `environment` are the variables that configured tools are looked up in."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    offline: bool = False
    workers: int = 4
    policy: Path | None = None
    """A policy that bases are held to (`trust.policy`)."""

    @property
    def store(self) -> Layout:
        """Images and layers that were built, pulled or kept."""
        return Layout.create(self.home / "store")

    @property
    def memo(self) -> Memo:
        return Memo(self.home / "memo")

    @property
    def cache(self) -> Path:
        """Downloads, by hash."""
        return self.home / "cache"

    @property
    def containers(self) -> Path:
        return self.home / "containers"

    @property
    def network(self) -> Network:
        return Network(self.environment, self.offline)

    @property
    def registries(self) -> RegistrySettings:
        """For the registry client."""
        from modelcrate.registry.settings import Settings as RegistrySettings

        home = self.environment.get("HOME")
        return RegistrySettings(
            environment=self.environment,
            home=Path(home) if home else None,
            journal=self.home / "uploads",
            offline=self.offline,
        )

    @classmethod
    def of(cls, environment: Mapping[str, str], user: int, offline: bool = False) -> Settings:
        """By the usual rules: MODELCRATE_HOME, else the XDG cache folder, else a folder in HOME, else one in the temporary folder."""
        named, cache, home = (environment.get(name, "") for name in ("MODELCRATE_HOME", "XDG_CACHE_HOME", "HOME"))
        if named:
            place = Path(named)
        elif cache:
            place = Path(cache) / "modelcrate"
        elif home:
            place = Path(home) / ".cache" / "modelcrate"
        else:
            place = Path(tempfile.gettempdir()) / f"modelcrate-{user}"
        return cls(
            place.absolute(), dict(environment), offline or environment.get("MODELCRATE_OFFLINE", "") not in ("", "0")
        )
