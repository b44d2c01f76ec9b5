"""cog.yaml of Cog (Replicate): its own server, started as its images start it.

https://cog.run/yaml has the keys.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import (
    NO_CUDA,
    RUNS_ELSEWHERE,
    free_name,
    hub_model,
    inside,
    keep_variables,
    leave_commands,
    split_variables,
    take_packages,
    take_python,
)
from modelcrate.importers.reading import Reading
from modelcrate.importers.requirement_lines import Needs, make_needs
from modelcrate.importers.secrecy import tell
from modelcrate.project.values import AnyModel, Command, DebianBase, HubModel, Model, Project, project_name
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

TOOL = "Cog"
NAMES = ("cog.yaml", "cog.yml")

PORT = 5000
HEALTH = "/health-check"
SCHEMA = ".cog/openapi_schema.json"
OWN = "cog<0.17"
"""Cog's package, where no version is named: later servers check no inputs without a schema that the program `cog` has made."""

NEWER = frozenset(
    {"BaseRunner", "CancelationException", "Opaque", "URLFile", "URLPath", "concurrent", "emit_metric", "streaming"}
)
"""Names that Cog's package has from 0.17 on."""

SERVING = ("python3", "-m", "cog.server.http")
TRAINING = (*SERVING, "--x-mode", "train")
_REFERENCE = compile_later(r"[^:\s]+\.py:[A-Za-z_]\w*")


def recognises(data: Mapping[str, object]) -> bool:
    """Returns whether a mapping is that of a cog.yaml."""
    build = data.get("build")
    return isinstance(build, Mapping) and bool(
        {"predict", "run", "train"} & set(data) or {"python_version", "python_packages", "gpu"} & set(build)
    )


def read(file: Path) -> Imported:
    """Reads a cog.yaml.

    Raises:
        SourceError: It can't be read.
        UserError: It has faults, or nothing to serve.
    """
    reading = Reading(file, TOOL)
    keys = reading.keys(reading.load(), unknown="Cog's schema has no such key")
    env = _served(keys)
    models: tuple[AnyModel, ...] = _weights(keys)
    build = keys.mapping("build") or reading.keys({})
    python, packages = take_python(build, "python_version"), take_packages(build, "system_packages")
    needs = _needs(reading, build, "run" in keys or _is_newer(reading, env))
    keep = {"fast": "it is about how Cog builds", "cog_runtime": "it is about how Cog builds"}
    build.leave_all({**keep, **dict.fromkeys(("cuda", "cudnn"), NO_CUDA)})
    for key in ("pre_install", "run"):
        leave_commands(build, key)
    env |= keep_variables(keys, "environment", split_variables(keys, "environment", keys.texts("environment")))
    name = _name(keys, file)
    reading.notices.append(
        f"the sources are in /var/azureml-app/{name}, and not in /src, for code that names that folder"
    )
    reading.notices.append(f"{HEALTH} answers while setup() still runs, too: the member `status` is READY after it")
    argv = SERVING if "COG_PREDICT_TYPE_STUB" in env else TRAINING
    command = Command(argv, Path(), (PORT,), health=HEALTH)
    project = Project(
        name,
        None,
        models,
        python,
        base=DebianBase(packages=packages),
        dependencies=needs.dependencies,
        env=env,
        command=command,
    )
    return reading.finish(project, needs.files)


def _served(keys: Keys) -> dict[str, str]:
    """Returns the variables that Cog's server looks at, as Cog's own images have them."""
    reading, env = keys.reading, {}
    for key, variable in (
        ("predict", "COG_PREDICT_TYPE_STUB"),
        ("run", "COG_PREDICT_TYPE_STUB"),
        ("train", "COG_TRAIN_TYPE_STUB"),
    ):
        reference = keys.text(key)
        if not reference:
            continue
        if not _REFERENCE.fullmatch(reference):
            keys.wrong(
                key, f"no reference to a class: {reference[:100]!r}", 'expected for instance "predict.py:Predictor"'
            )
            continue
        path = inside(keys, reference.rpartition(":")[0])
        if path is None:
            keys.done(key)
            continue
        if not (reading.file.parent / path).is_file():
            reading.missing.append(f"{path} is not there, which {key} names")
        env[variable] = reference
        keys.take(key, f"env: {variable}" + ("; the command starts it" if key != "train" else ""))
    if env.keys() == {"COG_PREDICT_TYPE_STUB", "COG_TRAIN_TYPE_STUB"}:
        reading.notices.append(f"to train: modelcrate run IMAGE {' '.join(TRAINING)}")
    elif not env and not ({"predict", "run", "train"} & set(keys.data)):
        reading.fault("names nothing to serve", 'add predict: "predict.py:Predictor", as Cog needs it to serve')
    concurrency = keys.mapping("concurrency")
    if concurrency is not None:
        most = concurrency.number("max")
        if most is not None:
            env["COG_MAX_CONCURRENCY"] = str(most)
            concurrency.take("max", "env: COG_MAX_CONCURRENCY")
        concurrency.leave("default_target", RUNS_ELSEWHERE)
    return env


