"""The step `resolve`: pins all that the world could change, or takes it from a lock. Network and disk, but no bytes of layers."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelcrate.events import Emit, Notice, ignore_event
from modelcrate.project.contracts import contract_packages, server_imports
from modelcrate.project.values import DebianBase, Dependencies, Project
from modelcrate.resolve.debian.pinned import PinnedDeb, debs_in
from modelcrate.resolve.debian.releases import release_of
from modelcrate.resolve.declared import Declaration, read_declaration
from modelcrate.resolve.declared_needs import check_python, with_declared, without_conda
from modelcrate.resolve.lock import BasePython, Lock, Pins
from modelcrate.resolve.lock_inputs import lock_inputs
from modelcrate.resolve.package_fetcher import PackageFetcher, Sources
from modelcrate.resolve.pinned import PinnedWheel, Solved, python_of
from modelcrate.resolve.requirements import Requirements
from modelcrate.resolve.resolved_base import ReceivedScans, ResolvedBase, no_scans
from modelcrate.resolve.target import Target
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.kinds import DependencyKind
from modelcrate_layers.kinds.conda import conda_layers
from modelcrate_layers.kinds.debian import DebianLayer
from modelcrate_layers.kinds.debian import environment as debian_environment
from modelcrate_layers.kinds.runtime import RuntimeLayer
from modelcrate_layers.kinds.wheels import WheelsLayer, wheel_layers
from modelcrate_layers.packages.conflicts import LayerPaths, Owned, are_apart
from modelcrate_layers.packages.conflicts import check as check_conflicts
from modelcrate_layers.packages.grouping import HEAVY, MAX_LAYERS

if TYPE_CHECKING:
    from modelcrate.resolve.index import Index

SERVERS = {"modelcrate": ("gunicorn",), "azureml": ("azureml-inference-server-http",)}
"""What the servers that an image may have need, beside the project's own requirements, which may pin it."""

_NONE: Mapping[Digest, LayerPaths] = MappingProxyType({})

SHELL_NEEDS = ("pip",)
"""What an image with a shell has in its environment besides, so that RUN lines can install packages there."""


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
    """All platforms of a project with everything pinned.

    Attributes:
        project: The project with the Python and the conda packages that its dependencies declare.
        folder: Where its relative paths begin.
        declared: What its dependencies declare.
    """

    lock_inputs: Mapping[str, object] = field(hash=False)
    platforms: tuple[Resolved, ...]
    project: Project
    folder: Path
    declared: Declaration = field(hash=False, repr=False)

    @property
    def packages(self) -> dict[str, str]:
        """The versions of Python packages by name; where platforms differ, the last one's."""
        return {wheel.name: wheel.version for each in self.platforms for wheel in each.pins.wheels}

    @property
    def pins(self) -> dict[str, Pins]:
        """The pins of each platform, by its name."""
        return {str(each.platform): each.pins for each in self.platforms}


def resolve(
    project: Project,
    folder: Path,
    connections: Connections,
    now: datetime,
    lock: Lock | None = None,
    emit: Emit = ignore_event,
    received: ReceivedScans = no_scans,
) -> World:
    """Returns everything pinned: by the lock, if one is given, else as the world is now. `received` as in `resolve_existing`."""
    given = project
    declared = without_conda(read_declaration(project.dependencies, folder), lock)
    project, chosen = with_declared(project, declared)
    sources = Sources(project, folder, connections, declared)
    if lock is None:
        _notify(emit, (*declared.notices, *chosen))
    resolved = [_resolve(sources, platform, now, lock, emit, received) for platform in project.platforms]
    wheels = [wheel for each in resolved for wheel in each.pins.wheels]
    if lock is None and wheels:
        _notify(emit, _index_notices(sources.index))
    if any(wheel.name.startswith(("nvidia-", "cuda-")) for wheel in wheels):
        from modelcrate.resolve.cuda import cuda_notices

        _notify(emit, cuda_notices(wheels, given.dependencies))
    pins = {pinned.sha256: (pinned, each.target) for each in resolved for pinned in each.pins.packages}
    fetcher = PackageFetcher(sources, pins)
    complete = tuple(replace(each, dependencies=_dependencies(each, fetcher)) for each in resolved)
    return World(lock_inputs(given, folder, server_requirements(given)), complete, project, folder, declared)


def open_fetcher(world: World, connections: Connections) -> PackageFetcher:
    """Returns what fetches the packages that are pinned."""
    pins = {pinned.sha256: (pinned, each.target) for each in world.platforms for pinned in each.pins.packages}
    return PackageFetcher(Sources(world.project, world.folder, connections, world.declared), pins)


