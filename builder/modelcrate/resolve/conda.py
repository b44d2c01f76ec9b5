"""Conda packages of an image: solved for its platform by rattler (the extra `conda`), fetched by hash, without conda and without a container.

The facts about the platform are constants here and are never read from this machine. A lock names no channel's address: any of the
project's channels may serve the file with that hash, and a project with a lock needs no solver.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelcrate.net.download import Download, Downloader
from modelcrate.net.errors import NotFound
from modelcrate.project.conda import as_requirement
from modelcrate.project.values import Conda
from modelcrate.resolve.pinned import PinnedConda, Solved
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import RegistryError, SourceError, UserError
from modelcrate_layers.tar import codec

if TYPE_CHECKING:
    from rattler import GenericVirtualPackage, RepoDataRecord, SparseRepoData

EXTRA = "modelcrate[conda]"

DEFAULT_CHANNELS = ("conda-forge",)
"""Taken where no channel is named. Anaconda's own `defaults` are under terms that a user has to have agreed to, so they have to be named."""

HOME = "https://conda.anaconda.org/"
"""Where a channel is that has a name and no address (conda's `channel_alias`)."""

DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
"""What conda means by the channel `defaults`."""

SUBDIRS: Mapping[str, str] = {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}
"""Conda's names of the platforms that an image may have."""

_MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}

KERNEL = "4.18"
"""`__linux`: the oldest kernel of a distribution that is still supported (RHEL 8). An image brings no kernel, so the requirement is low."""

MAX_REPODATA = 256 << 20
"""Bytes of a channel's list of packages as it is sent; the largest (conda-forge, linux-64) has some 50 MB."""


def lock_conda(
    wanted: Conda,
    python: str | None,
    platform: Platform,
    glibc: tuple[int, int],
    channels: Sequence[str],
    fetcher: Downloader,
) -> Solved:
    """The packages that these specifications need on the platform; with `python`, that version is among them.

    UserError: no solver, not a specification, or no solution. RegistryError: a channel that can't be had.
    """
    require(wanted)
    subdir = SUBDIRS.get(str(platform))
    if subdir is None:
        raise UserError(f"conda has no packages for {platform}", hint=f"known are {', '.join(SUBDIRS)}")
    lines = [*wanted.packages, *([f"python {python}.*"] if python else [])]
    with scratch_folder() as scratch:
        lists = [path for url in channels for path in _lists(url, subdir, scratch, fetcher)]
        with ThreadPoolExecutor(1) as pool:  # a thread of its own: the caller may have an event loop in this one
            records = pool.submit(_solve, lines, lists, subdir, glibc).result()
    pinned = tuple(sorted(map(_pinned, records), key=lambda each: each.name))
    return Solved(
        pinned, {name: version for each in records if (told := _distribution(each)) for name, version in [told]}
    )


def solver_installed() -> bool:
    """Returns whether conda packages can be solved here: the extra `conda` of modelcrate is installed."""
    from importlib.util import find_spec

    try:
        return find_spec("rattler") is not None
    except ValueError:  # of a module that is in sys.modules and has no spec
        return False


def require(wanted: Conda) -> None:
    """Refuses conda packages where the solver is not installed.

    Raises:
        UserError: With the wheels that would serve.
    """
    if not solver_installed():
        wheels = ", ".join(map(as_requirement, wanted.packages))
        raise UserError(
            f"conda packages are wanted, and nothing here can solve them: {', '.join(wanted.packages)}",
            why="the solver comes with an extra of modelcrate; wheels are solved without it",
            hint=f"pip install '{EXTRA}'; or take wheels of PyPI instead: {wheels}",
        )


def channel_urls(wanted: Conda, folder: Path) -> tuple[str, ...]:
    """Where the channels are, first to last: addresses of folders below or beside the project's, or on the network."""
    return tuple(url for name in wanted.channels or DEFAULT_CHANNELS for url in _urls(name, folder))


def fetch_conda(pinned: Iterable[PinnedConda], channels: Sequence[str], cache: Path, fetcher: Downloader) -> None:
    """Fetches these packages into the cache and checks their hashes. The first channel that has a package serves it."""
    fetcher.download_all(
        [
            Download(
                f"{each.name} {each.version}",
                tuple(f"{url}/{each.subdir}/{quote(each.filename)}" for url in channels),
                each.place(cache),
                each.sha256,
                each.size,
            )
            for each in pinned
        ]
    )


def _urls(name: str, folder: Path) -> Iterable[str]:
    if "://" in name:
        return (name.rstrip("/"),)
    place = folder / name
    if name.startswith((".", "/")) or place.is_dir():
        if not place.is_dir():
            raise SourceError(
                "is not a folder, and is named as a channel",
                where=str(place),
                hint="name a channel by its name or its https address, or a folder that has one",
            )
        return (place.resolve().as_uri(),)
    return DEFAULTS if name == "defaults" else (HOME + name,)


