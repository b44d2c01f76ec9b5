"""Packages that are pinned and not in the cache: fetched when a layer of them has to be made. What fetches is imported only then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.home.settings import Settings
from modelcrate.net.download import Downloader
from modelcrate.project.values import DebianBase, Project
from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.pinned import PinnedConda, PinnedWheel
from modelcrate.resolve.target import Target
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.conda import CondaLayer
from modelcrate_layers.kinds.debian import DebianLayer
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.packages.wheel import Wheel

if TYPE_CHECKING:
    from modelcrate.resolve.debian import Mirrors
    from modelcrate.resolve.wheels import Index, Uv


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a project's packages come from, and how."""

    project: Project
    folder: Path
    settings: Settings
    fetcher: Downloader = field(repr=False)

    @property
    def cache(self) -> Path:
        return self.settings.cache

    @property
    def mirrors(self) -> Mirrors:
        from modelcrate.resolve.debian import choose_mirrors

        base = self.project.base
        named = [base.mirror] if isinstance(base, DebianBase) and base.mirror else []
        return choose_mirrors(named, self.settings.environment)

    @property
    def index(self) -> Index:
        from modelcrate.resolve.wheels import Index

        needs = self.project.dependencies
        house = (self.folder / needs.wheelhouse).resolve() if needs.wheelhouse else None
        return Index(needs.index_url or "", needs.extra_index_urls, house)

    @property
    def channels(self) -> tuple[str, ...]:
        """Where conda packages are, first to last."""
        from modelcrate.resolve.conda import channel_urls

        conda = self.project.dependencies.conda
        return channel_urls(conda, self.folder) if conda is not None else ()

    @property
    def uv(self) -> Uv:
        from modelcrate.resolve.wheels import Uv

        return Uv(self.cache / "uv", self.settings.network)


@dataclass(frozen=True, slots=True)
class PackageFetcher:
    """Fetches packages by the hashes that they are pinned with. `debs`, `wheels` and `conda` are the pins by these hashes."""

    sources: Sources
    debs: Mapping[str, PinnedDeb] = field(hash=False, repr=False)
    wheels: Mapping[str, tuple[PinnedWheel, Target]] = field(hash=False, repr=False)
    conda: Mapping[str, PinnedConda] = field(hash=False, repr=False)

    def supply(self, kind: LayerKind) -> None:
        """See that a layer's packages are in the cache."""
        if isinstance(kind, DebianLayer) and not all(deb.path.exists() for deb in kind.debs):
            from modelcrate.resolve.debian import fetch_debs

            pinned = [self.debs[deb.sha256] for deb in kind.debs]
            fetch_debs(pinned, self.sources.mirrors, self.sources.fetcher, self.sources.cache)
        elif isinstance(kind, WheelsLayer):
            self.fetch([each for each in kind.wheels if not Path(each.path).exists()])
        elif isinstance(kind, CondaLayer):
            self.fetch_conda(kind.wanted)

    def fetch(self, missing: Sequence[Wheel]) -> None:
        """Bring these wheels into the cache."""
        for target in {self.wheels[each.sha256][1] for each in missing}:
            self._fetch(
                [self.wheels[each.sha256][0] for each in missing if self.wheels[each.sha256][1] == target], target
            )

    def fetch_conda(self, wanted: Iterable[CondaPackage]) -> None:
        """Bring those of these conda packages into the cache that aren't there."""
        missing = [self.conda[each.sha256] for each in wanted if not each.path.exists()]
        if missing:
            from modelcrate.resolve.conda import fetch_conda

            fetch_conda(missing, self.sources.channels, self.sources.cache, self.sources.fetcher)

    def placed_conda(self, pinned: PinnedConda) -> CondaPackage:
        """A conda package with its place in the cache; fetched only where no channel has said how large it is."""
        path, size = pinned.place(self.sources.cache), pinned.size
        if size is None:
            self.fetch_conda([pinned.package(self.sources.cache, 0)])
            size = path.stat().st_size
        return pinned.package(self.sources.cache, size)

    def placed(self, pinned: PinnedWheel) -> Wheel:
        """A wheel with its place in the cache; fetched only where nobody has said how large it is."""
        path = pinned.place(self.sources.cache)
        size = pinned.size
        if size is None and not path.exists():
            self._fetch([pinned], self.wheels[pinned.sha256][1])
        if size is None:
            size = path.stat().st_size
        return Wheel(pinned.name, pinned.version, pinned.filename, pinned.sha256, size, str(path))

    def _fetch(self, pinned: Sequence[PinnedWheel], target: Target) -> None:
        from modelcrate.resolve.wheels import fetch_wheels, locate

        sources = self.sources
        found = locate(pinned, target, sources.index, sources.uv, sources.cache)
        fetch_wheels(found, sources.cache, sources.fetcher)
