"""What can be found wrong with a project's files before anything is fetched or built: all of it at once.

That they are there, that the entry script can be one, and what the gates (`trust.gates`) say of pickles, model files and secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelcrate.project.values import Project
from modelcrate.trust import gates
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.serving.entry_check import check_entry

MAX_SCRIPT = 16 << 20


def check(project: Project, folder: Path, known: Path | None = None) -> tuple[str, ...]:
    """What is only to be told, as words; one error with all faults, where something is missing, wrong, or stopped at a gate.

    `known` is where the gates remember files that were good.
    """
    findings = gates.inspect(project, folder, known)
    faults = [*_missing(project, folder), *_entry(project, folder), *findings.refused]
    if faults:
        first, *rest = faults
        first.also = tuple(rest)
        raise first
    return findings.warned


def _missing(project: Project, folder: Path) -> Iterator[CrateError]:
    for model in project.models:
        if not (folder / model.path).exists():
            yield SourceError(f"the model {model.name} is not there", where=str(folder / model.path))
    needs = project.dependencies
    wanted = [path for path in (needs.requirements, needs.pylock, needs.wheelhouse) if isinstance(path, Path)]
    for path in wanted:
        if not (folder / path).exists():
            yield SourceError("is named in the project, and is not there", where=str(folder / path))


def _entry(project: Project, folder: Path) -> Iterator[CrateError]:
    if project.entry is None:
        return
    path = folder / project.entry.file
    try:
        with open(path, "rb") as script:
            source = script.read(MAX_SCRIPT)
    except OSError as fault:
        yield SourceError(f"the entry script can't be read: {fault.strerror}", where=str(path))
        return
    yield from check_entry(source, str(project.entry.file))