def _lists(url: str, subdir: str, held: Path, fetcher: Downloader) -> list[tuple[str, str, Path]]:
    """A channel's lists of packages for the platform and for all platforms, as files; a channel without any is a RegistryError."""
    found = [(url, part, path) for part in (subdir, "noarch") if (path := _list(url, part, held, fetcher)) is not None]
    if not found:
        raise RegistryError(f"has no repodata.json for {subdir} or noarch", where=url, hint="is it a conda channel?")
    return found


def _list(url: str, part: str, held: Path, fetcher: Downloader) -> Path | None:
    for name in ("repodata.json.zst", "repodata.json"):
        try:
            data = fetcher.text(f"{url}/{part}/{name}", MAX_REPODATA)
        except NotFound:
            continue
        except RegistryError as fault:
            fault.hint = fault.hint or (
                "name a mirror or a folder that can be reached: dependencies: {conda: {channels: [URL]}}; "
                "or lock where the channel can be reached, and build with the lock"
            )
            raise
        place = Path(tempfile.mkdtemp(dir=held)) / "repodata.json"
        with open(place, "wb") as out:
            out.writelines(codec.decode(iter([data])))
        return place
    return None


def _solve(
    lines: Sequence[str], lists: Sequence[tuple[str, str, Path]], subdir: str, glibc: tuple[int, int]
) -> list[RepoDataRecord]:
    import asyncio

    import rattler
    from rattler.exceptions import InvalidMatchSpecError, SolverError

    try:
        specs = [rattler.MatchSpec(line, strict=False) for line in lines]
    except InvalidMatchSpecError as fault:
        raise UserError(
            f"not a specification of a conda package: {fault}",
            hint="expected for instance numpy, numpy=2.1 or numpy>=2,<3",
        ) from None
    try:
        known: list[SparseRepoData | Any] = [
            rattler.SparseRepoData(rattler.Channel(url), part, str(path)) for url, part, path in lists
        ]
        return asyncio.run(rattler.solve_with_sparse_repodata(specs, known, virtual_packages=_virtual(subdir, glibc)))
    except SolverError as fault:
        raise UserError(
            f"no set of conda packages satisfies {', '.join(lines)}", why=str(fault)[:2000], hint="loosen one of them"
        ) from None
    except (OSError, ValueError) as fault:
        raise RegistryError("a channel's list of packages can't be read", why=str(fault)[:500]) from None


def _virtual(subdir: str, glibc: tuple[int, int]) -> list[GenericVirtualPackage]:
    """What the platform brings itself, as the solver's virtual packages: the base's glibc, and no GPU."""
    from rattler import GenericVirtualPackage, PackageName, Version
    from rattler.package import BuildString

    told = {
        "__unix": ("0", "0"),
        "__linux": (KERNEL, "0"),
        "__glibc": (".".join(map(str, glibc)), "0"),
        "__archspec": ("1", _MACHINES[subdir]),
    }
    return [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, (version, build) in told.items()
    ]


def _pinned(record: RepoDataRecord) -> PinnedConda:
    if record.sha256 is None:
        raise RegistryError(
            f"the channel tells no sha256 of {record.file_name}", hint="it can't be pinned; index it anew"
        )
    return PinnedConda(
        record.name.normalized,
        str(record.version),
        str(record.build),
        str(record.subdir),
        record.file_name,
        record.sha256.hex(),
        record.size,
    )


def _distribution(record: RepoDataRecord) -> tuple[str, str] | None:
    """Name and version on PyPI of a Python package; None for anything else, by what it depends on."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    needs = {str(each).split()[0] for each in record.depends}
    if not needs & {"python", "python_abi"}:
        return None
    try:
        found = Requirement(as_requirement(f"{record.name.normalized}=={record.version}"))
    except InvalidRequirement:
        return None
    return canonicalize_name(found.name), str(record.version)


def write_channel(folder: Path, pinned: Sequence[PinnedConda], cache: Path) -> None:
    """Writes a channel of these packages, which must be in the cache."""
    from modelcrate_layers.packages.conda import read_package

    for subdir in {"noarch", *(each.subdir for each in pinned)}:
        (folder / subdir).mkdir(parents=True)
        records: dict[str, dict[str, Any]] = {}
        for each in pinned:
            if each.subdir == subdir:
                path = each.place(cache)
                package = each.as_package(cache, path.stat().st_size)
                records[each.filename] = {**read_package(package).index, "sha256": each.sha256, "size": package.size}
                shutil.copyfile(path, folder / subdir / each.filename)
        new = {name: record for name, record in records.items() if name.endswith(".conda")}
        old = {name: record for name, record in records.items() if name not in new}
        value = {"info": {"subdir": subdir}, "packages": old, "packages.conda": new, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(
            json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
        )
