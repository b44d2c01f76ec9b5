"""The step `resolve`: pins all that the world could change, or takes it from a lock. Network and disk, but no bytes of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path

from modelcrate.events import Emit, silent
from modelcrate.home.settings import Settings
from modelcrate.net.download import Downloader
from modelcrate.project.values import DebianBase, Dependencies, Project
from modelcrate.resolve.debian.pinned import PinnedDeb, debs_in
from modelcrate.resolve.debian.releases import RELEASES, known_release
from modelcrate.resolve.lock import Lock, Pins
from modelcrate.resolve.lock_inputs import lock_inputs
from modelcrate.resolve.package_fetcher import PackageFetcher, Sources
from modelcrate.resolve.pinned import PinnedWheel, Solved, python_of
from modelcrate.resolve.resolved_base import ResolvedBase
from modelcrate.resolve.target import Target
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import DependencyKind
from modelcrate_layers.kinds.conda import conda_layers
from modelcrate_layers.kinds.debian import DebianLayer
from modelcrate_layers.kinds.debian import environment as debian_environment
from modelcrate_layers.kinds.runtime import RuntimeLayer
from modelcrate_layers.kinds.wheels import wheel_layers
from modelcrate_layers.packages.conflicts import check as check_conflicts

DEFAULT_RELEASE = "bookworm"
"""Taken where the project says neither a release nor a Python."""

SERVERS = {"modelcrate": ("gunicorn",), "azureml": ("azureml-inference-server-http",)}
"""What the servers that an image may have need, beside the project's own requirements, which may pin it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """One platform with everything pinned.

    Attributes:
        target: What Python packages are for; None where the image has none.
        dependencies: The layers of packages, lowest first, and of the environment that they are in. No package need be fetched yet.
    """

    platform: Platform
    below: ResolvedBase
    pins: Pins
    target: Target | None
    dependencies: tuple[DependencyKind, ...] = ()

    @property
    def own_python(self) -> bool:
        """Whether the packages bring the Python of the image."""
        return bool(python_of(self.pins.conda))


@dataclass(frozen=True, slots=True)
class World:
    """All platforms of a project, and how to fetch what one of its layers needs."""

    lock_inputs: Mapping[str, object] = field(hash=False)
    platforms: tuple[Resolved, ...]
    supplier: PackageFetcher

    @property
    def packages(self) -> dict[str, str]:
        """The versions of Python packages by name; where platforms differ, the last one's."""
        return {wheel.name: wheel.version for each in self.platforms for wheel in each.pins.wheels}

    @property
    def pins(self) -> dict[str, Pins]:
        return {str(each.platform): each.pins for each in self.platforms}


def resolve(
    project: Project,
    folder: Path,
    settings: Settings,
    fetcher: Downloader,
    now: datetime,
    lock: Lock | None = None,
    emit: Emit = silent,
) -> World:
    """Everything pinned: by the lock, if one is given, else as the world is now."""
    sources = Sources(project, folder, settings, fetcher)
    resolved = [_resolve(sources, platform, now, lock, emit) for platform in project.platforms]
    pins = {pinned.sha256: (pinned, each.target) for each in resolved for pinned in each.pins.packages}
    supplier = PackageFetcher(sources, pins)
    complete = tuple(replace(each, dependencies=_dependencies(each, supplier)) for each in resolved)
    return World(lock_inputs(project, folder, server_requirements(project)), complete, supplier)


def fetch_packages(world: World) -> None:
    """Fetches the packages of all dependencies that are not in the cache."""
    kinds = (kind for each in world.platforms for kind in each.dependencies)
    world.supplier.fetch({each.sha256: each for kind in kinds for each in kind.materials().missing()}.values())


def check_package_conflicts(world: World) -> None:
    """Checks that no two packages of an image own one file. The packages must have been fetched.

    Raises:
        UserError: Two do; it names them and the file.
    """
    for each in world.platforms:
        check_conflicts(owned for kind in each.dependencies for owned in kind.installed())


def package_notices(world: World) -> tuple[str, ...]:
    """Returns what a user should know of the packages, a sentence each. They must have been fetched."""
    kinds = (kind for each in world.platforms for kind in each.dependencies)
    return tuple(dict.fromkeys(notice for kind in kinds for notice in kind.notices()))


def _dependencies(resolved: Resolved, supplier: PackageFetcher) -> tuple[DependencyKind, ...]:
    """The environment, unless the packages bring it; then the packages."""
    if resolved.target is None:
        return ()
    python, pins = resolved.target.minor, resolved.pins
    environment = () if resolved.own_python else (RuntimeLayer(python, resolved.below.interpreter),)
    return (
        *environment,
        *conda_layers(map(supplier.placed, pins.conda), python),
        *wheel_layers(map(supplier.placed, pins.wheels), python),
    )


