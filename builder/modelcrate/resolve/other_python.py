"""Another Python for the image: what is told where that of the project has no wheel of a package."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from modelcrate.project.values import DebianBase, Project
from modelcrate.resolve.debian.releases import by_python
from modelcrate.resolve.target import NoWheelError, Target
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.frozen import replace

_Locked = TypeVar("_Locked")


def locked_for(target: Target, lock: Callable[[Target], _Locked], project: Project) -> _Locked:
    """Locks something for a target. Where a package has no wheel for it, the fault says with which other Python all have one.

    Args:
        target: The platform and Python of the image.
        lock: Locks for a target.
        project: The project, which may be free to take another Python.

    Raises:
        CrateError: It can't be locked.
    """
    try:
        return lock(target)
    except NoWheelError as fault:
        if _chooses_python(project):
            other = _other_python(target, lock)
            fault.hint = (
                f'Python {other} has wheels of all that is needed: write python: "{other}" into modelcrate.yaml\nor: {fault.hint}'
                if other
                else f"no other Python has wheels of all that is needed, either; {fault.hint}"
            )
        raise


def wheel_note(target: Target, look: Callable[[Target], object], project: Project) -> str:
    """Returns what is to be known of a requirement without a wheel for a target; nothing of one that has it, or where the index fails.

    Args:
        target: The platform and Python of the image.
        look: Raises a UserError where there is no wheel for a target, another CrateError where the index fails.
        project: The project, which may be free to take another Python.
    """
    try:
        look(target)
    except UserError:
        if not _chooses_python(project):
            return " (there is no wheel of it for the Python of this base)"
        if other := _other_python(target, look):
            return f' (there is no wheel of it for this Python: write python: "{other}", too)'
        return " (there is no wheel of it for any Python of modelcrate's own bases)"
    except CrateError:
        pass
    return ""


def _chooses_python(project: Project) -> bool:
    """Returns whether `python:` in the project file decides the Python of the image."""
    return isinstance(project.base, DebianBase) and not project.base.release and project.dependencies.conda is None


def _other_python(target: Target, lock: Callable[[Target], object]) -> str:
    """Returns the nearest Python of a base of ours with which something can be locked; empty for none."""

    def minor(python: str) -> int:
        return int(python.split(".")[1])

    for release in sorted(by_python(), key=lambda each: abs(minor(each.python) - minor(target.minor))):
        if release.python != target.minor:
            with suppress(CrateError):
                lock(replace(target, python=release.python, glibc=release.glibc))
                return release.python
    return ""
