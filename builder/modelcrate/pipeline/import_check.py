"""The check of imports: every module that the entry script, the project's own modules and the pickles import must be in the image.

An image has the standard library of its Python, the packages of its lock, the project's sources, and what its server brings.
The check runs before a package is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from modelcrate.modelfiles.framework_reading import ModelDescription
from modelcrate.pipeline.compose import source_name
from modelcrate.pipeline.import_graph import Import, imports_of, local_files
from modelcrate.pipeline.model_versions import judge
from modelcrate.project.conda import as_requirement
from modelcrate.project.values import Gate, Project
from modelcrate.resolve.import_names import normalised, prefixes, proposal, provides, standard_library
from modelcrate.resolve.world import Resolved
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import ROOT
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
    files: Mapping[str, Path]
    roots: tuple[str, ...]
    server: frozenset[str]

    def has(self, module: str) -> bool:
        """Returns whether a module can be imported."""
        return (
            module.partition(".")[0] in self.standard
            or not self.server.isdisjoint(prefixes(module))
            or local_files(module, self.files, self.roots) is not None
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
    known = _known(project, entry, resolved, cache)
    found = imports_of(entry.script, known.files, known.roots)
    faults = [*_script_faults(found, known, resolved, folder), *_pickle_faults(models, known)]
    return (*(() if generated else _optional(found, known)), *judge(gate, faults))


def _known(project: Project, entry: EntryLayer, resolved: Resolved, cache: Path) -> _Known:
    assert project.entry is not None, "its layer is there"
    assert resolved.target is not None, "the caller has seen to it"
    top = len(ROOT) + 1
    places = {
        show(each.path[top:]): Path(each.source.path)
        for each in entry.sources.entries
        if isinstance(each.source, FileRange)
    }
    source = source_name(project, project.entry)
    distributions: dict[str, Path | None] = {each.name: each.place(cache) for each in resolved.pins.wheels}
    for each in resolved.pins.conda:
        distributions |= dict.fromkeys((normalised(each.name), normalised(as_requirement(each.name))))
    return _Known(
        standard_library(resolved.target.minor),
        distributions,
        places,
        (*([source] if source else []), ""),
        frozenset({*STAND_INS, "modelcrate_server"}),
    )


def _script_faults(found: Iterable[Import], known: _Known, resolved: Resolved, folder: Path) -> Iterator[UserError]:
    assert resolved.target is not None, "the caller has seen to it"
    seen: set[str] = set()
    for each in found:
        if each.relative:
            yield UserError(
                f"the import of {each.module!r} is relative, and its script is in no package",
                where=each.where,
                hint=f"write it without the dots: import {each.module.lstrip('.') or 'NAME'}",
            )
        elif each.always and not known.has(each.module) and each.module.partition(".")[0] not in seen:
            seen.add(each.module.partition(".")[0])
            yield _missing(each.module, each.where, resolved.target.minor, folder)


def _missing(module: str, where: str, python: str, folder: Path) -> UserError:
    top = module.partition(".")[0]
    gone = next((number for number in range(9, 15) if top in standard_library(f"3.{number}")), None)
    if gone is not None:
        return UserError(
            f"imports {module}, which the standard library of Python {python} does not have",
            where=where,
            hint=f"Python 3.{gone} has it: set python in modelcrate.yaml, or take another module",
        )
    places = (Path(above, name) for above in ("", "src") for name in (top, f"{top}.py"))
    if near := next((place for place in places if (folder / place).exists()), None):
        return UserError(
            f"imports {module}, which is at {near} and does not go into the image",
            where=where,
            hint="name a source folder that has it, for instance entry: {source: ., script: ...}; or, for a package with a "
            "pyproject.toml, dependencies: {project: true}",
        )
    return UserError(
        f"imports {module}, and nothing in the image has it",
        where=where,
        why="it is not in the standard library, in the packages of the lock, or in the files that go into the image",
        hint=f"add {proposal(module)} to the dependencies; if a package of yours has it under another name: gates: {{imports: warn}}",
    )


def _pickle_faults(models: Iterable[ModelDescription], known: _Known) -> Iterator[UserError]:
    for pickle in (each for model in models for each in model.pickles):
        versions = dict(pickle.versions)
        for module in dict.fromkeys(name.partition(".")[0] for name in pickle.modules):
            if module in _OF_PICKLES or known.has(module):
                continue
            package = proposal(module)
            version = f"=={versions[package]}" if package in versions else ""
            yield UserError(
                f"the model names {module}, and nothing in the image has it",
                where=pickle.where,
                why="loading the pickle imports it",
                hint=f"add {package}{version} to the dependencies, or put the module beside the entry script, if it is your own",
            )


def _optional(found: Iterable[Import], known: _Known) -> Iterator[str]:
    lacking: dict[str, str] = {}
    for each in found:
        if not each.always and not each.relative and not known.has(each.module):
            lacking.setdefault(each.module.partition(".")[0], each.where)
    for module, where in lacking.items():
        yield f"{where}: imports {module} in a function, a try or an if, and nothing in the image has it ({proposal(module)} would)"
