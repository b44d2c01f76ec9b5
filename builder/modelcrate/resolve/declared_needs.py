"""What a project's declared dependencies decide beside the packages: its Python, and whether conda's packages are conda's or wheels."""

from __future__ import annotations

from pathlib import Path

from modelcrate.project.values import DebianBase, Project
from modelcrate.resolve.debian.releases import DEFAULT_RELEASE, RELEASES, by_python
from modelcrate.resolve.declared import Declaration
from modelcrate.resolve.lock import Lock
from modelcrate.resolve.target import Target
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace


def without_conda(declared: Declaration, lock: Lock | None) -> Declaration:
    """Returns the declaration with wheels in place of conda's packages, where nothing can solve those, or where a lock has none."""
    if declared.wheels_instead is None:
        return declared
    from modelcrate.resolve.conda import solver_installed

    if any(pins.conda for pins in lock.pins.values()) if lock is not None else solver_installed():
        return declared
    lines, notices = declared.wheels_instead()
    wanted = replace(declared.requirements, lines=(*lines, *declared.requirements.lines))
    return replace(declared, requirements=wanted, conda=None, notices=(*declared.notices, *notices))


def with_declared(project: Project, declared: Declaration) -> tuple[Project, tuple[str, ...]]:
    """Returns the project with the Python and the conda packages that its dependencies declare, and the notices about it."""
    project = replace(project, dependencies=replace(project.dependencies, conda=declared.conda))
    if project.python or not declared.requires_python or declared.conda is not None:
        return project, ()
    if not isinstance(project.base, DebianBase) or project.base.release:
        return project, ()
    default = RELEASES[DEFAULT_RELEASE].python
    if allows_python(declared.requires_python, default):
        return project, ()
    found = next(
        (each.python for each in RELEASES.values() if allows_python(declared.requires_python, each.python)), None
    )
    if found is None:
        have = [each.python for each in by_python()]
        newer = any(allows_python(declared.requires_python, f"3.{minor}") for minor in range(9, 100))
        raise UserError(
            f"the dependencies need Python {declared.requires_python}, and a base of modelcrate's own has {', '.join(have)}",
            where=str(project.dependencies.pylock or project.dependencies.requirements),
            hint="name a base that has it: base: IMAGE"
            if newer or project.command is not None  # whose image has no server of ours
            else f"let them take Python {have[0]} or newer: the server of an image does not run on an older one",
        )
    return replace(project, python=found), (f"Python {found}: the dependencies need {declared.requires_python}",)


def check_python(declared: Declaration, target: Target, project: Project) -> None:
    """Refuses a Python that the dependencies exclude."""
    if declared.requires_python and not allows_python(declared.requires_python, target.minor):
        needs = project.dependencies
        raise UserError(
            f"the dependencies need Python {declared.requires_python}, and the image has {target.minor}",
            where=str(needs.pylock or needs.requirements)
            if needs.pylock or isinstance(needs.requirements, Path)
            else "",
            hint="change python or base in modelcrate.yaml, or lock the dependencies for this Python",
        )


def allows_python(specifier: str, minor: str) -> bool:
    """Returns whether a specifier (PEP 440) allows some release of a Python, given by two numbers. An unreadable one does."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        return True
    return any(allowed.contains(f"{minor}.{patch}") for patch in (0, 5, 12, 99))
