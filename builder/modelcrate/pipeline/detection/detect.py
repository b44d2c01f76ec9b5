"""A project without a project file: what is in the folder, and why we take it for that.

Nothing found is imported, executed or unpickled: scripts are parsed, of models only the first bytes are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from modelcrate.modelfiles.formats import HEAD_BYTES, Recognised, recognise_folder
from modelcrate.pipeline.detection.applications import Application, find_applications, packages_of
from modelcrate.pipeline.detection.detect_dependencies import find_dependencies
from modelcrate.pipeline.detection.detect_files import Finding, list_files
from modelcrate.pipeline.detection.detect_models import (
    add_loaded,
    cached_name,
    find_bundles,
    find_models,
    named_modules,
    named_versions,
    own_name,
    pickle_facts,
)
from modelcrate.pipeline.detection.detect_sources import find_extent
from modelcrate.pipeline.detection.entry_candidates import (
    MAX_TEXT,
    Script,
    almost_entry_scripts,
    read_script,
    read_some,
)
from modelcrate.pipeline.start_check.loaded_paths import added_folders, loaded_beside
from modelcrate.project.pages import page
from modelcrate.project.values import FILE_NAME, Dependencies, Entry, Model, Project, project_name
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

PYTHONS = ("3.11", "3.13", "3.12", "3.10", "3.14", "3.9")
"""Which Python is taken where several are allowed: those of the Debian releases first."""

OTHER_TOOLS = ("cog.yaml", "bentofile.yaml", "Kitfile", "Modelfile")
"""Configurations of other tools that are known by their names: `init --from` reads them, and nothing else here."""

_AZURES = compile_later(r"(?P<v1>.*infer.*\.(json|ya?ml))|.*\.ya?ml", re.IGNORECASE)
_V1, _V2 = b"entryScript", b"OnlineDeployment.schema.json"
"""What says that a file is Azure's, by any name and in any folder: a key of the CLI v1's, and the schema of a deployment of the CLI v2."""

_SCRIPT = "score.py"
"""What an entry script is called that is written here."""


def detect(folder: Path) -> tuple[Project, tuple[Finding, ...]]:
    """Returns the project that this folder seems to be, and what each of its values was taken from.

    Raises:
        UserError: There is no entry script and no model that does without one, or several are equally likely.
        SourceError: The folder can't be read.
    """
    files = list_files(folder)
    others = _other_tools(folder, files)
    try:
        project, findings = _detect(folder, files)
    except UserError as fault:
        ways = "".join(f"modelcrate init --from {each} makes a project of that file\nor " for each in others)
        fault.hint = f"{ways}{fault.hint}"
        raise
    unread = (
        Finding("not taken", each, f"modelcrate init --from {each} reads it, and nothing else here") for each in others
    )
    return project, (*findings, *unread)


def _detect(folder: Path, files: list[Path]) -> tuple[Project, tuple[Finding, ...]]:
    bundles = find_bundles(files)
    loose = [path for path in files if not any(bundle in path.parents for bundle in bundles)]
    scripts = [read_script(folder, path) for path in loose if path.suffix == ".py"]
    whole = recognise_folder(frozenset(path.name for path in files if path.parent == Path()))
    scripted = any(each.serves or (each.meant and (each.names or each.path.name == _SCRIPT)) for each in scripts)
    if whole is None and not scripted and (apps := find_applications(scripts)):
        return _application_project(folder, files, scripts, apps)
    script, script_found = _script(folder, scripts)
    whole = whole if script is None else None
    models, models_found = _one_model(folder, whole) if whole is not None else find_models(folder, loose, bundles)
    if script is not None:
        models, models_found = add_loaded(folder, script.path, loose, models, models_found)
    if script is None and len(models) != 1:
        raise _no_single_model(folder, loose, models, scripts)
    extent = None
    if script is not None:
        beside = [each for each in loaded_beside(folder, script.path) if each in files]
        modules = named_modules(pickle_facts(folder, models))
        extent = find_extent(script, scripts, modules, beside, added_folders(folder, script.path))
    entry = extent.entry if extent is not None else None
    entry_found = tuple(replace(each, why=f"{each.why}; {extent.why}") if extent else each for each in script_found)
    python, python_found = _python(folder, files)
    inside = whole is not None  # requirements.txt is then the model's own, and its framework reads it
    needs, needs_found = (Dependencies(), ()) if inside else find_dependencies(folder, files, entry)
    name, found = _name(folder)
    variables = extent.variables(name) if extent is not None else {}
    project = Project(name, entry, models, python=python, dependencies=needs, env=variables)
    return project, (found, *entry_found, *needs_found, *python_found, *models_found)


def _name(folder: Path) -> tuple[str, Finding]:
    top = Path(os.path.abspath(folder))
    own = project_name(cached_name(top) or top.name)
    name = own or "model"
    return name, Finding(f"name {name}", Path(), "the folder's name" if own else "the folder has no name")


def _application_project(
    folder: Path, files: list[Path], scripts: Sequence[Script], apps: Sequence[Application]
) -> tuple[Project, tuple[Finding, ...]]:
    """Returns the project that starts an application of the folder. Its models stay among its sources, where it looks for them.

    Raises:
        UserError: The dependencies can't be told.
        SourceError: A model is a pointer of Git LFS.
    """
    app, *others = apps
    name, found = _name(folder)
    python, python_found = _python(folder, files)
    needs, needs_found = find_dependencies(folder, files, Entry(app.script.path))
    try:
        models = detect_models(folder, files, app.script.path)[0]
    except UserError:  # about names in a project file, in which they are not named
        models = ()
    if needs == Dependencies():
        pickled = pickle_facts(folder, models)
        packages = dict.fromkeys((*app.packages, *packages_of(named_modules(pickled), scripts)))
        versions = named_versions(pickled)
        lines = tuple(f"{each}=={versions[each]}" if each in versions else each for each in packages)
        needs = Dependencies(lines)
        needs_found = (Finding(f"dependencies {', '.join(lines)}", app.script.path, "nothing declares any"),)
    also = f"; preferred to {', '.join(str(each.script.path) for each in others[:3])}" if others else ""
    why = f"an app of {app.script.app}, with the whole folder; modelcrate's own server, which asks a script with init and run or the model alone, is not in the image{also}"
    project = Project(name, None, python=python, dependencies=needs, env=app.env, command=app.command)
    return project, (found, Finding("command", app.script.path, why), *needs_found, *python_found)


def detect_models(folder: Path, files: Sequence[Path], script: Path) -> tuple[tuple[Model, ...], tuple[Finding, ...]]:
    """Returns the models among the files of a folder whose entry script is known, and what each was taken from.

    Raises:
        UserError: The files of a model can't be kept together, or there are too many.
        SourceError: The folder or a model can't be read.
    """
    bundles = find_bundles(files)
    loose = [path for path in files if not any(bundle in path.parents for bundle in bundles)]
    return add_loaded(folder, script, loose, *find_models(folder, loose, bundles))


def refuse_inside_model(project: Project, folder: Path, what: str) -> None:
    """Refuses to write into a folder that is itself the project's model, for that would become part of it."""
    if any(model.path.is_absolute() for model in project.models if isinstance(model, Model)):
        hint = "put it into a folder of its own below this one, or build it as it is: modelcrate build FOLDER"
        raise UserError(
            f"the folder is itself a model, and a {what} in it would be a part of that",
            where=os.path.abspath(folder),
            hint=hint,
        )