def wheel_note(line: str, world: World, connections: Connections) -> str:
    """Returns what is to be known of a requirement that has no wheel for the first platform; nothing where it has one, or the index is not reachable."""
    target = next((each.target for each in world.platforms if each.target is not None), None)
    if target is None or connections.config.offline:
        return ""
    from modelcrate.resolve import other_python
    from modelcrate.resolve.wheels import look_for_wheel

    sources = Sources(world.project, world.folder, connections, world.declared)
    return other_python.wheel_note(
        target, lambda each: look_for_wheel(line, each, sources.index, sources.uv), world.project
    )


def fetch_packages(world: World, fetcher: PackageFetcher, besides: Container[Digest] = ()) -> None:
    """Fetches the packages of all dependencies that are not in the cache. Those of the layers with the keys in `besides` are not needed."""
    kinds = (kind for each in world.platforms for kind in each.dependencies if kind.key() not in besides)
    fetcher.fetch({each.sha256: each for kind in kinds for each in kind.materials().missing()}.values())


def check_package_conflicts(
    world: World, fetcher: PackageFetcher, elsewhere: Mapping[Digest, LayerPaths] = _NONE
) -> None:
    """Checks that no two packages of an image own one file, or reports it where the project allows it.

    Args:
        world: The packages, which must have been fetched, unless their layers are in `elsewhere`.
        fetcher: Fetches a package again that is damaged, and one that is elsewhere where its paths don't decide it.
        elsewhere: Layers by their keys whose packages are not on this machine, with their paths.

    Raises:
        UserError: Two own one file; it names them and the file.
    """
    notices = (notice for each in world.platforms for notice in _conflicts(each, fetcher, elsewhere))
    _notify(fetcher.sources.connections.emit, dict.fromkeys(notices))


def _conflicts(resolved: Resolved, fetcher: PackageFetcher, elsewhere: Mapping[Digest, LayerPaths]) -> tuple[str, ...]:
    rule, kinds = fetcher.sources.project.dependencies.on_conflict, resolved.dependencies
    others = [paths for kind in kinds if (key := kind.key()) is not None and (paths := elsewhere.get(key)) is not None]
    if others:
        here = tuple(kind for kind in kinds if kind.key() not in elsewhere)
        if are_apart(_installed(here), others):
            kinds = here
        else:
            fetcher.fetch({each.sha256: each for kind in kinds for each in kind.materials().missing()}.values())
    try:
        return check_conflicts(_installed(kinds), rule)
    except CrateError:  # of packages as they are, or of damaged ones
        for kind in kinds:
            fetcher.supply(kind)
        return check_conflicts(_installed(kinds), rule)


def _installed(kinds: Iterable[DependencyKind]) -> Iterator[Owned]:
    return (owned for kind in kinds for owned in kind.installed())


def package_notices(world: World, elsewhere: Container[Digest] = ()) -> tuple[str, ...]:
    """Returns what a user should know of the packages, a sentence each. They must have been fetched, unless their layers are `elsewhere`."""
    kinds = (kind for each in world.platforms for kind in each.dependencies if kind.key() not in elsewhere)
    return tuple(dict.fromkeys(notice for kind in kinds for notice in kind.notices()))


def _dependencies(resolved: Resolved, fetcher: PackageFetcher) -> tuple[DependencyKind, ...]:
    """Returns the environment, unless the packages bring it; then the packages."""
    if resolved.target is None:
        return ()
    python, pins, needs = resolved.target.minor, resolved.pins, fetcher.sources.project.dependencies
    rule, budget, heavy = needs.on_conflict, *((needs.layers, 0) if needs.layers else (MAX_LAYERS, HEAVY))
    environment = () if resolved.own_python else (RuntimeLayer(python, resolved.below.interpreter),)
    wheels = wheel_layers(map(fetcher.placed, pins.wheels), python, budget=budget, on_conflict=rule, heavy=heavy)
    return (
        *environment,
        *conda_layers(map(fetcher.placed, pins.conda), python, on_conflict=rule),
        *wheels,
        *_bytecode(resolved, wheels),
    )


def _bytecode(resolved: Resolved, wheels: Sequence[WheelsLayer]) -> Iterable[DependencyKind]:
    if resolved.below.compiler is None:
        return ()
    from modelcrate.resolve.bytecode import wheel_bytecode

    return wheel_bytecode(resolved.below, wheels, own_python=resolved.own_python)


