"""The step `resolve`: pins all that the world could change, or takes it from a lock. Network and disk, but no bytes of layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from modelcrate.events import Emit, silent
from modelcrate.lock import Lock, Pins
from modelcrate.project.values import DebianBase, Dependencies, Project
from modelcrate.registry.fetch import Fetcher
from modelcrate.resolve.asked import asked
from modelcrate.resolve.base import Below, resolve_foreign
from modelcrate.resolve.debian import (
    DebianWanted,
    Mirrors,
    PinnedDeb,
    choose_mirrors,
    debs_in,
    fetch_debs,
    resolve_debian,
)
from modelcrate.resolve.debian.releases import RELEASES, known_release
from modelcrate.resolve.wheels import (
    Index,
    PinnedWheel,
    Requirements,
    Target,
    Uv,
    cached,
    fetch_wheels,
    locate,
    lock_wheels,
)
from modelcrate.settings import Settings
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.debian import Deb, DebianLayer
from modelcrate_layers.kinds.debian import environment as debian_environment
from modelcrate_layers.kinds.wheels import WheelsLayer, check_conflicts
from modelcrate_layers.wheel import Wheel

DEFAULT_RELEASE = "bookworm"
"""Taken where the project says neither a release nor a Python."""

SERVER = ("gunicorn",)
"""What the server of the image needs, beside the project's own requirements, which may pin it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """One platform with everything pinned. `wheels` name their places in the cache, where they need not be yet."""

    platform: Platform
    below: Below
    pins: Pins
    wheels: tuple[Wheel, ...]
    target: Target | None


@dataclass(frozen=True, slots=True)
class World:
    """All platforms of a project, and how to fetch what one of its layers needs."""

    asked: Mapping[str, object] = field(hash=False)
    platforms: tuple[Resolved, ...]
    supplier: Supplier

    @property
    def pins(self) -> dict[str, Pins]:
        return {str(each.platform): each.pins for each in self.platforms}


@dataclass(frozen=True, slots=True)
class Supplier:
    """Fetches packages that are not in the cache. All that it fetches is held to a hash that was pinned."""

    fetcher: Fetcher = field(repr=False)
    mirrors: Mirrors
    index: Index
    uv: Uv
    cache: Path
    debs: Mapping[str, PinnedDeb] = field(default_factory=dict, hash=False, repr=False)
    wheels: Mapping[str, tuple[PinnedWheel, Target]] = field(default_factory=dict, hash=False, repr=False)

    def supply(self, kind: LayerKind) -> None:
        """See that a layer's packages are in the cache."""
        if isinstance(kind, DebianLayer):
            self._debs(kind.debs)
        elif isinstance(kind, WheelsLayer):
            self.fetch([each for each in kind.wheels if not Path(each.path).exists()])

    def fetch(self, missing: Sequence[Wheel]) -> None:
        for target in {self.wheels[each.sha256][1] for each in missing}:
            pinned = [self.wheels[each.sha256][0] for each in missing if self.wheels[each.sha256][1] == target]
            fetch_wheels(locate(pinned, target, self.index, self.uv, self.cache), self.cache, self.fetcher)

    def placed(self, pinned: PinnedWheel) -> Wheel:
        """A wheel with its place in the cache; fetched only where nobody has said how large it is."""
        known = cached(pinned, self.cache)
        if known is None:
            target = self.wheels[pinned.sha256][1]
            (known,) = fetch_wheels(locate([pinned], target, self.index, self.uv, self.cache), self.cache, self.fetcher)
        return known

    def _debs(self, debs: Sequence[Deb]) -> None:
        if not all(deb.path.exists() for deb in debs):
            fetch_debs([self.debs[deb.sha256] for deb in debs], self.mirrors, self.fetcher, self.cache)


