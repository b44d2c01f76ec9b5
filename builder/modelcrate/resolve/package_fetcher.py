"""Fetches pinned packages that are not in the cache, when a layer of them has to be made. Imports what fetches only then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modelcrate.events import Notice
from modelcrate.project.values import DebianBase, Project
from modelcrate.resolve.declared import Declaration
from modelcrate.resolve.lock import FILE_NAME
from modelcrate.resolve.pinned import Pinned, PinnedWheel
from modelcrate.resolve.target import Target
from modelcrate.transports.connections import Connections
from modelcrate_layers.atomic import remove
from modelcrate_layers.errors import LockedError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.packages.checked import is_damaged
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.records import claim_folder
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.resolve.debian import Mirrors
    from modelcrate.resolve.wheels import Index, Uv

P = TypeVar("P", bound=Package)

_REMOVING = threading.Lock()


@dataclass(slots=True)
class Sources:
    """Where a project's packages come from, and how. It is not frozen: it holds connections."""

    project: Project
    folder: Path
    connections: Connections = field(repr=False)
    declared: Declaration = Declaration()

    @property
    def cache(self) -> Path:
        """The folder of the cache."""
        return self.connections.config.cache

    @property
    def base_python(self) -> str | None:
        """The Python that the base is to have; None for any, because none is asked for, or conda brings its own."""
        return self.project.python if self.project.dependencies.conda is None else None

    @property
    def mirrors(self) -> Mirrors:
        """The mirrors for Debian packages: that of the project, then those of the environment."""
        from modelcrate.resolve.debian import Freshness, choose_mirrors, release_of

        base = self.project.base
        if not isinstance(base, DebianBase):
            return choose_mirrors((), self.connections.config.environment)
        named = [base.mirror] if base.mirror else []
        release = release_of(base.release, self.base_python)
        found = choose_mirrors(named, self.connections.config.environment, distribution=release.distribution)
        if base.valid_until == "ignored" and found.freshness is Freshness.REQUIRED:
            return replace(found, freshness=Freshness.IGNORED)
        return found

    @property
    def index(self) -> Index:
        """Where wheels come from. The requirements file is read for its options and its URLs."""
        own = self.own_wheel
        index = self._index
        if own is None:
            return index
        from modelcrate.net.urls import local_path

        links = (*index.find_links, str(local_path(own.urls[0]).parent))
        return replace(index, direct={**index.direct, own.name: own.urls[0]}, find_links=links)

    @property
    def own_wheel(self) -> PinnedWheel | None:
        """The wheel of the project's own package, where the project requires it. It is built unless the cache has it."""
        if not self.project.dependencies.project:
            return None
        from modelcrate.resolve.project_wheel import build_project_wheel

        return build_project_wheel(self.folder, self.cache, self.uv, self._index)

    @property
    def _index(self) -> Index:
        from modelcrate.resolve.index_settings import choose_index, expand_indexes, without_names
        from modelcrate.resolve.requirements import read_requirements

        config = self.connections.config
        read = read_requirements(self.declared.requirements, config.file_variables)
        known = tuple(expand_indexes(self.declared.requirements.indexes, config.file_variables))
        index = choose_index(self.project.dependencies, self.folder, read, config.environment, known)
        return without_names(index, config.environment) if config.foreign else index

    @property
    def channels(self) -> tuple[str, ...]:
        """The conda channels, first to last."""
        from modelcrate.resolve.conda import channel_urls

        conda = self.project.dependencies.conda
        return channel_urls(conda, self.folder) if conda is not None else ()

    @property
    def uv(self) -> Uv:
        """The uv program with its cache. A cache that another machine has written is emptied first: its contents decide the lock."""
        from modelcrate.net.config import HttpConfig
        from modelcrate.resolve.wheels import Uv

        with as_machine_error(self.cache):
            claim_folder(self.cache / "uv")
        config = self.connections.config
        return Uv(self.cache / "uv", HttpConfig(config.environment, config.offline, foreign=config.foreign))


@dataclass(slots=True)
class PackageFetcher:
    """Fetches packages by the hashes that they are pinned with. It is not frozen: it holds connections.

    `pins` are all packages of a project by these hashes, each with the platform that it is for, if it is for Python.
    """

    sources: Sources
    pins: Mapping[str, tuple[Pinned[Package], Target | None]] = field(hash=False, repr=False)

    def supply(self, kind: LayerKind) -> None:
        """Fetches the packages of a layer that are not in the cache, or that have other bytes there than were pinned."""
        materials = kind.materials()
        for each in materials.packages:
            self._drop_damaged(each)
        self.fetch(materials.missing())

    def _drop_damaged(self, package: Package) -> None:
        if is_damaged(package.path, package.sha256):
            with _REMOVING, as_machine_error(Path(package.path)):
                if is_damaged(package.path, package.sha256):  # still: another thread may have fetched it meanwhile
                    remove(Path(package.path))
                    self.sources.connections.emit(
                        Notice(f"{package.path} was not what was pinned; it was removed and is fetched again")
                    )

    def fetch(self, missing: Iterable[Package]) -> None:
        """Fetches these packages into the cache."""
        together: dict[tuple[str, Target | None], list[Pinned[Package]]] = {}
        for pinned, target in (self.pins[each.sha256] for each in missing):
            together.setdefault((pinned.kind, target), []).append(pinned)
        for (kind, target), pins in together.items():
            _FETCH[kind](pins, target, self.sources)

    def placed(self, pinned: Pinned[P]) -> P:
        """Returns a package with its place in the cache; it is fetched only where no index says how large it is."""
        path, size = pinned.place(self.sources.cache), pinned.size
        if size is None:
            if not path.exists():
                self.fetch([pinned.as_package(self.sources.cache, 0)])
            size = path.stat().st_size
        elif path.is_file() and path.stat().st_size != size and not is_damaged(path, pinned.sha256):
            raise LockedError(
                f"the lock says that {pinned.filename} has {size} bytes, and the file with its hash has {path.stat().st_size}",
                where=FILE_NAME,
                hint="lock again: modelcrate lock",
            )
        return pinned.as_package(self.sources.cache, size)


def supply(fetchers: Sequence[PackageFetcher], kind: LayerKind) -> None:
    """Fetches the packages of a layer, by the one of several fetchers whose packages they are. See `PackageFetcher.supply`."""
    wanted = {each.sha256 for each in kind.materials().packages}
    fitting = (each for each in fetchers if wanted <= each.pins.keys())
    next(fitting, fetchers[0]).supply(kind)


def _fetch_debs(pins: Sequence[Any], _: Target | None, sources: Sources) -> None:
    from modelcrate.resolve.debian import fetch_debs

    fetch_debs(pins, sources.mirrors, sources.connections.downloader, sources.cache)


def _fetch_wheels(pins: Sequence[Any], target: Target | None, sources: Sources) -> None:
    from modelcrate.resolve.wheels import fetch_wheels, locate

    assert target is not None, "a wheel is for a platform"
    found = locate(pins, target, sources.index, sources.uv, sources.cache)
    fetch_wheels(found, sources.cache, sources.connections.downloader)


def _fetch_conda(pins: Sequence[Any], _: Target | None, sources: Sources) -> None:
    from modelcrate.resolve.conda import fetch_conda

    fetch_conda(pins, sources.channels, sources.cache, sources.connections.downloader)


_FETCH: Mapping[str, Callable[[Sequence[Any], Target | None, Sources], None]] = {
    "deb": _fetch_debs,
    "wheel": _fetch_wheels,
    "conda": _fetch_conda,
}
"""How packages are fetched, by the kind of their pins."""
