"""The configuration of one run: frozen values from the environment's variables. Opens nothing and holds nothing that is open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from modelcrate_layers import host
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.layer_cache import LayerCache

WORKSPACES = "workspaces"


@dataclass(frozen=True, slots=True)
class Config:
    """What the environment decides for one run.

    Attributes:
        home: The folder for downloads, layers, images and containers (MODELCRATE_HOME).
        data_home: The folder for what can't be made again, where that is not `home`.
        environment: The variables in which the settings of other tools are looked up: proxies, certificates, credentials.
        offline: Whether no connection may be opened.
        workers: How many threads work at once.
        owner: The user id that has to own `home`, where other users could have made it; None for any user.
        foreign: Whether the project is somebody else's: its files get no variables, and the indexes that it names no credentials.
    """

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    offline: bool = False
    workers: int = 4
    owner: int | None = None
    data_home: Path | None = None
    foreign: bool = False

    @property
    def file_variables(self) -> Mapping[str, str] | None:
        """What `${NAME}` of a project's files may stand for; None where the project is somebody else's."""
        return None if self.foreign else self.environment

    @property
    def workspaces(self) -> Path:
        """Workspaces by name, one folder each: data, not a cache."""
        return (self.data_home or self.home) / WORKSPACES

    @property
    def old_workspaces(self) -> Path:
        """Where version 0.1 kept workspaces: among what is cached."""
        return self.home / WORKSPACES

    @property
    def store(self) -> Path:
        """The local store, an OCI layout: images and layers that were built, pulled or kept."""
        return self.home / "store"

    @property
    def checked(self) -> Path:
        """Which blobs of the store were hashed, and when their files were as they are now."""
        return self.home / "checked"

    @property
    def layer_cache(self) -> LayerCache:
        """The digests of layers that were made before."""
        return LayerCache(self.home / "memo")

    @property
    def cache(self) -> Path:
        """Downloads, by hash."""
        return self.home / "cache"

    @property
    def containers(self) -> Path:
        """One folder for each container that was started."""
        return self.home / "containers"

    @property
    def unpacked(self) -> Path:
        """One folder for each unpacked layer that starts of containers share."""
        return self.home / "unpacked"

    @property
    def created(self) -> datetime | None:
        """The time in SOURCE_DATE_EPOCH (reproducible-builds.org), where it is set.

        Raises:
            UserError: The variable is not a number of seconds.
        """
        text = self.environment.get("SOURCE_DATE_EPOCH", "")
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 11:
            raise UserError(
                f"SOURCE_DATE_EPOCH is not a number of seconds: {text[:40]!r}",
                hint="it is a whole number, such as the output of: git log -1 --format=%ct",
            )
        return datetime.fromtimestamp(int(text), UTC)

    @classmethod
    def of(cls, environment: Mapping[str, str], user: int | None, offline: bool = False) -> Config:
        """Makes the configuration from variables.

        The home is MODELCRATE_HOME, else a folder in XDG_CACHE_HOME, else in HOME, else in the temporary folder. Data is there as well,
        where MODELCRATE_HOME is set; else in XDG_DATA_HOME, else in HOME (XDG Base Directory Specification). On Windows LOCALAPPDATA comes
        before HOME for both.

        Args:
            environment: The process's variables.
            user: The user id of the process; None where there are none, as on Windows.
            offline: Whether no connection may be opened; MODELCRATE_OFFLINE says so as well.
        """
        named, cache, home = (environment.get(name, "") for name in ("MODELCRATE_HOME", "XDG_CACHE_HOME", "HOME"))
        owner, data = None, _data_home(environment)
        local = environment.get("LOCALAPPDATA", "") if host.WINDOWS else ""
        if named:
            place = Path(named)
        elif cache:
            place = Path(cache) / "modelcrate"
        elif local:
            place = Path(local) / "modelcrate" / "Cache"
        elif home:
            place = Path(home) / ".cache" / "modelcrate"
        else:
            import tempfile

            place, owner = Path(tempfile.gettempdir()) / f"modelcrate-{'own' if user is None else user}", user
        offline = offline or environment.get("MODELCRATE_OFFLINE", "") not in ("", "0")
        return cls(place.absolute(), dict(environment), offline, owner=owner, data_home=data)


def _data_home(environment: Mapping[str, str]) -> Path | None:
    """Returns the folder for data; None where it is the home's."""
    data, home = environment.get("XDG_DATA_HOME", ""), environment.get("HOME", "")
    local = environment.get("LOCALAPPDATA", "") if host.WINDOWS else ""
    if environment.get("MODELCRATE_HOME") or not (data or local or home):
        return None
    if local and not data:
        return Path(local).absolute() / "modelcrate"
    return (Path(data) if data else Path(home) / ".local" / "share").absolute() / "modelcrate"
