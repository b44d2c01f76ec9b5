"""Kitfile of KitOps: its model, served by what its files say, or by a script among its code.

https://kitops.org/docs/kitfile/format/ has the keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import Keys
from modelcrate.importers.llama_server import llama_project
from modelcrate.importers.project_parts import OCI, free_name, inside, take_labels
from modelcrate.importers.reading import Reading
from modelcrate.modelfiles.formats import recognise_folder
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.framework_reading import describe_model
from modelcrate.pipeline.detection.detect import detect
from modelcrate.project.values import FILE_NAME, Dependencies, Model, Project, ScratchBase, project_name
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

TOOL = "KitOps"
NAMES = ("Kitfile", "kitfile")

_KIT = compile_later(r"[\w.-]+(:[0-9]+)?(/[\w.-]+)+(:[\w.-]+|@sha256:[0-9a-f]{64})")
"""A reference to another ModelKit, in the place of a path."""

_UNSERVED = (
    "an image serves the model, and does not have it; put it into the folder of the entry script, if that reads it"
)
_ABOUT = "it is about the model; the file itself says what an image needs"

_TOLD = ("framework", "format", "license", "description", "parameters")


def recognises(data: Mapping[str, object]) -> bool:
    """Returns whether a mapping is that of a Kitfile."""
    return "manifestVersion" in data or (
        isinstance(data.get("package"), Mapping) and bool({"model", "code", "datasets"} & set(data))
    )


def read(file: Path) -> Imported:
    """Reads a Kitfile.

    Raises:
        SourceError: It can't be read.
        UserError: It has faults, or nothing that an image could have.
    """
    reading = Reading(file, TOOL)
    keys = reading.keys(reading.load(), unknown="a Kitfile has no such key")
    keys.text("manifestVersion")
    keys.take("manifestVersion", "read as such a file")
    package = keys.mapping("package") or reading.keys({})
    title = package.text("name")
    package.take("name", f"name: {project_name(title)}")
    name = project_name(title) or project_name(file.absolute().parent.name) or "model"
    labels = take_labels(
        package,
        {
            "version": f"{OCI}.version",
            "description": f"{OCI}.description",
            "license": f"{OCI}.licenses",
            "authors": f"{OCI}.authors",
        },
    )
    code = [(each, each.text("path")) for each in keys.mappings("code", "path")]
    top = Path(os.path.abspath(file)).parent
    if (whole := recognise_folder(frozenset(os.listdir(top)))) is not None:
        _whole(keys, [each for each, _ in code], top.name)
        reading.notices.append(
            f"the folder is itself a model ({whole.kind}), so that the project file is written above it"
        )
        model = Model(Path(top.name), free_name(name, ()))
        return reading.finish(Project(name, None, (model,), labels=labels), folder=top.parent)
    models = _models(keys)
    project, files = _served(reading, name, models, bool(code))
    _code(code, project, file.parent)
    for key in ("datasets", "docs", "prompts"):
        keys.leave_items(key, _UNSERVED)
    return reading.finish(replace(project, labels={**project.labels, **labels}), files)


def _whole(keys: Keys, code: list[Keys], name: str) -> None:
    """Notes the keys of a Kitfile whose folder is the model: all of it goes into the image."""
    section = keys.mapping("model")
    parts = [] if section is None else [section, *section.mappings("parts", "path")]
    for each in (*parts, *code):
        each.value("path")
        each.take("path", f"models: {name}, the whole folder")
        each.leave_all(dict.fromkeys(("name", "version", "type", *_TOLD), _ABOUT))
    for key in ("datasets", "docs", "prompts"):
        keys.leave_items(
            key,
            f"it is in the image if it is in the folder {name}; .modelcrateignore beside the project file leaves it out",
        )


def _models(keys: Keys) -> tuple[Model, ...]:
    """Returns the model and its parts, as far as they are named by their paths."""
    section = keys.mapping("model")
    if section is None:
        return ()
    models = list[Model]()
    named, version = section.text("name"), section.text("version")
    first = _model(section, named, models)
    if first is not None:
        number = int(version) if re.fullmatch(r"[1-9][0-9]{0,8}", version) else 1
        models.append(replace(first, version=number))
        section.take("name", f"models: name: {first.name}")
        if version == str(number):
            section.take("version", f"models: version: {number}")
    section.leave("name", "as its path")
    section.leave("version", "versions of models are 1, 2, 3; another is a label: labels: {NAME: VALUE}")
    for part in section.mappings("parts", "path"):
        text = part.text("path")
        if first is not None and Path(text).is_relative_to(first.path) and first.path.suffix == "":
            part.take("path", f"models: {first.path}, which it is in")
        made = None if part.is_told("path") else _model(part, part.text("name"), models)
        if made is not None:
            models.append(made)
            part.take("name", f"models: name: {made.name}")
        part.leave("name", "as its path")
        part.leave_all(dict.fromkeys(("type", "license"), _ABOUT))
    section.leave_all(dict.fromkeys(_TOLD, _ABOUT))
    return tuple(models)


def _model(section: Keys, name: str, others: list[Model]) -> Model | None:
    text = section.text("path")
    folder = section.reading.file.parent
    if not text:
        return None
    if _KIT.fullmatch(text) and not (folder / text).exists():
        section.leave("path", "it is another ModelKit, and no path")
        section.reading.missing.append(
            f"the model is in the ModelKit {text[:200]}: kit unpack {text[:200]} --filter=model -d model; then write path: model"
        )
        return None
    path = inside(section, text)
    if path is None:
        section.done("path")
        return None
    if path == Path():
        section.wrong(
            "path", "the folder of the Kitfile itself", "put the model into a folder of its own below it, and name that"
        )
        return None
    if not (folder / path).exists():
        section.reading.missing.append(f"{path} is not there, which {section.above}path names")
    section.take("path", f"models: {path}")
    return Model(path, free_name(name or path.stem, others))


def _served(
    reading: Reading, name: str, models: tuple[Model, ...], code: bool
) -> tuple[Project, tuple[tuple[str, str], ...]]:
    """Returns the project that serves the models: by a script of the folder, by llama.cpp, by the model's framework, or by nothing."""
    folder = reading.file.parent
    if code:
        try:
            project, findings = detect(folder)
        except CrateError as fault:
            project, findings = Project(name, None), ()
            reading.notices.append(fault.what)
        if project.entry is not None:
            told = ("name ", "model") if models else ("name ",)
            reading.notices += [f"detected {each}" for each in findings if not each.what.startswith(told)]
            return replace(project, name=name, models=models or project.models), ()
    if not models:
        hint = (
            f"write entry: score.py, or command: [PROGRAM], in a {FILE_NAME} of its own"
            if code
            else "model: {path: FILE}"
        )
        reading.fault("has neither a model nor an entry script with init and run, and no image follows from that", hint)
        return Project(name, None), ()
    if models[0].path.suffix.lower() == ".gguf" and (
        len(models) == 1 or (len(models) == 2 and models[1].path.suffix.lower() == ".gguf")
    ):
        reading.notices.append(
            "the GGUF file is served by llama.cpp's own server, POST /v1/chat/completions on port 8080"
        )
        return llama_project(name, reading.file.name, models, {})
    project = Project(name, None, models)
    why = ""
    if len(models) > 1:
        why = f"{len(models)} models, and nothing says how they are served"
    elif (folder / models[0].path).exists():
        try:
            describe_model(ModelFiles.of(folder / models[0].path, str(models[0].path)))
        except CrateError as fault:
            why = fault.sentence
    if why:
        reading.notices.append(
            f"the image has the model alone, and starts nothing ({why}); with entry: score.py and base: debian it serves"
        )
        return replace(project, base=ScratchBase(), dependencies=Dependencies()), ()
    reading.notices.append("the model is served without an entry script, by what its files say")
    return project, ()


def _code(code: list[tuple[Keys, str]], project: Project, folder: Path) -> None:
    """Notes which of the code is in the image."""
    entry = project.entry
    for each, text in code:
        path = inside(each, text) if text else None
        if path is None:
            each.done("path")
        elif entry is not None and (
            path == entry.file or (entry.source is not None and path.is_relative_to(entry.source))
        ):
            each.take("path", f"entry: {entry.file}")
        elif not (folder / path).exists():
            each.leave("path", "it is not there")
        elif path.name.startswith("requirements") and path.suffix == ".txt":
            each.leave("path", f"the packages are those of what serves the model; these, too: dependencies: {path}")
        elif entry is not None and entry.source is not None and entry.source.is_relative_to(path):
            each.take("path", f"entry: source: {entry.source}")
        else:
            each.leave(
                "path",
                "nothing in the image starts it; a script is named by entry, and its folder by entry: {source: FOLDER}",
            )
        each.leave_all(dict.fromkeys(("description", "license", "name"), _ABOUT))
