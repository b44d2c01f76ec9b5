"""A project without a project file: what is in the folder, and why we take it for that.

Nothing found is imported, executed or unpickled: scripts are parsed, of models only the first bytes are read.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path

from modelcrate.modelfiles.kinds import HEAD_BYTES, LFS_POINTER, Recognised, Sample, recognise, recognise_folder
from modelcrate.pipeline.entry_candidates import MAX_TEXT, Script, almost_entry_scripts, read_script, read_some
from modelcrate.project.values import FILE_NAME, Dependencies, Entry, Model, Project, is_pylock, model_name
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass

MAX_FILES = 10_000
"""How many files a folder may have before we give up guessing."""

MAX_DEPTH = 6
"""How many folders down we look."""

PYTHONS = ("3.11", "3.13", "3.12", "3.10", "3.14", "3.9")
"""Which Python is taken where several are allowed: those of the Debian releases first."""

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "test", "tests", "build", "dist"})
_MAX_FOLDER_NAME = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was detected: what it is taken for, the path (relative to the folder), and the reason."""

    what: str
    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.path} ({self.why})"


def detect(folder: Path) -> tuple[Project, tuple[Finding, ...]]:
    """The project that this folder seems to be, and what each of its values was taken from.

    Raises UserError where there is no entry script or no telling which one, SourceError where the folder can't be read.
    """
    files = _listing(folder)
    bundles = _bundles(files)
    loose = [path for path in files if not any(bundle in path.parents for bundle in bundles)]
    python, python_found = _python(folder, files)
    entry, entry_found = _entry(folder, loose)
    whole = recognise_folder(frozenset(path.name for path in files if path.parent == Path())) if entry is None else None
    models, models_found = _whole(folder, whole) if whole is not None else _models(folder, loose, bundles)
    if entry is None and not models:
        raise _nothing(folder, loose)
    inside = whole is not None  # requirements.txt is then the model's own, and its framework reads it
    needs, needs_found = (Dependencies(), ()) if inside else _dependencies(files, entry)
    name = re.sub(r"[^a-z0-9]+", "-", Path(os.path.abspath(folder)).name.lower())[:_MAX_FOLDER_NAME].strip("-")
    project = Project(name or "model", entry, models, python=python, dependencies=needs)
    named = Finding(f"name {project.name}", Path(), "the folder's name" if name else "the folder has no name")
    return project, (named, *entry_found, *needs_found, *python_found, *models_found)


def refuse_inside_model(project: Project, folder: Path, what: str) -> None:
    """UserError where the folder is itself the project's model: what is written into it would be a part of that."""
    if any(model.path.is_absolute() for model in project.models if isinstance(model, Model)):
        hint = "put it into a folder of its own below this one, or build it as it is: modelcrate build FOLDER"
        raise UserError(
            f"the folder is itself a model, and a {what} in it would be a part of that", where=str(folder), hint=hint
        )


def _listing(folder: Path) -> list[Path]:
    """The regular files below a folder, sorted, without hidden and generated folders and virtual environments.

    Links that lead out of the folder are left out; links to folders are not followed.
    """
    if not folder.is_dir():
        raise SourceError("no such folder", where=str(folder))
    found: list[Path] = []
    inside = os.path.realpath(folder)
    for here, folders, names in os.walk(folder, onerror=_unreadable):
        place = Path(here).relative_to(folder)
        folders[:] = [] if len(place.parts) >= MAX_DEPTH else sorted(f for f in folders if _wanted(Path(here, f)))
        found += [place / name for name in names if _regular(Path(here, name), inside)]
        if len(found) > MAX_FILES:
            hint = f"write a {FILE_NAME} that names its entry script and models"
            raise UserError(f"more than {MAX_FILES} files; too many to guess from", where=str(folder), hint=hint)
    return sorted(found)


def _unreadable(fault: OSError) -> None:
    raise SourceError(f"can't read the folder: {fault.strerror}", where=str(fault.filename)) from None


