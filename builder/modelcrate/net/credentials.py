"""Credentials of package indexes, mirrors and hubs: one lookup for resolving and for downloading.

In this order: the URL itself; the index URLs of the project, the environment, pip's and uv's configuration (a login there
holds for its scheme, host and port) with UV_INDEX_NAME_USERNAME and _PASSWORD; .netrc. Where the server refuses a request:
the `default` entry of .netrc, and the program `keyring`, if it is switched on.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from modelcrate.net.config import HttpConfig
from modelcrate.net.files import read_file
from modelcrate.net.index_config import MAX_FILE, IndexSource, index_sources, split_name
from modelcrate.net.messages import basic_authorization
from modelcrate.net.urls import host, host_and_port, is_address, origin, split_login
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.host import find_program

KEYRING_SECONDS = 60.0
"""Seconds. A keyring may wait for a person's permission, but not without end."""


class Authorization(Protocol):
    """What a request is authorized with, and where it was found."""

    @property
    def source(self) -> str:
        """The place where it was found, for messages."""
        ...

    @property
    def authorization(self) -> str:
        """The value of an Authorization header."""
        ...


class Credentials(Protocol):
    """Finds what requests are authorized with, by URL."""

    def find(self, url: str) -> Authorization | None:
        """Returns what the first request to this URL is sent with; None where there is nothing."""
        ...

    def find_after_refusal(self, url: str) -> Authorization | None:
        """Returns what to try after a 401 or 403; None where there is nothing."""
        ...

    def searched(self) -> str:
        """Returns the places that are searched, in words."""
        ...

    def advice(self, place: str) -> str:
        """Returns what to do about a request that `place`, a host and port, has refused."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password for an index, and where they were found."""

    username: str
    password: str = field(repr=False)
    source: str

    def in_url(self, url: str) -> str:
        """Returns the URL with this login in it."""
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{quote(self.username, safe='')}:{quote(self.password, safe='')}@{rest}"

    @property
    def authorization(self) -> str:
        """The value of an Authorization header of the Basic scheme (RFC 7617)."""
        return basic_authorization(self.username, self.password)


@dataclass(frozen=True, slots=True)
class _NamedIndex:
    """An index: its name ("" for none), its URL, and where it was found."""

    name: str
    url: str = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class _Netrc:
    """The entries of a .netrc by host, its path ("" for none), and why it could not be read.

    The file has hosts without ports (inetutils' netrc(5)), and curl, requests, pip and uv take an entry for all ports of its host. So do we.
    """

    hosts: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    path: str = ""
    fault: str = ""


