"""What an image starts, as far as it is Python code of the project: the entry script with its functions, or what a command starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modelcrate.pipeline.compose import Files, command_folder
from modelcrate.pipeline.start_check.command_code import SERVERS, StartedCode, started_code
from modelcrate.pipeline.start_check.import_graph import Sources, Start
from modelcrate.pipeline.start_check.known_modules import KnownModules
from modelcrate.pipeline.start_check.script_names import normal
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import Command, DebianBase, Entry, Project, ScratchBase
from modelcrate.resolve.import_names import provides
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

_OF_PACKAGES = frozenset({"flask", "fastapi"})


@dataclass(frozen=True, slots=True)
class Started:
    """What is started.

    Attributes:
        starts: The scripts and modules, by their places in the image.
        entry: The script in the project's folder, with the folder that goes with it.
        folder: The folder of the image in which it starts.
        faults: What the image lacks of what it is to start.
        roots: Folders below the app's root from which the program imports besides those of PYTHONPATH.
    """

    starts: tuple[Start, ...]
    entry: Entry
    folder: str
    faults: tuple[UserError, ...] = ()
    roots: tuple[str, ...] = ()


def started(project: Project, folder: Path, files: Files, known: KnownModules) -> Started:
    """Returns what the image of a project starts.

    Args:
        project: The project, which has an entry script or a command.
        folder: The folder of the project.
        files: Its files, as listed.
        known: The modules of the image.
    """
    if project.command is None:
        assert project.entry is not None, "the caller has seen to it"
        assert files.entry is not None, "its layer is there"
        return Started((Start(files.entry.script, calls=("init", "run")),), project.entry, APP_ROOT)
    code = started_code(project.command.argv)
    entry = Entry(Path(code.script or "."), project.command.source)
    here = _folder(project, project.command)
    faults = [*_program_faults(project, code, known)]
    starts: list[Start] = []
    if project.command.source is not None and here.is_relative_to(APP_ROOT):
        starts += _starts(code, here, known.sources)
        if not starts:
            faults += _absent(code, here, known, project.command)
    place = _imports_from(code, here, known.sources)
    roots = (str(place.relative_to(APP_ROOT)),) if place.is_relative_to(APP_ROOT) else ()
    return Started(tuple(starts), entry, str(here), tuple(faults), roots)


def _imports_from(code: StartedCode, here: PurePosixPath, sources: Sources) -> PurePosixPath:
    """Returns the folder that a program puts onto Python's path: that of its script, or where it is told to look, or where it starts.

    Programs that import an app out of a script take the folder above its package.
    """
    if not code.script:
        return normal(here / code.folder)
    place = normal(here / code.script).parent
    while code.program in _OF_PACKAGES and place.is_relative_to(APP_ROOT) and place != PurePosixPath(APP_ROOT):
        if str(place.relative_to(APP_ROOT) / "__init__.py") not in sources.files:
            break
        place = place.parent
    return place


def _folder(project: Project, command: Command) -> PurePosixPath:
    """The folder in which a command starts: of the sources, or the one that is named."""
    top = PurePosixPath(APP_ROOT, command_folder(project)) if command.source is not None else PurePosixPath("/")
    return normal(top / command.workdir) if command.workdir is not None else top


def _starts(code: StartedCode, here: PurePosixPath, sources: Sources) -> Iterator[Start]:
    """Yields the files that a command line runs first."""
    if code.script:
        place = normal(here / code.script)
        if place.is_relative_to(APP_ROOT) and str(place.relative_to(APP_ROOT)) in sources.files:
            yield Start(str(place.relative_to(APP_ROOT)), main=code.program != "fastapi")
    elif code.module:
        root = normal(here / code.folder)
        added = (str(root.relative_to(APP_ROOT)),) if root.is_relative_to(APP_ROOT) else ()
        within = Sources.of(sources.files, (*added, *sources.roots), sources.project)
        found = within.imported(code.module) or []
        mains = within.imported(f"{code.module}.__main__") if code.main else None
        reached = mains or found
        for each, _ in reached:
            yield Start(each, main=code.main and each == reached[-1][0])


def _absent(code: StartedCode, here: PurePosixPath, known: KnownModules, command: Command) -> Iterator[UserError]:
    where = f"command: {' '.join(command.argv)[:100]}"
    if code.script and normal(here / code.script).is_relative_to(APP_ROOT):
        yield UserError(
            f"starts {code.script}, which is not below {here} in the image",
            where=where,
            hint=f"name it relative to that folder, which has the files of source: {command.source}",
        )
    elif code.module and not known.has(code.module):
        yield UserError(
            f"starts the module {code.module}, which nothing in the image has",
            where=where,
            hint="name it as it is imported from the folder of source:, or add its package to the dependencies",
        )


def _program_faults(project: Project, code: StartedCode, known: KnownModules) -> Iterator[UserError]:
    """Yields an error for a program that is a package's, where the packages do not have it. A foreign base may have anything."""
    package = SERVERS.get(code.program)
    if (
        package is None
        or not isinstance(project.base, DebianBase | ScratchBase)
        or known.distributions.keys() & {package}
    ):
        return
    module = package.replace("-", "_")
    if provides(module, known.distributions) and package not in ("ray",):
        return
    assert project.command is not None, "it has started this"
    yield UserError(
        f"starts {code.program}, which nothing in the image has",
        where=f"command: {' '.join(project.command.argv)[:100]}",
        hint=f"add {package} to the dependencies",
    )