def _wanted(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name.endswith(".egg-info")
    return not hidden and folder.name not in _SKIPPED and not (folder / "pyvenv.cfg").exists()


def _regular(path: Path, inside: str) -> bool:
    try:
        status = path.stat()
    except OSError:  # a link to nothing
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    return not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(inside)


def _entry(folder: Path, files: list[Path]) -> tuple[Entry | None, tuple[Finding, ...]]:
    """The entry script; none, where there is nothing that was meant to be one: then the model has to bring its own."""
    scripts = [read_script(folder, path) for path in files if path.suffix == ".py"]
    serving = sorted((script for script in scripts if script.serves), key=lambda script: (script.rank, script.path))
    if not serving:
        if near := list(almost_entry_scripts(scripts)):
            raise _no_entry(folder, near)
        return None, (Finding("no entry script", Path(), "no Python file defines init and run, so the model is asked"),)
    best = [script for script in serving if script.rank == serving[0].rank]
    if len(best) > 1:
        names = " and ".join(str(script.path) for script in best)
        hint = f"call one of them score.py, or name it in a {FILE_NAME}"
        raise UserError(f"{len(best)} entry scripts that are equally good: {names}", where=str(folder), hint=hint)
    entry, extent = _extent(serving[0], files)
    others = f"; preferred to {', '.join(str(s.path) for s in serving[1:4])}" if serving[1:] else ""
    return entry, (Finding("entry script", serving[0].path, f"it defines init and run{others}; {extent}"),)


def _no_entry(folder: Path, near: list[str]) -> UserError:
    return UserError(
        "no entry script: no Python file here defines both init() and run(data)",
        where=str(folder),
        why="\n".join(near),
        hint=f"write one, for instance score.py, or name it in a {FILE_NAME}",
    )


def _nothing(folder: Path, files: list[Path]) -> UserError:
    """Neither a script nor a model: what there is instead."""
    seen = ", ".join(map(str, files[:5])) or "no files"
    return _no_entry(folder, [f"and no model, which might do without one; found {seen}"])


def _extent(script: Script, files: list[Path]) -> tuple[Entry, str]:
    """What goes into the image with a script: its folder; or itself alone, at the top of a project, if it needs no neighbour."""
    folder = script.path.parent
    if folder != Path():
        return Entry(Path(script.path.name), folder), f"all of {folder} goes with it"
    beside = {path.parts[0].removesuffix(".py") for path in files if path.suffix == ".py"} - {script.path.stem}
    needed = sorted(script.imports & beside)
    if needed:
        return Entry(script.path, folder), f"the whole folder goes with it, because it imports {', '.join(needed)}"
    return Entry(script.path), "it goes alone"


def _dependencies(files: list[Path], entry: Entry | None) -> tuple[Dependencies, tuple[Finding, ...]]:
    """The lock or the requirements, at the top or else beside the entry script; a lock is preferred."""
    for folder in dict.fromkeys((Path(), entry.file.parent if entry is not None else Path())):
        here = [path for path in files if path.parent == folder]
        locks = [path for path in here if is_pylock(path.name)]
        plain = [path for path in locks if path.name == "pylock.toml"] or locks
        if len(plain) > 1:
            names = " and ".join(map(str, plain))
            raise UserError(f"{len(plain)} lock files: {names}", hint=f"name one in a {FILE_NAME}: dependencies: ...")
        if plain:
            return Dependencies(pylock=plain[0]), (Finding("dependencies", plain[0], "a lock file (PEP 751)"),)
        wanted = folder / "requirements.txt"
        if wanted in here:
            return Dependencies(wanted), (Finding("dependencies", wanted, "a requirements file"),)
    without = "so the image has Python alone" if entry is not None else "so they come from the model"
    why = f"no requirements.txt and no pylock.toml, {without}"
    return Dependencies(), (Finding("no dependencies", Path(), why),)


def _python(folder: Path, files: list[Path]) -> tuple[str | None, tuple[Finding, ...]]:
    pinned, project = Path(".python-version"), Path("pyproject.toml")
    if pinned in files:
        text = read_some(folder / pinned, HEAD_BYTES).decode("utf-8", "replace")
        if found := re.match(r"\s*(3\.[0-9]{1,2})(\.|\s|$)", text):
            return found[1], (Finding(f"python {found[1]}", pinned, "the version it names"),)
    if project in files and (wanted := _requires_python(read_some(folder / project, MAX_TEXT))):
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            allowed = [version for version in PYTHONS if SpecifierSet(wanted).contains(f"{version}.99")]
        except InvalidSpecifier:
            allowed = []
        if allowed:
            return allowed[0], (Finding(f"python {allowed[0]}", project, f"requires-python is {wanted}"),)
    return None, ()


def _requires_python(data: bytes) -> str:
    import tomllib

    try:
        project = tomllib.loads(data.decode()).get("project")
    except (ValueError, RecursionError):
        return ""
    wanted = project.get("requires-python") if isinstance(project, dict) else None
    return wanted if isinstance(wanted, str) else ""


def _bundles(files: list[Path]) -> dict[Path, Recognised]:
    """The folders that are a model as a whole, the outermost of them; never the project's folder itself."""
    names: dict[Path, set[str]] = {}
    for path in files:
        names.setdefault(path.parent, set()).add(path.name)
    found: dict[Path, Recognised] = {}
    for folder in sorted(names):
        if folder == Path() or any(outer in folder.parents for outer in found):
            continue
        if known := recognise_folder(frozenset(names[folder])):
            found[folder] = known
    return found


def _whole(folder: Path, known: Recognised) -> tuple[tuple[Model, ...], tuple[Finding, ...]]:
    """The folder itself as the model: a program names it by where it is, which no project file could."""
    top = Path(os.path.abspath(folder))
    return (Model(top, model_name(top) or "model"),), (Finding("model", Path(), f"{known.kind}, {known.why}"),)


def _models(
    folder: Path, files: list[Path], bundles: dict[Path, Recognised]
) -> tuple[tuple[Model, ...], tuple[Finding, ...]]:
    known = dict(bundles)
    for path in files:
        sample = Sample(path.name, read_some(folder / path, HEAD_BYTES), (folder / path).stat().st_size)
        if found := recognise(sample):
            if sample.head.startswith(LFS_POINTER):
                hint = "fetch it with `git lfs pull`"
                raise SourceError("the model is a Git LFS pointer, not its bytes", where=str(folder / path), hint=hint)
            known[path] = found
    if not known:
        return (), (Finding("no model", Path(), "no file looks like one, so the entry script has to do without"),)
    findings = tuple(Finding("model", path, f"{what.kind}, {what.why}") for path, what in sorted(known.items()))
    return _named(sorted(known)), findings


def _named(paths: list[Path]) -> tuple[Model, ...]:
    """Models by the names of their files; where two would have one name, by their whole paths."""
    models = [Model(path, model_name(path) or "model") for path in paths]
    often = Counter(model.name for model in models)
    models = [m if often[m.name] == 1 else replace(m, name=model_name(Path("-".join(m.path.parts)))) for m in models]
    twice = [name for name, times in Counter(model.name for model in models).items() if times > 1]
    if twice:
        raise UserError(f"two models would be called {twice[0]}", hint=f"name them in a {FILE_NAME}: models: ...")
    return tuple(models)