def _resolve(
    sources: Sources, platform: Platform, now: datetime, lock: Lock | None, emit: Emit, received: ReceivedScans
) -> Resolved:
    project = sources.project
    pins = lock.of(platform) if lock is not None else None
    needed = project.entry is not None or _wanted(project.dependencies)
    with sources.uv.meet_python() if pins is None and needed else nullcontext():
        below, debs = _resolve_base(sources, platform, now, pins, emit, received, python_needed=needed)
    solved = Solved(pins.conda) if pins is not None else _lock_conda(sources, platform, below)
    target = _target(project, platform, below, python_of(solved.pinned))
    if target is not None:
        check_python(sources.declared, target, project)
    if pins is None:
        wheels = _lock_wheels(sources, target, solved.distributions)
        pins = Pins(below.digest, debs, wheels, solved.pinned, _base_python(below))
    return Resolved(platform, below, pins, target)


def _resolve_base(
    sources: Sources,
    platform: Platform,
    now: datetime,
    pins: Pins | None,
    emit: Emit,
    received: ReceivedScans,
    *,
    python_needed: bool,
) -> tuple[ResolvedBase, tuple[PinnedDeb, ...]]:
    base, python = sources.project.base, sources.base_python
    if isinstance(base, DebianBase):
        return _debian(base, python, platform, sources, now, pins, emit)
    from modelcrate.resolve.existing_base import resolve_existing

    connections, folder = sources.connections, sources.folder
    below = resolve_existing(
        base, platform, python, folder, connections, pins, emit, received, python_needed=python_needed
    )
    return below, ()


def _base_python(below: ResolvedBase) -> BasePython | None:
    """Returns what a lock keeps of a base in a registry; layers on this machine are scanned again."""
    if not below.reference or not below.interpreter:
        return None
    return BasePython(below.interpreter, below.python, below.glibc, below.musl, below.lacking)


def _debian(
    base: DebianBase,
    python: str | None,
    platform: Platform,
    sources: Sources,
    now: datetime,
    pins: Pins | None,
    emit: Emit,
) -> tuple[ResolvedBase, tuple[PinnedDeb, ...]]:
    release = release_of(base.release, python)
    if notice := release.notice(now.date()):
        emit(Notice(notice))
    debs = pins.debs if pins is not None else _pin_debs(base, release.codename, python, platform, sources, now, emit)
    layer = DebianLayer(release.codename, release.python, debs_in(debs, sources.cache), release.distribution)
    config = {"config": {"Env": [f"{name}={value}" for name, value in debian_environment().items()]}}
    interpreter = str(base.interpreter or f"/usr/bin/python{release.python}")
    below = ResolvedBase(str(base), config, (), (layer,), interpreter, release.python, release.glibc)
    if sources.project.bytecode:
        from modelcrate.resolve.bytecode import with_compiler

        below = with_compiler(below, layer, release)
    return below, debs


def _pin_debs(
    base: DebianBase,
    release: str,
    python: str | None,
    platform: Platform,
    sources: Sources,
    now: datetime,
    emit: Emit,
) -> tuple[PinnedDeb, ...]:
    from modelcrate.resolve.debian import DebianWanted, resolve_debian

    wanted = DebianWanted(release, platform.architecture, base.packages, python or "", base.shell)
    return resolve_debian(wanted, sources.mirrors, sources.connections.downloader, sources.cache, now, emit)


def _target(project: Project, platform: Platform, below: ResolvedBase, own: str) -> Target | None:
    """Returns what wheels are for; None where the image has no Python packages. `own` is the Python that conda packages bring, if any."""
    if project.entry is None and not _wanted(project.dependencies):
        return None
    if own:
        _check_server_runs(project, "the conda environment", own, "take a newer Python: python: '3.12'")
        return Target(own, platform.architecture, below.glibc, below.musl)
    if below.interpreter and not below.python:
        raise UserError(
            f"the version of {below.interpreter} in the base {below.name} is not known",
            hint="say it, and wheels are chosen for it: python: '3.11'",
        )
    if not below.interpreter:
        raise UserError(
            f"no Python was found in the base {below.name}",
            hint="name it: base: {from: ..., interpreter: /usr/bin/python3.11}, or take a base with Python in it",
        )
    _check_library(project, below)
    way = "take a base with a newer Python, or name another one of it: base: {from: ..., interpreter: /usr/bin/python3.11}"
    _check_server_runs(project, f"the base {below.name}", below.python, f"its Python is {below.interpreter}; {way}")
    return Target(below.python, platform.architecture, below.glibc, below.musl)


def _check_library(project: Project, below: ResolvedBase) -> None:
    """Refuses a base whose Python has not all of its library that the server of the image needs."""
    if not below.lacking or project.entry is None or project.server != "modelcrate":
        return
    if needed := sorted(below.lacking & server_imports()):
        raise UserError(
            f"the Python of the base {below.name} lacks {', '.join(needed)}, which the server of the image needs",
            why=f"the library of {below.interpreter} is not whole: a layer takes these modules away, or none brings them",
            hint="take a base with the whole library (of Debian's packages python3, and not python3-minimal alone)",
        )