def _resolve(sources: Sources, platform: Platform, now: datetime, lock: Lock | None, emit: Emit) -> Resolved:
    project = sources.project
    pins = lock.of(platform) if lock is not None else None
    conda = project.dependencies.conda
    python = project.python if conda is None else None  # conda brings its own; the base may have any
    if isinstance(project.base, DebianBase):
        below, debs = _debian(project.base, python, platform, sources, now, pins)
    else:
        from modelcrate.resolve.existing_base import resolve_existing

        digest = pins.base if pins is not None else None
        settings, folder = sources.settings, sources.folder
        below, debs = resolve_existing(project.base, platform, python, folder, settings, digest, emit), ()
    solved = Solved(pins.conda) if pins is not None else _lock_conda(sources, platform, below)
    target = _target(project, platform, below, python_of(solved.pinned))
    if pins is None:
        pins = Pins(below.digest, debs, _lock_wheels(sources, target, solved.distributions), solved.pinned)
    return Resolved(platform, below, pins, target)


def _debian(
    base: DebianBase, python: str | None, platform: Platform, sources: Sources, now: datetime, pins: Pins | None
) -> tuple[ResolvedBase, tuple[PinnedDeb, ...]]:
    release = known_release(base.release or _release_for(python))
    debs = pins.debs if pins is not None else _pin_debs(base, release.codename, python, platform, sources, now)
    layer = DebianLayer(release.codename, release.python, debs_in(debs, sources.cache))
    config = {"config": {"Env": [f"{name}={value}" for name, value in debian_environment().items()]}}
    interpreter = str(base.interpreter or f"/usr/bin/python{release.python}")
    return ResolvedBase(str(base), config, (), (layer,), interpreter, release.python, release.glibc), debs


def _pin_debs(
    base: DebianBase, release: str, python: str | None, platform: Platform, sources: Sources, now: datetime
) -> tuple[PinnedDeb, ...]:
    from modelcrate.resolve.debian import DebianWanted, resolve_debian

    wanted = DebianWanted(release, platform.architecture, base.packages, python or "")
    return resolve_debian(wanted, sources.mirrors, sources.fetcher, sources.cache, now)


def _release_for(python: str | None) -> str:
    """The release that brings a Python; the default where none is asked for. An unknown one is refused later, with what there is."""
    return next((name for name, release in RELEASES.items() if release.python == python), DEFAULT_RELEASE)


def _target(project: Project, platform: Platform, below: ResolvedBase, own: str) -> Target | None:
    """What wheels are for; None where the image has no Python packages. `own` is the Python that conda packages bring, if any."""
    if project.entry is None and not _wanted(project.dependencies):
        return None
    if own:
        return Target(own, platform.architecture, below.glibc)
    if not below.interpreter or not below.python:
        raise UserError(
            f"the base {below.name} does not say where its Python is",
            hint="name it: base: {from: ..., interpreter: /usr/bin/python3.11}, or take a base with Python in it",
        )
    return Target(below.python, platform.architecture, below.glibc)


def _wanted(needs: Dependencies) -> bool:
    return bool(needs.requirements) or needs.pylock is not None or needs.conda is not None


def server_requirements(project: Project) -> tuple[str, ...]:
    """What the project's server needs; nothing, where it has none."""
    return SERVERS[project.server] if project.entry is not None else ()


def _lock_conda(sources: Sources, platform: Platform, below: ResolvedBase) -> Solved:
    conda = sources.project.dependencies.conda
    if conda is None:
        return Solved()
    from modelcrate.resolve.conda import lock_conda

    return lock_conda(conda, sources.project.python, platform, below.glibc, sources.channels, sources.fetcher)


def _lock_wheels(sources: Sources, target: Target | None, there: Mapping[str, str]) -> tuple[PinnedWheel, ...]:
    """`there` are the Python packages that conda brings: they stay, at their versions."""
    if target is None:
        return ()
    from modelcrate.resolve.wheels import Requirements, lock_wheels

    project, folder = sources.project, sources.folder
    needs = project.dependencies
    files = (folder / needs.requirements,) if isinstance(needs.requirements, Path) else ()
    lines = needs.requirements if isinstance(needs.requirements, tuple) else ()
    pylock = folder / needs.pylock if needs.pylock else None
    wanted = Requirements((*lines, *server_requirements(project)), files, pylock)
    return lock_wheels(wanted, target, sources.index, sources.uv, there)