def _needs(reading: Reading, build: Keys, new: bool) -> Needs:
    """Returns the packages, with Cog's own, which its images have besides."""
    named, lines = build.text("python_requirements"), build.texts("python_packages")
    file = inside(build, named) if named else None
    version, made = build.text("sdk_version"), (reading.file.parent / SCHEMA).is_file()
    own = f"cog=={version}" if re.fullmatch(r"[0-9][\w.!+-]*", version) else "cog" if new or made else OWN
    if version and version not in own:
        build.leave("sdk_version", "it is no version; the newest that fits is locked")
    needs = make_needs(reading, file, lines if file is None else (), (own,))
    _say_version(reading, needs.added)
    build.take("sdk_version", f"dependencies: {own}")
    if named and file is None:
        build.done("python_requirements")  # which is a fault
    build.take("python_requirements", f"dependencies: {needs.dependencies.requirements}")
    if file is not None:
        build.leave("python_packages", "Cog takes either these or python_requirements")
    else:
        build.take("python_packages", "dependencies")
    gpu = build.flag("gpu")
    if gpu:
        build.leave("gpu", NO_CUDA)
    elif gpu is False and "torch" in needs.named:
        build.take("gpu", "dependencies: torch: cpu")
        return replace(needs, dependencies=replace(needs.dependencies, torch="cpu"))
    build.take("gpu", "nothing to do: no package of this image brings CUDA by itself")
    return needs


def _is_newer(reading: Reading, env: Mapping[str, str]) -> bool:
    """Returns whether the code takes names from Cog's package that only newer versions have."""
    names = set[str]()
    for module in [each.rpartition(":")[0] for each in env.values() if _REFERENCE.fullmatch(each)]:
        try:
            tree = ast.parse(reading.beside(module))
        except (RecursionError, MemoryError):
            reading.fault(f"{module} has more in one another than Python reads", "correct it first")
            continue
        except (CrateError, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "cog":
                names |= {each.name for each in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cog":
                names.add(node.attr)
    return bool(names & NEWER)


def _say_version(reading: Reading, added: tuple[str, ...]) -> None:
    """Says what the version of Cog's package means for the checks of inputs."""
    if OWN in added:
        reading.notices.append(
            f"{OWN} is taken, whose server makes its schema itself; newer ones need {SCHEMA}, which `cog build` makes"
        )
    elif any(re.match(r"cog==0\.([0-9]|1[0-6])(?![0-9])", each) for each in added):
        return  # such a server makes its schema itself
    elif added and not (reading.file.parent / SCHEMA).is_file():
        reading.notices.append(f"from 0.17 on, Cog's server checks inputs only with {SCHEMA}, which `cog build` makes")


def _weights(keys: Keys) -> tuple[AnyModel, ...]:
    """Returns the models that `weights` names, from a hub or from the folder."""
    models = list[AnyModel]()
    for weight in keys.mappings("weights"):
        name, before = weight.text("name"), len(models)
        for source in weight.mappings("source", "uri"):
            uri, patterns = source.text("uri"), source.texts("include")
            source.leave("exclude", "a model's files are chosen by patterns of what is taken: files: [...]")
            made = _model(source, uri, patterns)
            if made is not None:
                models.append(replace(made, name=free_name(name, models) if name else made.name))
                source.take("uri", "models")
                source.take("include", "models: files")
        if len(models) > before:
            weight.take("name", "the model's name")
        weight.leave("name", "as its source")
        weight.leave("target", "models of an image are below AZUREML_MODEL_DIR, and the code has to look there")
    return tuple(models)


def _model(source: Keys, uri: str, patterns: tuple[str, ...]) -> HubModel | Model | None:
    if uri.startswith("hf://"):
        repo, _, revision = uri.removeprefix("hf://").partition("@")
        return hub_model(source, repo, revision, patterns)
    if "://" in uri and not uri.startswith("file://"):
        source.leave("uri", "nothing is downloaded from there: put it into the project, and name it: models: [PATH]")
        source.leave("include", "as its uri")
        return None
    path = inside(source, uri.removeprefix("file://"))
    if path is None:
        source.done("uri")
        source.done("include")
        return None
    if not (source.reading.file.parent / path).exists():
        source.reading.missing.append(f"{path} is not there, which weights names")
    source.leave("include", "a model's folder is taken as it is")
    return Model(path, path.stem)


def _name(keys: Keys, file: Path) -> str:
    """Returns the project's name, by that of the image or the model, else of the folder."""
    found = ""
    for key in ("image", "model"):
        text = keys.text(key)
        last = PurePosixPath(tell(text).partition("?")[0].partition("@")[0]).name.partition(":")[0] if text else ""
        if text and not found and project_name(last):
            found = project_name(last)
            keys.take(key, f"name: {found}; where it is sent is said at the build: --push {text[:200]}")
        elif text:
            keys.leave(key, "where an image is sent is said at the build: --push REFERENCE")
    return found or project_name(file.absolute().parent.name) or "model"
