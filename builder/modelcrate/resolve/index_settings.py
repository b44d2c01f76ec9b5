"""Which package index is used: the first that names one of the project, its files, the environment, and pip's and uv's configuration."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelcrate.project.values import Dependencies
from modelcrate.resolve.requirements import ReadRequirements
from modelcrate.resolve.uv import Index

MAX_FILE = 1 << 20
"""Bytes of a configuration file."""


def choose_index(needs: Dependencies, folder: Path, read: ReadRequirements, environment: Mapping[str, str]) -> Index:
    """Returns where wheels come from.

    The first of these places that names an index is taken, whole: the project file, the options of its requirements file, uv's
    variables, pip's variables, uv.toml or pyproject.toml beside the project, uv's configuration, pip's configuration. A wheelhouse
    without an index in the project file stands alone. Indexes that pip's words name are searched as pip does, all of them together.

    Args:
        read: The project's requirements, with the options and URLs of their file.
        environment: Variables of this run; it also says where configuration files are.
    """
    options = read.options
    house = (folder / needs.wheelhouse).resolve() if needs.wheelhouse else None
    index = Index(
        wheelhouse=house,
        find_links=options.find_links,
        no_index=options.no_index,
        torch=needs.torch or "",
        prereleases=options.prereleases,
        direct=read.urls,
    )
    project = Index(needs.index_url or "", needs.extra_index_urls, source="the project file")
    if house is not None and not (project.url or project.extra or options.index_url or options.extra_index_urls):
        return index
    file = Index(options.index_url, options.extra_index_urls, merged=True, source="the requirements file")
    for each in (project, file, *_of_environment(environment), *_of_files(folder, environment)):
        if each.url or each.extra:
            return replace(index, url=each.url, extra=each.extra, merged=each.merged, source=each.source)
    return index


def hosts(index: Index) -> tuple[str, ...]:
    """Returns the hosts of an index, for messages: no path and no password."""
    urls = [url.partition("=")[2] if re.match(r"[\w.-]+=", url) else url for url in (index.url, *index.extra)]
    return tuple(dict.fromkeys(urlsplit(url).netloc.rpartition("@")[2] or url for url in urls if url))


def _of_environment(environment: Mapping[str, str]) -> Iterator[Index]:
    for name, first, others in (
        ("uv", ("UV_DEFAULT_INDEX", "UV_INDEX_URL"), ("UV_INDEX", "UV_EXTRA_INDEX_URL")),
        ("pip", ("PIP_INDEX_URL",), ("PIP_EXTRA_INDEX_URL",)),
    ):
        url = next((environment[key] for key in first if environment.get(key)), "")
        extra = tuple(word for key in others for word in environment.get(key, "").split())
        yield Index(url.strip(), extra, merged=name == "pip", source=f"{name}'s variables in the environment")


def _of_files(folder: Path, environment: Mapping[str, str]) -> Iterator[Index]:
    """Yields what configuration files say. One that can't be read says nothing: uv and pip complain about it themselves."""
    home, config = environment.get("HOME", ""), environment.get("XDG_CONFIG_HOME", "")
    configs = [Path(config)] if config else [Path(home) / ".config"] if home else []
    yield _of_uv(folder / "uv.toml")
    yield _of_uv(folder / "pyproject.toml", "tool", "uv")
    if named := environment.get("UV_CONFIG_FILE"):
        yield _of_uv(Path(named))
    elif environment.get("UV_NO_CONFIG", "") in ("", "0", "false"):
        yield from (_of_uv(place / "uv" / "uv.toml") for place in (*configs, Path("/etc")))
    if named := environment.get("PIP_CONFIG_FILE"):
        yield _of_pip(Path(named))
    if named != "/dev/null":
        places = [
            *(place / "pip" / "pip.conf" for place in configs),
            *([Path(home, ".pip", "pip.conf")] if home else []),
        ]
        yield from map(_of_pip, (*places, Path("/etc/pip.conf")))


def _of_uv(path: Path, *keys: str) -> Index:
    try:
        data: Any = tomllib.loads(_text(path))
    except (OSError, ValueError):
        return Index()
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    url, extra = "", list[str]()
    for table in (data, data.get("pip") if isinstance(data, dict) else None):
        if not isinstance(table, dict):
            continue
        for each in _listed(table.get("index")):
            if not isinstance(each, dict) or not isinstance(each.get("url"), str) or each.get("explicit"):
                continue
            named = f"{each['name']}={each['url']}" if isinstance(each.get("name"), str) else each["url"]
            if each.get("default"):
                url = named
            else:
                extra.append(named)
        url = url or str(table.get("index-url") or "")
        extra += [each for each in _listed(table.get("extra-index-url")) if isinstance(each, str)]
    return Index(url, tuple(extra), source=str(path))


def _of_pip(path: Path) -> Index:
    parsed = configparser.RawConfigParser()
    try:
        parsed.read_string(_text(path))
    except (OSError, ValueError, configparser.Error):
        return Index()

    def words(key: str) -> list[str]:
        return next(
            (found.split() for section in ("install", "global") if (found := parsed.get(section, key, fallback=""))), []
        )

    return Index(next(iter(words("index-url")), ""), tuple(words("extra-index-url")), merged=True, source=str(path))


def _text(path: Path) -> str:
    if not path.is_file():  # not a device or a fifo, which would be read without end
        return ""
    with path.open("rb") as file:
        return file.read(MAX_FILE).decode("utf-8-sig")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