def _script(folder: Path, scripts: Sequence[Script]) -> tuple[Script | None, tuple[Finding, ...]]:
    """Returns the entry script; none where nothing was meant to be one: then the model has to bring its own."""
    serving = sorted((script for script in scripts if script.serves), key=lambda script: (script.rank, script.path))
    if not serving:
        if near := list(almost_entry_scripts(scripts)):
            raise _no_entry(folder, near, scripts)
        why = "no Python file defines init and run, so the model decides how it is served"
        apps = [f"{script.path}, an app of {script.app}, does not run" for script in scripts if script.app]
        return None, (Finding("no entry script", Path(), "; ".join([why, *apps[:3], *_broken(scripts)])),)
    best = [script for script in serving if script.rank == serving[0].rank]
    if len(best) > 1:
        names = " and ".join(str(script.path) for script in best)
        one = best[0].path
        hint = f"name one in a {FILE_NAME}: entry: {{source: {one.parent}, script: {one.name}}}"
        raise UserError(
            f"{len(best)} entry scripts that are equally good: {names}", where=os.path.abspath(folder), hint=hint
        )
    others = f"; preferred to {', '.join(str(s.path) for s in serving[1:4])}" if serving[1:] else ""
    return serving[0], (Finding("entry script", serving[0].path, f"it defines init and run{others}"),)


