"""The check of imports: every module that the entry script, the project's own modules and the pickles import must be in the image.

An image has the standard library of its Python, the packages of its lock, the project's sources, and what its server brings.
The check runs before a package is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.modelfiles.framework_reading import ModelDescription, PickleNames
from modelcrate.pipeline.compose import import_roots
from modelcrate.pipeline.entry_candidates import MAX_TEXT, read_some
from modelcrate.pipeline.import_graph import Import, Sources, imports_of
from modelcrate.pipeline.model_versions import judge
from modelcrate.project.conda import as_requirement
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import Entry, Gate, Project
from modelcrate.resolve.import_names import GONE, normalised, prefixes, proposal, provides, standard_library
from modelcrate.resolve.world import Resolved
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.named_file import MAX_NAMED, read_named_file
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import show
from modelcrate_server.compat_imports import STAND_INS

_OF_PICKLES = frozenset({"__main__", "__builtin__", "copy_reg", "__torch__", "?"})
"""Modules that pickles name and that are no packages: the program's own, and names of Python 2 that are translated."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What an image has, for one platform."""

    standard: frozenset[str]
    distributions: Mapping[str, Path | None]
    sources: Sources
    server: frozenset[str]
    gone: frozenset[str]
    """Modules that packages of the image no longer have."""

    def has(self, module: str) -> bool:
        """Returns whether a module can be imported."""
        top = module.partition(".")[0]
        return top not in self.gone and (
            top in self.standard
            or not self.server.isdisjoint(prefixes(module))
            or self.sources.imported(module) is not None
            or provides(module, self.distributions)
        )


def held_imports(
    project: Project,
    folder: Path,
    entry: EntryLayer,
    models: Sequence[ModelDescription],
    resolved: Resolved,
    cache: Path,
    generated: bool,
    gate: Gate,
) -> tuple[str, ...]:
    """Checks that the image has all modules that are imported; returns what is only a notice.

    Args:
        project: The project.
        folder: The folder of the project.
        entry: The layer of the entry script.
        models: The descriptions of the models.
        resolved: The base and the packages of the image.
        cache: The cache, with the wheels that have been fetched.
        generated: Whether the script is one of ours, which does without what it imports on condition.
        gate: What a module that the image lacks leads to.

    Raises:
        UserError: The image lacks modules that are always imported; it names all of them.
    """
    assert resolved.target is not None, "the caller has seen to it"
    known = _known(project, folder, entry, resolved, cache)
    pickles = [each for model in models for each in model.pickles]
    named = [module for each in pickles for module in each.modules]
    found = imports_of(entry.script, known.sources, resolved.target.minor, named)
    assert project.entry is not None, "its layer is there"
    near = _Near(folder, project.entry, project.name)
    faults = [*_script_faults(found, known, resolved.target.minor, near), *_pickle_faults(pickles, known, near)]
    return (*(() if generated else _optional(found, known)), *judge(gate, faults))


