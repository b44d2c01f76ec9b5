"""Which package index is used: the first that names one of the project, its files, the environment, and pip's and uv's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from modelcrate.net.config import HttpConfig
from modelcrate.net.index_config import index_sources, split_name, tool_settings
from modelcrate.net.urls import is_address
from modelcrate.project.values import Dependencies
from modelcrate.resolve.index import Index
from modelcrate.resolve.requirements import ReadRequirements
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace

_PYPI = r"https://pypi\.org/simple/?"
"""The index that is used where none is named; a mirror may replace it, so that of a lock adds nothing."""


def choose_index(
    needs: Dependencies,
    folder: Path,
    read: ReadRequirements,
    environment: Mapping[str, str],
    indexes: Sequence[str] = (),
) -> Index:
    """Returns the index that wheels come from.

    The first of these that names an index to take PyPI's part is the last that counts: the project file, the options of its
    requirements file, and then uv's or pip's variables and configuration, whichever is found first. What names more indexes only has them searched
    before those that follow. A wheelhouse without an index in the project file stands alone. Indexes of pip's settings are
    searched as pip does, all of them together.

    Args:
        needs: The dependencies that the project declares.
        folder: The folder of the project.
        read: The project's requirements, with the options and URLs of their file.
        indexes: Those that a lock names for its packages, as `expand_indexes` has them.
        environment: Variables of this run; it also names the configuration files.
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
        known=tuple(indexes),
    )
    project = Index(needs.index_url or "", needs.extra_index_urls, source="the project file")
    if house is not None and not (project.url or project.extra or options.index_url or options.extra_index_urls):
        return index
    file = Index(options.index_url, options.extra_index_urls, merged=True, source="the requirements file")
    settings = tool_settings(HttpConfig(environment), folder)
    found = Index()
    for each in (project, file, Index(settings.default, settings.extra, merged=settings.pip, source=settings.name)):
        _check_addresses(each)
        found = _beside(found, each)
    return replace(index, url=found.url, extra=found.extra, merged=found.merged, source=found.source)


def without_names(index: Index, environment: Mapping[str, str]) -> Index:
    """Returns the index of a foreign project: only indexes that the user has configured keep names, by which logins are found."""
    own = {url for each in index_sources(HttpConfig(environment)) for url in each.urls}

    def kept(url: str) -> str:
        return url if url in own else split_name(url)[1]

    return replace(index, url=kept(index.url), extra=tuple(map(kept, index.extra)))


def _names_any(index: Index) -> bool:
    return bool(index.url or index.extra)


def _beside(first: Index, then: Index) -> Index:
    """Returns the indexes of a place with those that it leaves to the next one."""
    if first.url or not _names_any(then):
        return first
    if not _names_any(first):
        return then
    extra = tuple(dict.fromkeys((*first.extra, *then.extra)))
    return Index(then.url, extra, merged=first.merged, source=f"{first.source}, {then.source}")


def _check_addresses(index: Index) -> None:
    """Refuses the address of an index that is none, with what named it; its login is not shown."""
    for each in (index.url, *index.extra):
        address = split_name(each)[1]
        if address.startswith(("http://", "https://")) and not is_address(address):
            raise UserError(
                f"not the URL of a package index: {address.rpartition('@')[2][:200]!r}",
                where=index.source,
                hint="expected for instance https://host:8443/simple",
            )


def expand_indexes(indexes: Sequence[str], environment: Mapping[str, str] | None) -> Iterator[str]:
    """Yields the indexes that a lock names with their variables (`${NAME}`, as Pipenv has them), those of PyPI left out.

    Args:
        indexes: The indexes as the lock has them. One whose variable is not set is left out.
        environment: Where variables are looked up; None where the lock is somebody else's.
    """
    environment = environment or {}
    for url in indexes:
        missing = any(not environment.get(name) for name in re.findall(r"\$\{?(\w+)\}?", url))
        if url and not missing and not re.fullmatch(_PYPI, url):
            yield re.sub(r"\$\{?(\w+)\}?", lambda found: environment[found[1]], url)


def hosts(index: Index) -> tuple[str, ...]:
    """Returns the hosts of an index, for messages: no path and no password. Where nothing takes PyPI's part, that is one of them."""
    urls = [split_name(url)[1] for url in (index.url, *index.extra)]
    return tuple(dict.fromkeys(urlsplit(url).netloc.rpartition("@")[2] or url or "PyPI" for url in urls))
