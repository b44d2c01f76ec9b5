"""The check of imports: every module that the started code, the project's own modules and the pickles import must be in the image.

An image has the standard library of its Python, the packages of its lock, the project's sources, and what its server brings.
The check runs before a package is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from modelcrate.modelfiles.framework_reading import ModelDescription
from modelcrate.pipeline.compose import Files
from modelcrate.pipeline.model_versions import judge
from modelcrate.pipeline.start_check.code_findings import Import
from modelcrate.pipeline.start_check.import_graph import Reached, reach
from modelcrate.pipeline.start_check.known_modules import KnownModules
from modelcrate.pipeline.start_check.loaded_files import lacking_files
from modelcrate.pipeline.start_check.near_modules import NearModules
from modelcrate.pipeline.start_check.pickle_imports import pickle_faults
from modelcrate.pipeline.start_check.started import started
from modelcrate.project.values import Gate, Project
from modelcrate.resolve.import_names import prefixes, proposal
from modelcrate.resolve.standard_library import NEWEST, OLDEST, standard_library
from modelcrate.resolve.world import Resolved
from modelcrate_layers.errors import UserError


def held_imports(
    project: Project,
    folder: Path,
    files: Files,
    models: Sequence[ModelDescription],
    resolved: Resolved,
    python: str,
    cache: Path,
    generated: bool,
    gate: Gate,
) -> tuple[str, ...]:
    """Checks that the image has all that its code imports and loads when it starts; returns what is only a notice.

    Args:
        project: The project.
        folder: The folder of the project.
        files: The files of the project, as listed.
        models: The descriptions of the models.
        resolved: The base and the packages of the image.
        python: Its Python, such as 3.11.
        cache: The cache, with the wheels that have been fetched.
        generated: Whether the script is one of ours, which does without what it imports on condition.
        gate: What a module that the image lacks leads to.

    Raises:
        UserError: The image lacks modules that are always imported; it names all of them.
    """
    known = KnownModules.of(project, folder, files.entry, resolved, python, cache)
    code = started(project, folder, files, known)
    known = known.importing_from(code.roots)
    pickles = [each for model in models for each in model.pickles] if project.command is None else []
    named = [module for each in pickles for module in each.modules]
    found = reach(code.starts, known.sources, python, named)
    near = NearModules(folder, code.entry, project.name)
    faults = [
        *code.faults,
        *_script_faults(found, known, python, near),
        *(() if generated else lacking_files(found.loaded, project, folder, files, near, PurePosixPath(code.folder))),
        *pickle_faults(pickles, known, near),
    ]
    notices = () if generated else tuple(_optional(found, known))
    if found.unknown and gate == "refuse":
        changed = f"{found.unknown[0]} changes sys.path to what is not known here, so that it may be found all the same"
        return (*notices, *(f"{text}; {changed}" for text in judge("warn", faults)))
    return (*notices, *judge(gate, faults))


def _script_faults(found: Reached, known: KnownModules, python: str, near: NearModules) -> Iterator[UserError]:
    for fault in found.faults:
        if fault.always and not (fault.unless and known.has(fault.unless)):
            yield UserError(fault.text, where=fault.where, hint=fault.hint)
    seen: set[str] = set()
    for each in _imports(found, known):
        if each.needed and not each.always and not known.has(each.module) and not all(map(known.has, each.instead)):
            yield UserError(
                f"imports {each.module}, else {', '.join(each.instead)}, and nothing in the image has either",
                where=each.where,
                hint=f"add {proposal(each.module)} or {proposal(each.instead[0])} to the dependencies",
            )
        if not each.always:
            continue
        if each.relative:
            yield UserError(
                f"the import of {each.module!r} is relative, and its script is in no package",
                where=each.where,
                hint=f"write it without the dots: import {each.module.lstrip('.') or 'NAME'}",
            )
        elif not known.has(each.module) and each.module.partition(".")[0] not in seen:
            seen.add(each.module.partition(".")[0])
            yield _missing(each, python, known, near)


def _imports(found: Reached, known: KnownModules) -> Iterator[Import]:
    """Yields the modules that are imported, with what is imported from a namespace, which has nothing but modules."""
    yield from found.imports
    yield from (each for each in found.possible if known.is_part_of_namespace(each.module))


def _missing(found: Import, python: str, known: KnownModules, near: NearModules) -> UserError:
    module, where, top = found.module, found.where, found.module.partition(".")[0]
    minor = int(python.partition(".")[2])
    nearest = sorted(range(OLDEST, NEWEST + 1), key=lambda number: abs(number - minor))
    apart = next((name for name in prefixes(module) if name in known.apart and top in known.standard), None)
    if apart is not None:
        package = known.apart[apart]
        return UserError(
            f"imports {module}, which the library of the base's Python lacks",
            where=where,
            why="Debian packages it apart" if package else "",
            hint=f"write base: {{from: debian, packages: [{package}]}}"
            if package
            else "do without it, or take a base whose Python has its whole library",
        )
    gone = next((number for number in nearest if top in standard_library(f"3.{number}")), None)
    if gone is not None:
        return UserError(
            f"imports {module}, which the standard library of Python {python} does not have",
            where=where,
            hint=f'Python 3.{gone} has it: write python: "3.{gone}" into modelcrate.yaml, or take another module',
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


def _optional(found: Reached, known: KnownModules) -> Iterator[str]:
    yield from (f"{each.where}: {each.text}" for each in found.faults if not each.always)
    lacking: dict[str, str] = {}
    for each in _imports(found, known):
        otherwise = bool(each.instead) and all(map(known.has, each.instead))
        if not each.always and not each.relative and not otherwise and not known.has(each.module):
            lacking.setdefault(each.module.partition(".")[0], each.where)
    for module, where in lacking.items():
        yield f"{where}: imports {module} in a function, a try or an if, and nothing in the image has it; if it is needed, add {proposal(module)} to the dependencies"