def resolve(
    project: Project,
    folder: Path,
    settings: Settings,
    fetcher: Fetcher,
    now: datetime,
    lock: Lock | None = None,
    emit: Emit = silent,
) -> World:
    """Everything pinned: by the lock, if one is given, else as the world is now."""
    needs = project.dependencies
    mirror = project.base.mirror if isinstance(project.base, DebianBase) else None
    mirrors = choose_mirrors([mirror] if mirror else [], settings.environment)
    house = (folder / needs.wheelhouse).resolve() if needs.wheelhouse else None
    index = Index(needs.index_url or "", needs.extra_index_urls, house)
    uv = Uv(settings.cache / "uv", settings.network)
    supplier = Supplier(fetcher, mirrors, index, uv, settings.cache)
    resolved = [
        _resolve(project, platform, folder, settings, supplier, now, lock, emit) for platform in project.platforms
    ]
    debs = {deb.sha256: deb for each in resolved for deb in each.pins.debs}
    wheels = {wheel.sha256: (wheel, each.target) for each in resolved for wheel in each.pins.wheels if each.target}
    full = Supplier(fetcher, mirrors, index, uv, settings.cache, debs, wheels)
    platforms = tuple(
        replace(each, wheels=tuple(full.placed(wheel) for wheel in each.pins.wheels)) for each in resolved
    )
    return World(asked(project, folder, _server(project)), platforms, full)


def conflicts(world: World) -> None:
    """Two wheels that own one file. Needs the wheels, so it is asked when a layer of wheels is new."""
    for each in world.platforms:
        if each.target is not None and each.wheels:
            check_conflicts(each.wheels, each.target.minor)


def _resolve(
    project: Project,
    platform: Platform,
    folder: Path,
    settings: Settings,
    supplier: Supplier,
    now: datetime,
    lock: Lock | None,
    emit: Emit,
) -> Resolved:
    pins = lock.of(platform) if lock is not None else None
    if isinstance(project.base, DebianBase):
        below, debs = _debian(project.base, platform, project.python, supplier, now, pins)
    else:
        digest = pins.base if pins is not None else None
        below, debs = resolve_foreign(project.base, platform, project.python, folder, settings, digest, emit), ()
    target = _target(project, platform, below)
    if pins is None:
        pins = Pins(below.digest, debs, _lock_wheels(project, folder, supplier, target))
    return Resolved(platform, below, pins, (), target)


def _debian(
    base: DebianBase, platform: Platform, python: str | None, supplier: Supplier, now: datetime, pins: Pins | None
) -> tuple[Below, tuple[PinnedDeb, ...]]:
    release = known_release(base.release or _release_for(python))
    if pins is None:
        wanted = DebianWanted(release.codename, platform.architecture, base.packages, python or "")
        debs = resolve_debian(wanted, supplier.mirrors, supplier.fetcher, supplier.cache, now)
    else:
        debs = pins.debs
    layer = DebianLayer(release.codename, release.python, debs_in(debs, supplier.cache))
    config = {"config": {"Env": [f"{name}={value}" for name, value in debian_environment().items()]}}
    interpreter = str(base.interpreter or f"/usr/bin/python{release.python}")
    return Below(str(base), config, (), (layer,), interpreter, release.python, _glibc(debs)), debs


def _release_for(python: str | None) -> str:
    """The release that brings a Python; the default where none is asked for. An unknown one is refused later, with what there is."""
    return next((name for name, release in RELEASES.items() if release.python == python), DEFAULT_RELEASE)


def _glibc(debs: Sequence[PinnedDeb]) -> tuple[int, int]:
    version = next((deb.version for deb in debs if deb.package == "libc6"), "2.28")
    match = re.match(r"(?:\d+:)?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (2, 28)


def _target(project: Project, platform: Platform, below: Below) -> Target | None:
    """What wheels are for; None where the image has no Python packages."""
    if project.entry is None and not _wanted(project.dependencies):
        return None
    if not below.interpreter or not below.python:
        raise UserError(
            f"the base {below.name} does not say where its Python is",
            hint="name it: base: {from: ..., interpreter: /usr/bin/python3.11}, or take a base with Python in it",
        )
    return Target(below.python, platform.architecture, below.glibc)


def _wanted(needs: Dependencies) -> bool:
    return bool(needs.requirements) or needs.pylock is not None


def _server(project: Project) -> tuple[str, ...]:
    return SERVER if project.entry is not None else ()


def _lock_wheels(project: Project, folder: Path, supplier: Supplier, target: Target | None) -> tuple[PinnedWheel, ...]:
    if target is None:
        return ()
    needs = project.dependencies
    files = (folder / needs.requirements,) if isinstance(needs.requirements, Path) else ()
    lines = needs.requirements if isinstance(needs.requirements, tuple) else ()
    pylock = folder / needs.pylock if needs.pylock else None
    wanted = Requirements((*lines, *_server(project)), files, pylock)
    return lock_wheels(wanted, target, supplier.index, supplier.uv)
