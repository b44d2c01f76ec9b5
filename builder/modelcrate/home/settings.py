"""What this machine and this run have decided, as a frozen value that is passed along: nothing looks into the environment itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.net.download import DownloadConfig
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.layer_cache import LayerCache
from modelcrate_layers.store import Layout

if TYPE_CHECKING:
    from modelcrate.registry.events import Emit as RegistryEmit
    from modelcrate.registry.profiles import Rule
    from modelcrate.registry.registry_client import RegistryClient
    from modelcrate.registry.settings import RegistryConfig as RegistrySettings


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` is where everything of ours is kept; `environment` are the variables that configured tools are looked up in."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    offline: bool = False
    workers: int = 4
    policy: Path | None = None
    """A policy that bases are held to (`trust.policy`)."""
    owner: int | None = None
    """Whose folder the home has to be, where others could have put one there; None: anybody's."""

    client: RegistryClient | None = field(default=None, repr=False, compare=False)
    """A registry client whose connections all that is done under these settings shares; None: each opens its own."""

    def registry(self, emit: RegistryEmit | None = None) -> RegistryClient:
        """A client for registries."""
        from modelcrate.registry.events import silent
        from modelcrate.registry.registry_client import RegistryClient

        settings = self.registries if self.client is None else self.client.settings
        return RegistryClient(settings, emit or silent, like=self.client)

    @property
    def store(self) -> Layout:
        """Images and layers that were built, pulled or kept."""
        self.check_home()
        return Layout.create(self.home / "store")

    @property
    def memo(self) -> LayerCache:
        return LayerCache(self.home / "memo")

    @property
    def cache(self) -> Path:
        """Downloads, by hash."""
        return self.home / "cache"

    @property
    def containers(self) -> Path:
        return self.home / "containers"

    @property
    def created(self) -> datetime | None:
        """SOURCE_DATE_EPOCH, the moment that reproducible builds agree on (reproducible-builds.org), where it is set."""
        text = self.environment.get("SOURCE_DATE_EPOCH", "")
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 11:
            raise UserError(f"SOURCE_DATE_EPOCH is not a number of seconds: {text[:40]!r}")
        return datetime.fromtimestamp(int(text), UTC)

    @property
    def network(self) -> DownloadConfig:
        return DownloadConfig(self.environment, self.offline)

    @property
    def registries(self) -> RegistrySettings:
        """For the registry client, with the rules of the user's registries.yaml."""
        from modelcrate.registry.settings import RegistryConfig as RegistrySettings

        home = self.environment.get("HOME")
        return RegistrySettings(
            environment=self.environment,
            home=Path(home) if home else None,
            rules=_rules(self.environment),
            journal=self.home / "uploads",
            offline=self.offline,
        )

    def check_home(self) -> None:
        """See that the home is there and can be used, before anything long is begun; a MachineError with what to do, if not."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o777 if self.owner is None else 0o700)
            status = self.home.lstat()
        except OSError as fault:
            raise _unusable(self.home, f"can't be made: {fault.strerror}") from None
        if self.owner is not None and (status.st_uid != self.owner or stat.S_IMODE(status.st_mode) & 0o022):
            raise _unusable(self.home, "is somebody else's, or can be written by others")
        if not os.access(self.home, os.W_OK | os.X_OK):
            raise _unusable(self.home, "can't be written: Permission denied")

    @classmethod
    def of(cls, environment: Mapping[str, str], user: int, offline: bool = False) -> Settings:
        """By the usual rules: MODELCRATE_HOME, else the XDG cache folder, else a folder in HOME, else one in the temporary folder."""
        named, cache, home = (environment.get(name, "") for name in ("MODELCRATE_HOME", "XDG_CACHE_HOME", "HOME"))
        owner = None
        if named:
            place = Path(named)
        elif cache:
            place = Path(cache) / "modelcrate"
        elif home:
            place = Path(home) / ".cache" / "modelcrate"
        else:
            import tempfile

            place, owner = Path(tempfile.gettempdir()) / f"modelcrate-{user}", user
        offline = offline or environment.get("MODELCRATE_OFFLINE", "") not in ("", "0")
        return cls(place.absolute(), dict(environment), offline, owner=owner)


def _unusable(home: Path, what: str) -> MachineError:
    return MachineError(
        what,
        where=str(home),
        why="downloads, layers and images are kept there",
        hint="name another folder in MODELCRATE_HOME",
    )


def _rules(environment: Mapping[str, str]) -> tuple[Rule, ...]:
    """Of the file that MODELCRATE_REGISTRIES names, else of modelcrate/registries.yaml in the XDG configuration folder, if it is there."""
    named, config, home = (environment.get(name, "") for name in ("MODELCRATE_REGISTRIES", "XDG_CONFIG_HOME", "HOME"))
    if not named and not config and not home:
        return ()
    path = Path(named) if named else Path(config or f"{home}/.config") / "modelcrate" / "registries.yaml"
    if not named and not path.exists():
        return ()
    from modelcrate.project.registries import read_registries
    from modelcrate.registry.config_rules import read_rules

    return read_rules(read_registries(path), path.parent, str(path))
