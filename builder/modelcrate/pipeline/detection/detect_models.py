"""The models of a folder: by what their files are, with the files that belong to them, and with names of their own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.modelfiles.formats import (
    BESIDE,
    HEAD_BYTES,
    LFS_POINTER,
    Recognised,
    Sample,
    recognise,
    recognise_folder,
)
from modelcrate.pipeline.detection.detect_files import Finding
from modelcrate.pipeline.detection.entry_candidates import read_some
from modelcrate.pipeline.start_check.loaded_paths import loaded_paths
from modelcrate.pipeline.start_check.loaders import MODELS_FOLDER
from modelcrate.pipeline.start_check.script_names import MODEL_DIR
from modelcrate.project.values import FILE_NAME, Model, RegisteredModel, model_name
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from modelcrate.modelfiles.facts import ModelFacts

_NO_COMPANIONS = compile_later(
    r"\..*|(readme|license|changelog|notice)(\..*)?|.*\.(py|ipynb|pyc|log|ya?ml|toml|lock|sh|dvc)", re.IGNORECASE
)
"""Files beside a model that are nothing of it: documents, code, the project's own configuration."""

_A_NAME = compile_later(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
"""A name that a project file takes for a model."""

_MAX_PICKLE = 64 << 20
"""Bytes of a pickle that is looked through for modules of the project."""


def find_bundles(files: Sequence[Path]) -> dict[Path, Recognised]:
    """Returns the folders that are a model as a whole, the outermost of them; never the project's folder itself."""
    names: dict[Path, set[str]] = {}
    for path in files:
        names.setdefault(path.parent, set()).add(path.name)
        if path.parent != Path():
            names.setdefault(path.parent.parent, set()).add(path.parent.name)
    found: dict[Path, Recognised] = {}
    for folder in sorted(names):
        if folder == Path() or any(outer in folder.parents for outer in found):
            continue
        if known := recognise_folder(frozenset(names[folder])):
            found[folder] = known
    return found


def find_models(
    folder: Path, files: Sequence[Path], bundles: Mapping[Path, Recognised]
) -> tuple[tuple[Model, ...], tuple[Finding, ...]]:
    """Returns the models of a folder: whole folders, and single files with what belongs to them.

    Raises:
        UserError: Two would have one name, or the files of one can't be kept together.
        SourceError: One is a pointer of Git LFS, or can't be read.
    """
    single: dict[Path, Recognised] = {}
    for path in files:
        sample = Sample(path.name, read_some(folder / path, HEAD_BYTES), (folder / path).stat().st_size)
        if found := recognise(sample):
            if sample.head.startswith(LFS_POINTER):
                hint = "fetch it with `git lfs pull`"
                raise SourceError("the model is a Git LFS pointer, not its bytes", where=str(folder / path), hint=hint)
            single[path] = found
    known = {**bundles, **_with_companions(single, files)}
    if not known:
        return (), (Finding("no model", Path(), "no file looks like one, so the entry script has to do without"),)
    findings = tuple(Finding("model", path, f"{what.kind}, {what.why}") for path, what in sorted(known.items()))
    return _named(sorted(known)), findings


def add_loaded(
    folder: Path, script: Path, files: Sequence[Path], models: tuple[Model, ...], findings: tuple[Finding, ...]
) -> tuple[tuple[Model, ...], tuple[Finding, ...]]:
    """Returns the models with those files that only the script says are some: it loads them from the folder of the models.

    Args:
        folder: The project's folder.
        script: The entry script.
        files: The files of the project that are in no model's folder.
        models: The models that are known by what they are.
        findings: What was found about them.
    """
    paths = loaded_paths(folder, script)
    names = dict.fromkeys(path.name for path in paths if path.parts[0] == MODEL_DIR and len(path.parts) > 1)
    for name in names:
        same = [each for each in files if each.name == name]
        if len(same) == 1 and not any(same[0] == each.path or each.path in same[0].parents for each in models):
            models = _named(sorted([*(each.path for each in models), same[0]]))
            kept = (each for each in findings if each.what != "no model")
            findings = (*kept, Finding("model", same[0], f"{script} loads a file of that name below {MODEL_DIR}"))
    asked = {path.name for path in paths if path.parent == MODELS_FOLDER and _A_NAME.fullmatch(path.name)}
    if len(models) == 1 and len(asked) == 1 and models[0].name not in asked:
        models = (replace(models[0], name=asked.pop()),)
        why = f"{findings[-1].why}; named {models[0].name}, for {script} asks for that"
        findings = (*findings[:-1], replace(findings[-1], why=why))
    return models, findings


def own_name(path: Path) -> str:
    """Returns the name of a detected model."""
    return model_name(Path(cached_name(path) or path)) or "model"


def cached_name(path: Path) -> str:
    """Returns ORG--NAME for a snapshot of a Hugging Face cache, `models--ORG--NAME/snapshots/REVISION`; else nothing."""
    cached = path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--")
    return path.parent.parent.name.removeprefix("models--") if cached else ""


def pickle_facts(folder: Path, models: Sequence[Model | RegisteredModel]) -> list[tuple[Path, ModelFacts]]:
    """Returns the facts of those of these models that are one small file, each with its path. Nothing is unpickled."""
    from modelcrate.modelfiles.recognition import facts_of

    found = []
    for path in (model.path for model in models if isinstance(model, Model)):
        place = folder / path
        if place.is_file() and place.stat().st_size <= _MAX_PICKLE:
            with open(place, "rb") as handle:
                found.append((path, facts_of(handle, path.name, place.stat().st_size)))
    return found


def named_modules(models: Iterable[tuple[Path, ModelFacts]]) -> dict[str, Path]:
    """Returns the top modules that pickles name, each with its model."""
    found: dict[str, Path] = {}
    for path, facts in models:
        for module in facts.facts.get("modules", ()):
            found.setdefault(str(module), path)
    return found


def named_versions(models: Iterable[tuple[Path, ModelFacts]]) -> dict[str, str]:
    """Returns the versions of packages that pickles name."""
    return {str(name): str(text) for _, facts in models for name, text in facts.facts.get("versions", {}).items()}


def _with_companions(single: Mapping[Path, Recognised], files: Sequence[Path]) -> dict[Path, Recognised]:
    """Returns the models; a model with other files beside it is replaced by its folder."""
    known: dict[Path, Recognised] = {}
    code = {path.parent for path in files if path.suffix == ".py"}
    for path, what in single.items():
        place = path.parent
        beside = [each for each in files if each.is_relative_to(place) and each not in single]
        companions = [each for each in beside if not _NO_COMPANIONS.fullmatch(each.name)]
        if place == Path() or any(each.is_relative_to(place) for each in code):
            _check_beside(path, files)
            known[path] = what
        elif companions and not any(outer in known for outer in place.parents):
            names = ", ".join(str(each.relative_to(place)) for each in companions[:3])
            known[place] = replace(what, why=f"{what.why}; the whole folder, for {names} lies beside {path.name}")
        elif place not in known and not any(outer in known for outer in place.parents):
            known[path] = what
    return known


def _check_beside(path: Path, files: Sequence[Path]) -> None:
    """Refuses a model that has a part of it in a second file which would not lie beside it in the image."""
    stem, ending = str(path.with_suffix("")), path.suffix.lower()
    stem = re.sub(r"-[0-9]{4}$", "", stem) if ending == ".params" else stem
    wanted = {stem + end for end in BESIDE.get(ending, ())}
    parts = [
        each for each in files if str(each) in wanted or (each.suffix == ".npy" and str(each).startswith(f"{path}."))
    ]
    if parts:
        raise UserError(
            f"the model {path} has a part of it in {parts[0]}, and both have to stay together",
            hint=f"put them into a folder of their own, or name that in a {FILE_NAME}: models: [FOLDER]",
        )


def _named(paths: list[Path]) -> tuple[Model, ...]:
    """Returns models by the names of their files; where two would have one name, by their whole paths, then with their endings."""
    models = [Model(path, own_name(path)) for path in paths]
    for ending in (".", "-"):
        often = Counter(model.name for model in models)
        longer = {model.path: Path("-".join(model.path.parts).replace(".", ending)) for model in models}
        models = [m if often[m.name] == 1 else replace(m, name=model_name(longer[m.path])) for m in models]
    twice = [name for name, times in Counter(model.name for model in models).items() if times > 1]
    if twice:
        raise UserError(f"two models would be called {twice[0]}", hint=f"name them in a {FILE_NAME}: models: ...")
    return tuple(models)
