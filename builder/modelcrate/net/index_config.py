"""The package indexes that the environment and the configuration files of pip and uv name. Only what concerns logins is read."""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from modelcrate.net.config import HttpConfig
from modelcrate.net.files import read_file
from modelcrate_layers.frozen import dataclass

INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
)
"""Variables with URLs of indexes, separated by spaces or commas; each may be NAME=URL."""

KEYRING_ON = frozenset({"subprocess", "import", "auto"})
"""Values of pip's and uv's keyring provider that allow to start the program `keyring`."""

MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class NamedIndex:
    """The URL of an index, with its login if it holds one; the name it is configured under; and where it was found."""

    url: str = field(repr=False)
    source: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """All indexes in the order in which they count, whether the keyring may be used, and files that could not be read."""

    indexes: tuple[NamedIndex, ...] = ()
    keyring: bool = False
    unreadable: tuple[str, ...] = ()


def read_index_config(config: HttpConfig, given: Iterable[str] = ()) -> IndexConfig:
    """Returns the indexes `given` by a project, then those of the environment, then those of pip's and uv's files.

    A file that can't be read is noted and left out: it must not stop a download that needs no login.
    """
    environment = config.environment
    indexes = [each for words in given for each in split_indexes(words, "the project's index URL")]
    for variable in INDEX_VARIABLES:
        indexes += split_indexes(environment.get(variable, ""), variable)
    keyring = any(
        environment.get(variable) in KEYRING_ON for variable in ("UV_KEYRING_PROVIDER", "PIP_KEYRING_PROVIDER")
    )
    unreadable = []
    files = [*((path, _of_pip) for path in pip_files(config)), *((path, _of_uv) for path in uv_files(config))]
    for path, parse in files:
        try:
            text = read_text(path)
            for key, value in parse(text) if text else ():
                if key == "keyring":
                    keyring = keyring or value in KEYRING_ON
                else:
                    indexes.append(NamedIndex(value, str(path), key))
        except (OSError, ValueError, configparser.Error) as fault:  # its text may quote a line with a password
            unreadable.append(f"{path} can't be read ({type(fault).__name__})")
    return IndexConfig(tuple(indexes), keyring, tuple(unreadable))


def split_indexes(text: str, source: str) -> Iterator[NamedIndex]:
    """Yields the indexes of a text such as `https://one.example/simple private=https://two.example/simple`."""
    for word in re.split(r"[\s,]+", text):
        name, mark, url = word.partition("=")
        named = bool(mark) and re.fullmatch(r"[\w.-]+", name)
        if word:
            yield NamedIndex(url if named else word, source, name if named else "")


def pip_files(config: HttpConfig) -> Iterator[Path]:
    """Yields pip's configuration files, the most particular first (pip's documentation, "Configuration")."""
    named, home = config.environment.get("PIP_CONFIG_FILE"), config.user_home
    if named == os.devnull:
        return
    if named:
        yield Path(named)
    if (folder := _config_folder(config)) is not None:
        yield folder / "pip/pip.conf"
    if home:
        yield home / ".pip/pip.conf"
    yield Path("/etc/pip.conf")


def uv_files(config: HttpConfig) -> Iterator[Path]:
    """Yields uv's configuration files of the user and of the system (uv's documentation, "Configuration files")."""
    if config.environment.get("UV_NO_CONFIG", "") not in ("", "0", "false"):
        return
    if named := config.environment.get("UV_CONFIG_FILE"):
        yield Path(named)
        return
    if (folder := _config_folder(config)) is not None:
        yield folder / "uv/uv.toml"
    yield Path("/etc/uv/uv.toml")


def _config_folder(config: HttpConfig) -> Path | None:
    named, home = config.environment.get("XDG_CONFIG_HOME"), config.user_home
    return Path(named) if named else home / ".config" if home else None


def read_text(path: Path) -> str:
    """Returns the text of a configuration file, "" where there is none; errors are those of `read_file`."""
    return read_file(path, MAX_FILE).decode("utf-8-sig")


def _of_pip(text: str) -> Iterator[tuple[str, str]]:
    """Index names (pip knows none) with URLs, and `keyring` with its provider."""
    parsed = configparser.RawConfigParser()
    parsed.read_string(text)
    for section in ("install", "download", "global"):
        yield "keyring", parsed.get(section, "keyring-provider", fallback="")
        for key in ("index-url", "extra-index-url", "find-links"):
            for url in parsed.get(section, key, fallback="").split():
                yield "", url


def _of_uv(text: str) -> Iterator[tuple[str, str]]:
    """Index names with URLs, and `keyring` with its provider."""
    parsed = tomllib.loads(text)
    for table in (parsed, parsed.get("pip")):
        if not isinstance(table, dict):
            continue
        yield "keyring", str(table.get("keyring-provider", ""))
        for entry in _list(table.get("index")):
            if isinstance(entry, Mapping) and isinstance(entry.get("url"), str):
                yield str(entry.get("name") or ""), entry["url"]
        for key in ("index-url", "extra-index-url", "find-links"):
            yield from (("", url) for url in _list(table.get(key)) if isinstance(url, str))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