class IndexCredentials:
    """Finds credentials by URL. It reads files once, at the first lookup, and is safe for threads.

    `indexes` are index URLs (or NAME=URL) that a project names itself. They count before those of the environment.
    """

    def __init__(self, config: HttpConfig, indexes: Sequence[str] = ()) -> None:
        self._config = config
        self._given = IndexSource("the project's index URL", extra=tuple(filter(None, indexes)))
        self._lock = threading.Lock()
        self._read: tuple[tuple[IndexSource, ...], _Netrc] | None = None
        self._keyring: dict[tuple[str, str], Login | None] = {}

    def find(self, url: str) -> Login | None:
        """Returns the login for the first request to this URL; None where there is none."""
        bare, user, password = split_login(url)
        if password:
            return Login(user, password, "the URL")
        sources, entries = self._configured()
        for index in _nearest(sources, bare):
            if (login := self._login_of(index, user)) is not None:
                return login
        return _of_netrc(entries, host(bare), user)

    def find_of_project(self, url: str) -> Login | None:
        """Returns the login of an index that the project names, for a URL of the lock, which has no login in it."""
        bare, user, _ = split_login(url)
        found = (self._login_of(index, user) for index in _nearest((self._given,), bare))
        return next(filter(None, found), None)

    def find_after_refusal(self, url: str) -> Login | None:
        """Returns the login to try after a 401 or 403: the `default` of .netrc, then the keyring's; None where there is none."""
        bare, user, _ = split_login(url)
        sources, entries = self._configured()
        if self._config.foreign and not _nearest(sources[1:], bare):
            return None  # `default` and a keyring answer for any host, and this one was not the user's choice
        if (login := _of_netrc(entries, "default", user)) is not None:
            return login
        if not any(source.keyring for source in sources):
            return None
        names = (split_login(index.url)[1] for index in _nearest(sources, bare))
        return self._of_keyring(bare, user or next(filter(None, names), ""))

    def has_default(self) -> bool:
        """Returns whether .netrc has a login for hosts that it does not name."""
        return "default" in self._configured()[1].hosts

    def searched(self) -> str:
        """Returns the places that are searched, in words, for the message about a refused request."""
        sources, entries = self._configured()
        places = ["the URL", "the index variables of uv and pip and their configuration files"]
        places.append(entries.fault or entries.path or ".netrc (there is none)")
        places.append(
            "the keyring"
            if any(source.keyring for source in sources)
            else "not the keyring (UV_KEYRING_PROVIDER=subprocess allows it)"
        )
        return ", ".join([*places, *(source.unreadable for source in sources if source.unreadable)])

    def advice(self, place: str) -> str:
        """Returns what to do about a request that `place` has refused."""
        return f"put the login for {place} into a .netrc, or into the index URL as an environment variable"

    def _configured(self) -> tuple[tuple[IndexSource, ...], _Netrc]:
        with self._lock:
            if self._read is None:
                self._read = (self._given, *index_sources(self._config)), _read_netrc(self._config)
            return self._read

    def _login_of(self, index: _NamedIndex, user: str) -> Login | None:
        """The login in an index's URL, else that of the variables with its name."""
        _, name, password = split_login(index.url)
        source = index.source
        if not password and index.name:
            key = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', index.name.upper())}"
            name = self._config.environment.get(f"{key}_USERNAME", name)
            password, source = self._config.environment.get(f"{key}_PASSWORD", ""), f"{key}_PASSWORD"
        return Login(name, password, source) if password and user in ("", name) else None

    def _of_keyring(self, url: str, user: str) -> Login | None:
        """By the URL, then by its host, as pip and uv do it."""
        with self._lock:
            key = (url, user)
            if key not in self._keyring:
                found = (_ask_keyring(self._config.environment, each, user) for each in (url, host_and_port(url)))
                self._keyring[key] = next(filter(None, found), None)
            return self._keyring[key]


def _nearest(sources: Sequence[IndexSource], url: str) -> list[_NamedIndex]:
    """The indexes of the URL's scheme, host and port; first those whose path has most in common with it."""

    def shared(index: _NamedIndex) -> int:
        own = urlsplit(split_login(index.url)[0]).path.split("/")
        return next((n for n, (one, other) in enumerate(zip(own, path, strict=False)) if one != other), len(own))

    path = urlsplit(url).path.split("/")
    indexes = [_NamedIndex(*split_name(each), source.name) for source in sources for each in source.urls]
    same = [each for each in indexes if is_address(each.url) and origin(each.url) == origin(url)]
    return sorted(same, key=shared, reverse=True)


def _of_netrc(entries: _Netrc, name: str, user: str) -> Login | None:
    known = entries.hosts.get(name)
    return Login(*known, entries.path) if known and known[1] and user in ("", known[0]) else None


def _read_netrc(config: HttpConfig) -> _Netrc:
    """The file that NETRC names, else .netrc or _netrc in the home folder."""
    named, home = config.environment.get("NETRC"), config.user_home
    for path in [Path(named)] if named else [home / ".netrc", home / "_netrc"] if home else []:
        try:
            if read_file(path, MAX_FILE):
                return _parse_netrc(path)
        except (OSError, ValueError) as fault:
            return _Netrc(path=str(path), fault=f"{path} can't be read ({type(fault).__name__})")
    return _Netrc()


def _parse_netrc(path: Path) -> _Netrc:
    import netrc  # few have such a file

    try:
        entries = netrc.netrc(str(path)).hosts
    except netrc.NetrcParseError as fault:  # its text may quote a password
        return _Netrc(path=str(path), fault=f"{path} can't be read (line {fault.lineno})")
    return _Netrc({name: (login, password or "") for name, (login, _, password) in entries.items()}, str(path))


def _ask_keyring(environment: Mapping[str, str], service: str, user: str) -> Login | None:
    """The answer of `keyring get`. Without a user it returns both, from keyring 25.2 on."""
    program = find_program("keyring", environment.get("PATH", os.defpath))
    if program is None or service.startswith("-") or user.startswith("-"):
        return None
    import subprocess  # few have such a program

    command = [program, "get", service, user] if user else [program, "--mode", "creds", "get", service]
    try:
        done = subprocess.run(
            command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, timeout=KEYRING_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if user:
        lines.insert(0, user)
    return Login(lines[0], lines[1], f"keyring ({service})") if not done.returncode and len(lines) > 1 else None
