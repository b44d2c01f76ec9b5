"""The package indexes that the environment and the configuration files of pip and uv name.

Resolving takes the first source that names an index; logins are taken from all of them. So both read them here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelcrate.net.config import HttpConfig
from modelcrate.net.files import read_file
from modelcrate_layers.frozen import dataclass, field, replace

KEYRING_ON = frozenset({"subprocess", "import", "auto"})
"""Values of pip's and uv's keyring provider that allow to start the program `keyring`."""

MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class IndexSource:
    """The package indexes that one place names. A URL may hold a login, and may be NAME=URL.

    Attributes:
        name: The place, for messages.
        default: The index that takes PyPI's part; "" for none.
        extra: Indexes that are searched beside it.
        others: Indexes for some packages only, and places with files.
        pip: Whether this is pip's configuration; pip searches all indexes together.
        keyring: Whether the program `keyring` may be started.
        unreadable: The reason why a file could not be read.
    """

    name: str
    default: str = field(default="", repr=False)
    extra: tuple[str, ...] = field(default=(), repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)
    pip: bool = False
    keyring: bool = False
    unreadable: str = ""

    @property
    def urls(self) -> tuple[str, ...]:
        """All URLs of the source."""
        return tuple(filter(None, (self.default, *self.extra, *self.others)))


def index_sources(config: HttpConfig, folder: Path | None = None) -> Iterator[IndexSource]:
    """Yields the sources of index URLs, in their order of precedence.

    They are uv's variables, pip's variables, uv.toml and pyproject.toml in `folder`, uv's configuration of the user and the
    system, and pip's. A file that can't be read is a source with `unreadable` set: it must not stop a build that needs no
    index of it.
    """
    yield from _of_environment(config.environment)
    if folder is not None:
        yield _read(folder / "uv.toml", _of_uv)
        yield _read(folder / "pyproject.toml", lambda text: _of_uv(text, "tool", "uv"))
    for path in _uv_files(config):
        yield _read(path, _of_uv)
    for path in _pip_files(config):
        yield _read(path, _of_pip)


def tool_settings(config: HttpConfig, folder: Path | None = None) -> IndexSource:
    """Returns the indexes of the tool, uv or pip, that the first source with an index is of, merged over all its sources.

    They are merged as the tool itself does it: the first source with an index to take PyPI's part counts; uv adds up the other
    indexes of all sources, pip takes those of the first source that has any. The name is those of the sources that count.

    Args:
        config: The environment, which names the files as well.
        folder: The folder whose uv.toml and pyproject.toml are read, too.
    """
    sources = [each for each in index_sources(config, folder) if each.default or each.extra]
    pip = bool(sources) and sources[0].pip
    own = [each for each in sources if each.pip is pip]
    default = next((each for each in own if each.default), IndexSource(""))
    extra = [each for each in own if each.extra][: 1 if pip else None]
    names = [each.name for each in own if each is default or each in extra]
    urls = dict.fromkeys(url for each in extra for url in each.extra)
    return IndexSource(", ".join(names), default.default, tuple(urls), pip=pip)


def split_name(index: str) -> tuple[str, str]:
    """Returns the name and the URL of an index such as `private=https://index.example/simple`; "" for no name."""
    name, mark, url = index.partition("=")
    return (name, url) if mark and re.fullmatch(r"[\w.-]+", name) else ("", index)


def _of_environment(environment: Mapping[str, str]) -> Iterator[IndexSource]:
    def words(*names: str) -> tuple[str, ...]:
        return tuple(word for name in names for word in re.split(r"[\s,]+", environment.get(name, "")) if word)

    for tool, defaults, extra in (
        ("uv", ("UV_DEFAULT_INDEX", "UV_INDEX_URL"), ("UV_INDEX", "UV_EXTRA_INDEX_URL")),
        ("pip", ("PIP_INDEX_URL",), ("PIP_EXTRA_INDEX_URL",)),
    ):
        default, *rest = (*words(*defaults), "")
        yield IndexSource(
            f"{tool}'s variables in the environment",
            default,
            words(*extra),
            (*filter(None, rest), *words(f"{tool.upper()}_FIND_LINKS")),
            pip=tool == "pip",
            keyring=environment.get(f"{tool.upper()}_KEYRING_PROVIDER") in KEYRING_ON,
        )


def _uv_files(config: HttpConfig) -> Iterator[Path]:
    """Yields the paths of uv's configuration of the user and the system (uv's documentation, "Configuration files")."""
    if config.environment.get("UV_NO_CONFIG", "") not in ("", "0", "false"):
        return
    if named := config.environment.get("UV_CONFIG_FILE"):
        yield Path(named)
        return
    yield from (folder / "uv/uv.toml" for folder in (*_config_folders(config), *_system_folders(config), Path("/etc")))


def _pip_files(config: HttpConfig) -> Iterator[Path]:
    """Yields the paths of pip's configuration files, the most particular first (pip's documentation, "Configuration")."""
    named, home = config.environment.get("PIP_CONFIG_FILE"), config.user_home
    if named == "/dev/null":
        return
    if named:
        yield Path(named)
    if venv := config.environment.get("VIRTUAL_ENV"):
        yield Path(venv) / "pip.conf"
    yield from (folder / "pip/pip.conf" for folder in _config_folders(config))
    if home:
        yield home / ".pip/pip.conf"
    yield Path("/etc/pip.conf")
    yield from (folder / "pip/pip.conf" for folder in _system_folders(config))


def _config_folders(config: HttpConfig) -> list[Path]:
    named, home = config.environment.get("XDG_CONFIG_HOME"), config.user_home
    return [Path(named)] if named else [home / ".config"] if home else []


def _system_folders(config: HttpConfig) -> list[Path]:
    return [Path(each) for each in (config.environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if each]


def _read(path: Path, parse: Any) -> IndexSource:
    try:
        text = read_file(path, MAX_FILE).decode("utf-8-sig")
        return replace(parse(text), name=str(path)) if text else IndexSource(str(path))
    except (OSError, ValueError) as fault:  # its text may quote a line with a password
        return IndexSource(str(path), unreadable=f"{path} can't be read ({type(fault).__name__})")


def _of_pip(text: str) -> IndexSource:
    from configparser import Error, RawConfigParser  # few machines have such a file

    parsed = RawConfigParser()
    try:
        parsed.read_string(text)
    except Error as fault:
        raise ValueError("not a file of settings") from fault

    def words(key: str) -> tuple[str, ...]:
        found = (parsed.get(section, key, fallback="").split() for section in ("install", "download", "global"))
        return tuple(next(filter(None, found), ()))

    default, *rest = (*words("index-url"), "")
    keyring = bool(KEYRING_ON & set(words("keyring-provider")))
    others = (*filter(None, rest), *words("find-links"))
    return IndexSource("", default, words("extra-index-url"), others, pip=True, keyring=keyring)


def _of_uv(text: str, *keys: str) -> IndexSource:
    """uv.toml, or the table `keys` of another file. The older `pip` table is read as well."""
    import tomllib

    data: Any = tomllib.loads(text)
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    default, extra, others, keyring = "", list[str](), list[str](), False
    for table in (data, data.get("pip") if isinstance(data, dict) else None):
        if not isinstance(table, dict):
            continue
        keyring = keyring or table.get("keyring-provider") in KEYRING_ON
        for each in _list(table.get("index")):
            if not isinstance(each, dict) or not isinstance(each.get("url"), str):
                continue
            named = f"{each['name']}={each['url']}" if isinstance(each.get("name"), str) else each["url"]
            if each.get("explicit"):
                others.append(named)
            elif each.get("default"):
                default = named
            else:
                extra.append(named)
        default = default or str(table.get("index-url") or "")
        extra += [each for each in _list(table.get("extra-index-url")) if isinstance(each, str)]
        others += [each for each in _list(table.get("find-links")) if isinstance(each, str)]
    return IndexSource("", default, tuple(extra), tuple(others), keyring=keyring)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
