"""What this machine and this run have decided, as a frozen value that is passed along: nothing looks into the environment itself."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.registry.fetch import Network
from modelcrate_layers.errors import MachineError
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
    owner: int | None = None
    """Whose folder the home has to be, where others could have put one there; None: anybody's."""

    @property
    def store(self) -> Layout:
        """Images and layers that were built, pulled or kept."""
        self.check_home()
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
