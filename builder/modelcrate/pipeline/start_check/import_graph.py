"""What a script imports, and what the project's own modules import that it reaches. They are parsed, and never imported or run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from modelcrate.pipeline.detection.entry_candidates import MAX_TEXT, read_some
from modelcrate.pipeline.start_check.code_findings import CodeFault, File, Finding, Import, Loaded, PathChange
from modelcrate.pipeline.start_check.python_syntax import parse_for
from modelcrate.pipeline.start_check.running_code import findings_in
from modelcrate.pipeline.start_check.script_names import normal
from modelcrate.project.contracts import APP_ROOT
from modelcrate_layers.frozen import dataclass, replace

MAX_MODULES = 5_000
"""Modules of a project that are followed."""


@dataclass(frozen=True, slots=True)
class Start:
    """What of a project is started, by its place in the image.

    `main`: it is a program, and not a module that a server imports. `calls` are the functions in it that a server calls.
    """

    place: str
    main: bool = False
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """What the started code and all of the project that it reaches do.

    Attributes:
        imports: The imports of modules that are not the project's own.
        faults: What the Python of the image can't do.
        loaded: The files that are loaded in any case.
        unknown: Where folders that are not known are added to `sys.path`.
        possible: The same of what may be names in modules.
    """

    imports: tuple[Import, ...]
    faults: tuple[CodeFault, ...]
    loaded: tuple[Loaded, ...]
    unknown: tuple[str, ...]
    possible: tuple[Import, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """The project's own code as it lies in the image.

    Attributes:
        files: The files, by their places there, each with where it is now.
        roots: The folders there from which modules are imported; empty for the top.
        project: The project's folder; messages name files from there on.
    """

    files: Mapping[str, Path]
    roots: tuple[str, ...]
    project: Path
    _modules: frozenset[str]
    """The places of all modules and packages, without endings. A folder without `__init__.py` is a package, too (PEP 420)."""

    @classmethod
    def of(cls, files: Mapping[str, Path], roots: Sequence[str], project: Path) -> Sources:
        """Returns the sources with these files of a project, which are imported from these folders."""
        paths = (PurePosixPath(name) for name in files if name.endswith((".py", ".so")))
        code = [path for path in paths if not path.name.startswith(".")]  # no module's name; macOS writes ._score.py
        places = {str(folder) for file in code for folder in file.parents}
        return cls(
            files,
            tuple(roots),
            project,
            frozenset(places | {str(file.with_name(file.name.partition(".")[0])) for file in code}),
        )

    def shown(self, place: str) -> str:
        """Returns what a file is called in messages: its path in the project, or its place in the image."""
        file = self.files[place]
        return str(file.relative_to(self.project)) if file.is_relative_to(self.project) else place

    def imported(self, module: str) -> list[tuple[str, str]] | None:
        """Returns the files that importing a module of the project runs, each with the package that it is in.

        Returns None for a module that is not the project's.
        """
        parts = module.split(".")
        top = next(
            (PurePosixPath(root) for root in self.roots if str(PurePosixPath(root, parts[0])) in self._modules), None
        )
        places = [top.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)] if top is not None else []
        if not all(str(place) in self._modules for place in places) or not places:
            return None
        out = []
        for count, place in enumerate(places, 1):
            if str(place / "__init__.py") in self.files:
                out.append((str(place / "__init__.py"), ".".join(parts[:count])))
            elif f"{place}.py" in self.files:
                out.append((f"{place}.py", ".".join(parts[: count - 1])))
        return out


def reach(starts: Sequence[Start], sources: Sources, python: str, modules: Sequence[str] = ()) -> Reached:
    """Follows what is started through all of the project's own code that it imports.

    Args:
        starts: The scripts that are started.
        sources: The project's own code.
        python: The Python of the image, such as 3.11, which decides what conditions on its version mean.
        modules: More modules that are imported in the image: those that pickles name.
    """
    while True:
        reached, changes = _followed(starts, sources, int(python.partition(".")[2]), modules)
        added = [_root(each.folder) for each in changes if each.folder is not None]
        roots = tuple(dict.fromkeys((*sources.roots, *(each for each in added if each is not None))))
        if roots == sources.roots:
            return reached
        sources = replace(sources, roots=roots)


def _root(folder: PurePosixPath) -> str | None:
    """Returns a folder of the image as a place among the sources; None for one that is elsewhere."""
    place = normal(PurePosixPath(APP_ROOT, folder))
    if not place.is_relative_to(APP_ROOT):
        return None
    return "" if place == PurePosixPath(APP_ROOT) else str(place.relative_to(APP_ROOT))


def _followed(
    starts: Sequence[Start], sources: Sources, minor: int, modules: Sequence[str]
) -> tuple[Reached, list[PathChange]]:
    begun = {each.place: each for each in starts}
    sure = [*((place, "") for place in begun), *(each for name in modules for each in sources.imported(name) or ())]
    perhaps: list[
        tuple[str, str]
    ] = []  # what is reached on a condition only: all that it does is on that condition, too
    visited = set[str]()
    imports: dict[tuple[str, str], Import] = {}
    possible: dict[tuple[str, str], Import] = {}
    faults: dict[tuple[str, str], CodeFault] = {}
    loaded: list[Loaded] = []
    changes: list[PathChange] = []
    while (sure or perhaps) and len(visited) < MAX_MODULES:
        always = bool(sure)
        place, package = (sure or perhaps).pop()
        if place in visited:
            continue
        visited.add(place)
        for found in _findings(sources, place, package, minor, begun.get(place, Start(place))):
            match found:
                case Import():
                    local = None if found.relative else sources.imported(found.module)
                    key = found.module, found.where
                    kept = possible if found.possible else imports
                    if local is None and not (key in kept and kept[key].always):
                        kept[key] = replace(found, always=always and found.always, needed=always and found.needed)
                    (sure if always and found.always else perhaps).extend(local or ())
                case CodeFault():
                    key = found.text, found.where
                    if not (key in faults and faults[key].always):
                        faults[key] = replace(found, always=always and found.always)
                case Loaded():
                    loaded += [found] if always else []
                case PathChange():
                    changes.append(found)
    unknown = tuple(each.where for each in changes if each.folder is None)
    reached = Reached(
        tuple(imports.values()), tuple(faults.values()), tuple(dict.fromkeys(loaded)), unknown, tuple(possible.values())
    )
    return reached, changes


def _findings(sources: Sources, place: str, package: str, minor: int, start: Start) -> Iterator[Finding]:
    shown, data = sources.shown(place), read_some(sources.files[place], MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        return  # a table in Python's words
    parsed = parse_for(data, minor)
    if (fault := parsed.fault) is not None:
        hint = "correct it; or, for a newer syntax, name a newer python in modelcrate.yaml"
        yield CodeFault(fault.text, f"{shown}:{fault.line}", fault.certain, hint)
    if parsed.tree is not None:
        path = PurePosixPath(APP_ROOT, place)
        yield from findings_in(File(parsed.tree, shown, path, package, minor, start.main, start.calls))
