"""The file of a folder that declares its dependencies, among all that could: which one is taken, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelcrate.pipeline.detection.detect_files import Finding
from modelcrate.pipeline.detection.entry_candidates import read_some
from modelcrate.project.foreign_yaml import MAX_BYTES, load_yaml
from modelcrate.project.values import FILE_NAME, Dependencies, Entry, is_pylock
from modelcrate.resolve.declared import format_of
from modelcrate.resolve.declared.pyproject import declares
from modelcrate.resolve.declared.toml_files import read_toml
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

_ORDER = (
    ("pylock.toml", "a lock pins everything"),
    ("uv.lock", "a lock pins everything"),
    ("poetry.lock", "a lock pins everything"),
    ("pdm.lock", "a lock pins everything"),
    ("pixi.lock", "a lock pins everything"),
    ("Pipfile.lock", "a lock pins everything"),
    ("requirements.txt", "it names what is to be installed"),
    ("pyproject.toml", "it names what the project needs"),
    ("environment.yml", ""),
    ("environment.yaml", ""),
    ("conda.yml", ""),
    ("conda.yaml", ""),
    ("conda_env.yml", ""),
    ("conda_dependencies.yml", ""),
)
"""The files in the order in which they are preferred, and why one goes before those after it."""

_COMPANIONS = {
    "uv.lock": {"pyproject.toml"},
    "poetry.lock": {"pyproject.toml"},
    "pdm.lock": {"pyproject.toml"},
    "Pipfile.lock": {"Pipfile"},
    "pixi.lock": {"pixi.toml", "pyproject.toml"},
}
"""What each lock was made from, so that it is no second opinion."""

_LIKE_REQUIREMENTS = compile_later(r"(requirements|reqs|constraints)[-_.].*\.(txt|in)|requirements\.in|reqs\.txt")
_ASIDE = compile_later(r"docs?|dev|ci|examples?|notebooks?|train(ing)?|benchmarks?|tools|scripts", re.IGNORECASE)
"""Folders whose dependencies are not those of the image."""

_DEVELOPMENT = compile_later(r".*(dev|test|doc|lint|ci|constraint).*", re.IGNORECASE)


def find_dependencies(
    folder: Path, files: Sequence[Path], entry: Entry | None
) -> tuple[Dependencies, tuple[Finding, ...]]:
    """Returns the dependencies of a folder, declared at its top, else beside the entry script, else in the only other place that has some.

    Raises:
        UserError: There are several locks or environments of one kind, or only a file that is not read.
    """
    for place in dict.fromkeys((Path(), entry.file.parent if entry is not None else Path())):
        here = {path.name: path for path in files if path.parent == place}
        known = list(_declaring(folder, here))
        if known:
            needs, (finding,) = _taken(known, here)
            more = ", ".join(_in_other_folders(files, place))
            why = f"{finding.why}; not taken: {more}; name one in a {FILE_NAME}" if more else finding.why
            return needs, (replace(finding, why=why),)
        if refused := [path for name, path in here.items() if name in ("Pipfile", "pixi.toml", "conda-lock.yml")]:
            _refuse(refused[0], folder)
    without = "so the image has Python alone" if entry is not None else "so they come from the model"
    others = list(_elsewhere(folder, files))
    if len(others) == 1 and entry is not None:
        needs, (finding,) = _taken(*others[0])
        return needs, (replace(finding, why=f"{finding.why}; no other place in the project declares any"),)
    near = [str(known[0]) for known, _ in others]
    near += [
        str(path) for path in files if _LIKE_REQUIREMENTS.fullmatch(path.name) or path.name in ("setup.py", "setup.cfg")
    ]
    seen = f"; not taken: {', '.join(near[:5])}; name one in a {FILE_NAME}" if near else ""
    why = f"no lock, requirements.txt, pyproject.toml or environment.yml, {without}{seen}"
    return Dependencies(), (Finding("no dependencies", Path(), why),)


def _elsewhere(folder: Path, files: Sequence[Path]) -> Iterator[tuple[list[Path], dict[str, Path]]]:
    """Yields the files that declare dependencies below the top, by their folders; not those for development, and no packages of their own."""
    for place in sorted({path.parent for path in files} - {Path()}):
        if any(_ASIDE.fullmatch(part) for part in place.parts):
            continue
        here = {path.name: path for path in files if path.parent == place and path.name != "pyproject.toml"}
        if known := list(_declaring(folder, here)):
            yield known, here


def _in_other_folders(files: Sequence[Path], place: Path) -> list[str]:
    """Returns a few files that declare dependencies, by their names, of other folders: perhaps those of the image. A model's own are none."""
    names, models = dict(_ORDER).keys() - {"pyproject.toml"}, {path.parent for path in files if path.name == "MLmodel"}
    other = (path for path in files if path.name in names and path.parent not in {place, *models})
    return [str(path) for path in other if not any(_ASIDE.fullmatch(part) for part in path.parent.parts)][:3]