def _broken(scripts: Sequence[Script]) -> list[str]:
    return [f"{each.path} can't be parsed: {each.fault}" for each in scripts if each.fault][:3]


def _other_tools(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Returns the configurations of other tools at the top of a folder, and Azure's wherever it is."""
    azures = ((each, _AZURES.fullmatch(each.name)) for each in files)
    return [
        *(each for each in map(Path, OTHER_TOOLS) if each in files),
        *(each for each, named in azures if named and _is_azures(folder / each, named["v1"] is not None)),
    ]


def _is_azures(path: Path, v1: bool) -> bool:
    head = read_some(path, HEAD_BYTES)
    return _V2 in head or (v1 and _V1 in head)


def _no_entry(folder: Path, near: list[str], scripts: Sequence[Script]) -> UserError:
    hint = f"write one, for instance score.py, or name it in a {FILE_NAME}"
    if any(each.app for each in scripts):
        hint += f"; or start the app itself by a command: {page('commands')}"
    return UserError(
        "no entry script: no Python file here defines both init() and run(data)",
        where=os.path.abspath(folder),
        why="\n".join(near),
        hint=hint,
    )


def _no_single_model(
    folder: Path, files: Sequence[Path], models: Sequence[Model | object], scripts: Sequence[Script]
) -> UserError:
    """Returns the refusal of a folder without a script that has not exactly one model."""
    if models:
        names = ", ".join(str(model.path) for model in models[:5] if isinstance(model, Model))
        return UserError(
            f"{len(models)} models and no entry script: {names}",
            where=os.path.abspath(folder),
            why="one model can be served without a script; which of several a request is for, only a script can say",
            hint=f"write a score.py with init() and run(data), or name one model in a {FILE_NAME}",
        )
    if not files:
        return UserError(
            "the folder has neither an entry script nor a model",
            where=os.path.abspath(folder),
            hint="put a model, or a score.py with init() and run(data), into it; "
            f"`modelcrate build` then makes an image, and `modelcrate init` writes a {FILE_NAME} for more settings",
        )
    apps = [f"{each.path}, an app of {each.app}" for each in scripts if each.app]
    seen = apps or [str(path) for path in files if not path.name.startswith(".")] or list(map(str, files))
    near = [*_broken(scripts), f"and no model, which might do without one; found {', '.join(seen[:5])}"]
    return _no_entry(folder, near, scripts)


def _python(folder: Path, files: list[Path]) -> tuple[str | None, tuple[Finding, ...]]:
    pinned, project = Path(".python-version"), Path("pyproject.toml")
    if pinned in files:
        text = read_some(folder / pinned, HEAD_BYTES).decode("utf-8", "replace")
        if found := re.match(r"\s*(3\.[0-9]{1,2})(\.|\s|$)", text):
            return _known_python(found[1], Finding(f"python {found[1]}", pinned, "the version it names"))
    if project in files and (wanted := _requires_python(read_some(folder / project, MAX_TEXT))):
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            allowed = [version for version in PYTHONS if SpecifierSet(wanted).contains(f"{version}.99")]
        except InvalidSpecifier:
            allowed = []
        version = allowed[0] if allowed else wanted
        return _known_python(version, Finding(f"python {version}", project, f"requires-python is {wanted}"))
    return None, ()


def _known_python(version: str, found: Finding) -> tuple[str | None, tuple[Finding, ...]]:
    """Returns a version of Python; None for one that no base of ours has, which is said."""
    if version in PYTHONS:
        return version, (found,)
    why = f"{found.why}, and no base of modelcrate's own has it; name one that does: base: IMAGE"
    return None, (replace(found, what=f"not taken: {found.what}", why=why),)


def _requires_python(data: bytes) -> str:
    import tomllib

    try:
        project = tomllib.loads(data.decode()).get("project")
    except (ValueError, RecursionError):
        return ""
    wanted = project.get("requires-python") if isinstance(project, dict) else None
    return wanted if isinstance(wanted, str) else ""


def _one_model(folder: Path, known: Recognised) -> tuple[tuple[Model, ...], tuple[Finding, ...]]:
    """Returns the folder itself as the model, by an absolute path, which no project file could have."""
    top = Path(os.path.abspath(folder))
    return (Model(top, own_name(top)),), (Finding("model", Path(), f"{known.kind}, {known.why}"),)


def write_project(folder: Path, *, force: bool = False) -> tuple[Path, tuple[Finding, ...]]:
    """Writes the project file of a folder, from what is found in it.

    Args:
        folder: The folder.
        force: Whether a project file that exists is replaced.

    Returns:
        The path of the file, and what was found.

    Raises:
        UserError: There is a project file already, or nothing in the folder can become an image.
    """
    from modelcrate.project.writing import project_text
    from modelcrate.resolve.declared import read_declaration
    from modelcrate.resolve.declared_needs import with_declared
    from modelcrate_layers.atomic import write_file
    from modelcrate_layers.store import as_machine_error

    path = folder / FILE_NAME
    if path.exists() and not force:
        raise UserError("exists already", where=str(path), hint="edit it, or replace it with --force")
    project, findings = detect(folder)
    refuse_inside_model(project, folder, "project file")
    written: dict[str, str] = {}
    if project.served_by_model:
        project, written = _with_script(project, folder)
    if written:
        why = "written to begin with, because the model can't be served as it is"
        kept = [each for each in findings if each.what not in ("no entry script", "no dependencies")]
        findings = (*kept, Finding("entry script", Path(_SCRIPT), why))
    with_declared(project, read_declaration(project.dependencies, folder))  # refuses what no build takes
    with as_machine_error(path):
        for name, text in {**written, FILE_NAME: project_text(project)}.items():
            write_file(folder / name, text.encode())
    return path, tuple(findings)


def _with_script(project: Project, folder: Path) -> tuple[Project, dict[str, str]]:
    """Returns a project without a script; where its model can't be served so, with one to begin with, as texts by their names.

    Raises:
        UserError: The model can't be served without a script, and no script is known to begin with.
    """
    from modelcrate.modelfiles.framework_files import ModelFiles
    from modelcrate.modelfiles.framework_reading import describe_model
    from modelcrate.modelfiles.starting_script import starting_script

    (model,) = (each for each in project.models if isinstance(each, Model))
    files = ModelFiles.of(folder / model.path, str(model.path))
    begin = starting_script(files)
    if begin is None or (folder / _SCRIPT).exists():
        describe_model(files)
        return project, {}
    needs = project.dependencies if project.dependencies != Dependencies() else Dependencies(begin.requirements)
    return replace(project, entry=Entry(Path(_SCRIPT)), dependencies=needs), {_SCRIPT: begin.text}