def _check_server_runs(project: Project, what: str, python: str, hint: str) -> None:
    """Refuses a Python that the server of the image does not run on."""
    if project.entry is not None and project.server == "modelcrate" and re.fullmatch(r"2\..*|3\.[0-8]", python):
        raise UserError(f"{what} has Python {python}, and the server of the image needs 3.9 or newer", hint=hint)


def _wanted(needs: Dependencies) -> bool:
    return bool(needs.requirements) or needs.pylock is not None or needs.conda is not None or needs.project


def server_requirements(project: Project) -> tuple[str, ...]:
    """Returns what the image needs besides the project's own requirements: its server, and pip where it has a shell."""
    if project.entry is None:
        return ()
    shell = isinstance(project.base, DebianBase) and project.base.shell
    protocols = contract_packages(project.contracts) if project.server == "modelcrate" else ()
    return (*SERVERS[project.server], *protocols, *(SHELL_NEEDS if shell else ()))


def _lock_conda(sources: Sources, platform: Platform, below: ResolvedBase) -> Solved:
    conda = sources.project.dependencies.conda
    if conda is None:
        return Solved()
    if below.musl is not None:
        raise UserError(
            f"conda's packages need glibc, and the base {below.name} has musl",
            hint="take a base with glibc: debian, ubuntu, and most others but alpine",
        )
    from modelcrate.resolve.conda import SUBDIRS, lock_conda

    if sources.declared.solved:
        found = sources.declared.solved.get(SUBDIRS.get(str(platform), ""))
        if found is None or not found.pinned:
            raise UserError(
                f"the lock has no packages for {platform}",
                where=str(sources.project.dependencies.requirements),
                hint="make it anew: modelcrate lock",
            )
        return found
    return lock_conda(
        conda, sources.project.python, platform, below.glibc, sources.channels, sources.connections.downloader
    )


def _index_notices(index: Index) -> tuple[str, ...]:
    """Reports where wheels come from, where something outside of the project decides it."""
    from modelcrate.resolve.index_settings import hosts

    if not set(filter(None, index.source.split(", "))) - {"the project file", "the requirements file"}:
        return ()
    return (f"packages come from {', '.join(hosts(index))}, by {index.source}",)


def _notify(emit: Emit, notices: Iterable[str]) -> None:
    for notice in notices:
        emit(Notice(notice))


def _lock_wheels(sources: Sources, target: Target | None, there: Mapping[str, str]) -> tuple[PinnedWheel, ...]:
    """Returns the pinned wheels. `there` are the Python packages that conda brings: they stay, at their versions."""
    if target is None:
        return ()
    from modelcrate.resolve.other_python import locked_for
    from modelcrate.resolve.wheels import lock_wheels, with_sizes

    wanted = sources.declared.requirements
    server = server_requirements(sources.project)
    index = sources.index
    _check_wheelhouse(index, server, wanted)
    own = sources.own_wheel
    lines = (*wanted.lines, *server, *((f"{own.name}=={own.version}",) if own is not None else ()))
    wanted = replace(wanted, lines=lines)
    pinned = locked_for(target, lambda each: lock_wheels(wanted, each, index, sources.uv, there), sources.project)
    if own is not None:  # an index may have a file of the same name
        pinned = tuple(own if each.name == own.name else each for each in pinned)
    return with_sizes(pinned, sources.connections.downloader)


def _check_wheelhouse(index: Index, server: Sequence[str], wanted: Requirements) -> None:
    """Refuses folders of wheels that stand alone and lack what the image's server needs. A lock may have it, or name its place."""
    houses = [index.wheelhouse] if index.wheelhouse is not None else list(map(Path, index.find_links))
    alone = index.no_index or index.stands_alone
    if not (alone and houses and all(house.is_dir() for house in houses)) or wanted.pylock or wanted.uv_lock:
        return
    names = {path.name.split("-")[0].lower().replace("_", "-") for house in houses for path in house.glob("*.whl")}
    lacking = [each for each in server if each not in names]
    if lacking:
        raise UserError(
            f"the wheelhouse has no {', '.join(lacking)}, which the server of the image needs",
            where=str(houses[0]),
            why="--no-index stands in the requirements, so nothing else is searched"
            if index.no_index
            else "a wheelhouse is searched alone where no index-url stands beside it",
            hint=f"pip download --only-binary :all: -d {houses[0].name} {' '.join(lacking)}; or name "
            + ("an index in place of --no-index" if index.no_index else "index-url in dependencies, too"),
        )