def _declaring(folder: Path, here: dict[str, Path]) -> Iterator[Path]:
    """Yields the files of one folder that declare dependencies, the preferred one first."""
    locks = [path for name, path in here.items() if is_pylock(name) and name != "pylock.toml"]
    if "pylock.toml" not in here:
        if len(locks) > 1:
            names = " and ".join(map(str, locks))
            raise UserError(f"{len(locks)} lock files: {names}", hint=f"name one in a {FILE_NAME}: dependencies: ...")
        yield from locks
    for name, _ in _ORDER:
        path = here.get(name)
        if path is None or (name == "pyproject.toml" and not _declares(folder / path)):
            continue
        yield path
    named = [path for name, path in here.items() if name in dict(_ORDER) and format_of(path)[0] == "environment"]
    environments = [] if named else [path for path in here.values() if _is_environment(folder / path)]
    if len(environments) > 1 and not any(name in here for name, _ in _ORDER):
        names = " and ".join(map(str, environments))
        raise UserError(
            f"{len(environments)} conda environments: {names}", hint=f"name one in a {FILE_NAME}: dependencies: ..."
        )
    yield from environments


def _is_environment(path: Path) -> bool:
    """Returns whether a file of any name is an environment of conda: a mapping with a list of dependencies."""
    if path.suffix not in (".yml", ".yaml") or path.name == FILE_NAME:
        return False
    try:
        told = load_yaml(read_some(path, MAX_BYTES + 1), str(path))
    except UserError:
        return False
    return isinstance(told, dict) and isinstance(told.get("dependencies"), list)


def _declares(path: Path) -> bool:
    try:
        return declares(read_toml(path))
    except UserError:
        return False


def _taken(known: Sequence[Path], here: dict[str, Path]) -> tuple[Dependencies, tuple[Finding, ...]]:
    first, *others = known
    others = [each for each in others if each.name not in _COMPANIONS.get(first.name, set())]
    why = format_of(first)[1]
    if others:
        reason = dict(_ORDER).get(first.name) or (
            "a lock pins everything" if is_pylock(first.name) else "it comes first"
        )
        why += f"; not read: {', '.join(map(str, others))}, because {reason}"
    apart = [
        str(path)
        for name, path in here.items()
        if _LIKE_REQUIREMENTS.fullmatch(name) and not _DEVELOPMENT.fullmatch(name) and first.name == "requirements.txt"
    ]
    if apart:
        why += f"; beside it, and read only where it includes them: {', '.join(apart)}"
    needs = Dependencies(pylock=first) if is_pylock(first.name) else Dependencies(first)
    return needs, (Finding("dependencies", first, why),)


def _refuse(path: Path, folder: Path) -> None:
    from modelcrate.resolve.declared.refused import read

    read(folder / path, Dependencies())
