"""The connections of one run to registries and package indexes. They are opened on first use and closed together."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from modelcrate.config import Config
from modelcrate.events import Emit, ignore_event
from modelcrate_layers.frozen import replace

if TYPE_CHECKING:
    from modelcrate.home.result_cache import ResultCache
    from modelcrate.net.client import HttpClient
    from modelcrate.net.credentials import Credentials
    from modelcrate.net.download import Downloader
    from modelcrate.registry.client import RegistryClient
    from modelcrate.registry.config import RegistryConfig
    from modelcrate.registry.credential import Credential
    from modelcrate.registry.events import Emit as RegistryEmit
    from modelcrate.registry.profiles import Rule


class Connections:
    """The open connections of one run. Safe for threads.

    It is not a value, because it holds sockets. It is a context manager. Used after its end, it opens new connections, because an
    image that was found can be read at any time.
    """

    def __init__(
        self,
        config: Config,
        emit: Emit = ignore_event,
        logins: Mapping[str, Credential] = MappingProxyType({}),
        documents: ResultCache | None = None,
    ) -> None:
        """Takes what the connections need.

        Args:
            config: The configuration.
            emit: Gets the events of downloads.
            logins: Credentials for one repository each (HOST[:PORT]/REPOSITORY), which count before those that are saved.
            documents: Manifests and configs by digest, which are not fetched again; None for who has to see what a registry sends.
        """
        self.config, self.emit, self.logins, self.documents = config, emit, logins, documents
        self._lock, self._open = threading.Lock(), ExitStack()
        self._http: HttpClient | None = None
        self._client: RegistryClient | None = None
        self._downloader: Downloader | None = None

    def __reduce__(self) -> tuple[type[Connections], tuple[Config]]:
        """Pickles what an image that was found or built needs in another process: neither sockets, nor the receiver of events, nor a login."""
        return Connections, (self.config,)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes what is open."""
        with self._lock:
            closing, self._open = self._open, ExitStack()
            self._http = self._client = self._downloader = None
        closing.close()

    @property
    def downloader(self) -> Downloader:
        """The client for package indexes and mirrors."""
        from modelcrate.net.download import Downloader

        with self._lock:
            if self._downloader is None:
                http = self._shared()
                self._downloader = self._open.enter_context(Downloader(http.config, self.emit, http=http))
            return self._downloader

    def downloader_with(self, credentials: Credentials, *, attempts: int | None = None) -> Downloader:
        """Returns a client over the same connections that uses other credentials, and perhaps fewer attempts. It needs no closing."""
        from modelcrate.net.download import Downloader

        with self._lock:
            http = self._shared()
        patience = http.config.patience
        limited = replace(patience, attempts=attempts) if attempts is not None else patience
        return Downloader(replace(http.config, patience=limited), self.emit, http=http, credentials=credentials)

    @property
    def registries(self) -> RegistryClient:
        """The client for registries."""
        from modelcrate.registry.client import RegistryClient

        with self._lock:
            if self._client is None:
                client = RegistryClient(replace(registry_config(self.config), logins=self.logins), http=self._shared())
                self._client = self._open.enter_context(client)
            return self._client

    def _shared(self) -> HttpClient:
        """Returns the HTTP client that both other clients share."""
        from modelcrate.net.client import HttpClient
        from modelcrate.net.config import HttpConfig

        if self._http is None:
            self._http = self._open.enter_context(
                HttpClient(HttpConfig(self.config.environment, self.config.offline, foreign=self.config.foreign))
            )
        return self._http

    def registry_client(self, emit: RegistryEmit) -> RegistryClient:
        """Returns a client over the same connections that reports its own transfers. Close it."""
        from modelcrate.registry.client import RegistryClient

        return RegistryClient(self.registries.settings, emit, like=self.registries)


def registry_config(config: Config) -> RegistryConfig:
    """Returns the configuration of the registry client, with the rules of the user's registries.yaml.

    Raises:
        UserError: The file is malformed.
    """
    from modelcrate.registry.config import RegistryConfig

    home = config.environment.get("HOME")
    return RegistryConfig(
        environment=config.environment,
        home=Path(home) if home else None,
        rules=_rules(config.environment),
        journal=config.home / "uploads",
        offline=config.offline,
    )


def _rules(environment: Mapping[str, str]) -> tuple[Rule, ...]:
    """Reads the file in MODELCRATE_REGISTRIES, else modelcrate/registries.yaml in the XDG configuration folder, where it exists."""
    named, config, home = (environment.get(name, "") for name in ("MODELCRATE_REGISTRIES", "XDG_CONFIG_HOME", "HOME"))
    if not named and not config and not home:
        return ()
    path = Path(named) if named else Path(config or f"{home}/.config") / "modelcrate" / "registries.yaml"
    if not named and not path.exists():
        return ()
    from modelcrate.project.registries import read_registries
    from modelcrate.registry.config_rules import read_rules

    return read_rules(read_registries(path), path.parent, str(path))