def _known(project: Project, folder: Path, entry: EntryLayer, resolved: Resolved, cache: Path) -> _Known:
    assert project.entry is not None, "its layer is there"
    assert resolved.target is not None, "the caller has seen to it"
    top = len(ROOT) + 1
    places = {
        show(each.path[top:]): Path(each.source.path)
        for each in entry.sources.entries
        if isinstance(each.source, FileRange)
    }
    distributions: dict[str, Path | None] = {each.name: each.place(cache) for each in resolved.pins.wheels}
    for each in resolved.pins.conda:
        distributions |= dict.fromkeys((normalised(each.name), normalised(as_requirement(each.name))))
    return _Known(
        standard_library(resolved.target.minor),
        distributions,
        Sources.of(places, import_roots(project), folder),
        frozenset({*STAND_INS, "modelcrate_server", "__main__"}),
        frozenset(
            module
            for module, (package, version) in GONE.items()
            if any(each.name == package and _not_before(each.version, version) for each in resolved.pins.wheels)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Near:
    """Looks for modules in the project's folder that do not go into the image, or are not on Python's path there.

    Attributes:
        folder: The project's folder.
        entry: The entry script with its source folder.
        name: The project's name.
    """

    folder: Path
    entry: Entry
    name: str

    def place(self, module: str) -> Path | None:
        """Returns where a module is, relative to the project's folder; None where it is not found."""
        top, source = module.partition(".")[0], self.entry.source or Path()
        above = dict.fromkeys((self.entry.file.parent, Path(), Path("src"), source, source / "src"))
        places = (each / name for each in above for name in (top, f"{top}.py"))
        return next((each for each in places if (self.folder / each).exists()), None)

    def way_out(self, place: Path) -> str:
        """Returns what to write in the project file, so that a module at this place can be imported."""
        source, lines = self.entry.source, []
        if source is None and place.parent == self.entry.file.parent:
            return f"write entry: {{source: {place.parent}, script: {self.entry.file.name}}}"
        if source is None or not place.is_relative_to(source):
            source = Path()
            lines.append(f"entry: {{source: ., script: {self.entry.file}}}")
        holder = place.parent.relative_to(source)
        if holder != Path():
            lines.append(f"env: {{PYTHONPATH: {APP_ROOT}/{source.name or self.name}/{holder}}}")
        package = "; or, as a package, dependencies: {project: true}" if self._is_package() else ""
        return f"write {' and '.join(lines)}{package}"

    def _is_package(self) -> bool:
        with suppress(OSError):
            return b"[build-system]" in read_named_file(self.folder / "pyproject.toml", MAX_NAMED)
        return False


def _script_faults(found: Iterable[Import], known: _Known, python: str, near: _Near) -> Iterator[UserError]:
    seen: set[str] = set()
    for each in found:
        if not each.always:
            continue
        if each.fault:
            yield UserError(
                each.fault,
                where=each.where,
                hint="correct it; or, for a newer syntax, name a newer python in modelcrate.yaml",
            )
        elif each.relative:
            yield UserError(
                f"the import of {each.module!r} is relative, and its script is in no package",
                where=each.where,
                hint=f"write it without the dots: import {each.module.lstrip('.') or 'NAME'}",
            )
        elif not known.has(each.module) and each.module.partition(".")[0] not in seen:
            seen.add(each.module.partition(".")[0])
            yield _missing(each.module, each.where, python, known, near)


def _missing(module: str, where: str, python: str, known: _Known, near: _Near) -> UserError:
    top = module.partition(".")[0]
    minor = int(python.partition(".")[2])
    nearest = sorted(range(9, 15), key=lambda number: abs(number - minor))
    gone = next((number for number in nearest if top in standard_library(f"3.{number}")), None)
    if gone is not None:
        return UserError(
            f"imports {module}, which the standard library of Python {python} does not have",
            where=where,
            hint=f"Python 3.{gone} has it: set python in modelcrate.yaml, or take another module",
        )
    if known.sources.imported(top) is not None:
        return UserError(
            f"imports {module}, and {top} in the image has no such module",
            where=where,
            why=f"{top} is the project's own",
            hint="correct the import, or add the file; if it is made while the script runs: gates: {imports: warn}",
        )
    if (place := near.place(module)) is not None:
        return UserError(
            f"imports {module}, which is at {place} and can't be imported in the image",
            where=where,
            hint=near.way_out(place),
        )
    return UserError(
        f"imports {module}, and nothing in the image has it",
        where=where,
        why="it is not in the standard library, in the packages of the lock, or in the files that go into the image",
        hint=f"add {proposal(module)} to the dependencies; if a package of yours has it under another name: gates: {{imports: warn}}",
    )


def _not_before(version: str, bound: str) -> bool:
    from packaging.version import Version

    return Version(version) >= Version(bound)


def _program_faults(pickles: Sequence[PickleNames], sources: Sources) -> Iterator[UserError]:
    """Yields an error for each pickle with classes of the program that made it, unless code of the project is about such names."""
    found = [(each.where, [name for name in each.names if name.startswith("__main__.")]) for each in pickles]
    if not any(names for _, names in found) or any(map(_is_about_main, sources.files.values())):
        return
    for where, names in found:
        if names:
            yield UserError(
                f"the model names {', '.join(names[:5])}, which only the program has that made it",
                where=where,
                why="__main__ is the server in the image, and loading the pickle looks there",
                hint="put the class into a module of its own beside the entry script, import it from there where the model is made, "
                "and save the model anew; or set it before loading: import __main__; __main__.NAME = NAME",
            )


def _is_about_main(file: Path) -> bool:
    """Returns whether a Python file sets names of `__main__`, or finds the classes of pickles itself."""
    if file.suffix != ".py":
        return False
    text = read_some(file, MAX_TEXT).decode("utf-8", "replace")
    return re.search(r"__main__|find_class", re.sub(r"__name__\s*==\s*(['\"])__main__\1", "", text)) is not None


def _pickle_faults(pickles: Sequence[PickleNames], known: _Known, near: _Near) -> Iterator[UserError]:
    yield from _program_faults(pickles, known.sources)
    for pickle in pickles:
        versions = dict(pickle.versions)
        missing: dict[str, str] = {}
        for module in pickle.modules:
            if module.partition(".")[0] not in _OF_PICKLES and not known.has(module):
                missing.setdefault(module.partition(".")[0], module)
        for top, module in list(missing.items()):
            if (place := near.place(module)) is not None:
                del missing[top]
                yield UserError(
                    f"the model names {module}, which is at {place} and can't be imported in the image",
                    where=pickle.where,
                    why="loading the pickle imports it",
                    hint=near.way_out(place),
                )
        if missing:
            packages = [proposal(module) for module in missing.values()]
            lines = [f"{name}=={versions[name]}" if name in versions else name for name in dict.fromkeys(packages)]
            yield UserError(
                f"the model names {', '.join(missing)}, and nothing in the image has {'it' if len(missing) == 1 else 'them'}",
                where=pickle.where,
                why=f"loading the pickle imports {'it' if len(missing) == 1 else 'them'}",
                hint=f"add {', '.join(lines)} to the dependencies; a module of your own goes beside the entry script",
            )


def _optional(found: Iterable[Import], known: _Known) -> Iterator[str]:
    lacking: dict[str, str] = {}
    for each in found:
        if each.fault and not each.always:
            yield f"{each.where}: {each.fault}"
        elif not each.always and not each.relative and not known.has(each.module):
            lacking.setdefault(each.module.partition(".")[0], each.where)
    for module, where in lacking.items():
        yield f"{where}: imports {module} in a function, a try or an if, and nothing in the image has it; if it is needed, add {proposal(module)} to the dependencies"
