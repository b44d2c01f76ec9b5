"""config.yaml of Truss (Baseten): its model class behind an entry script, or its own server's command.

https://docs.baseten.co/reference/truss-configuration has the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import (
    OCI,
    OWN_BASE,
    RUNS_ELSEWHERE,
    hub_folder,
    hub_model,
    keep_variables,
    leave_commands,
    moved,
    take_base,
    take_labels,
    take_packages,
    take_python,
)
from modelcrate.importers.reading import Reading
from modelcrate.importers.truss_class import SCRIPT, class_project
from modelcrate.importers.truss_command import command_project
from modelcrate.project.values import Base, DebianBase, HubModel, Project, RegistryBase, project_name
from modelcrate_layers.frozen import replace

TOOL = "Truss"
NAMES = ()
"""None: config.yaml is the name of many things, so what stands in it decides."""

_TELLING = {
    *("model_name", "docker_server", "trt_llm", "model_class_name", "model_class_filename", "model_module_dir"),
    *(
        "external_package_dirs",
        "bundled_packages_dir",
        "model_cache",
        "model_metadata",
        "build_commands",
        "spec_version",
    ),
}
_ALSO = {
    "python_version",
    "requirements",
    "requirements_file",
    "resources",
    "secrets",
    "system_packages",
    "base_image",
    "weights",
    "environment_variables",
    "runtime",
}
_BASETENS = "it is about Baseten's service"
_LEGACY = "Truss itself does nothing with it in an image"
_OTHERS = {
    "resources": RUNS_ELSEWHERE,
    "model_metadata": "it is for Baseten's pages, and a class that takes config gets it; labels: {NAME: VALUE} is for readers",
    "examples_filename": f"{_BASETENS}; golden requests are under tests",
    "training_checkpoints": f"{_BASETENS}: download the checkpoint, and name it: models: [PATH]",
    "bis_llm": _BASETENS,
    "live_reload": "modelcrate serve shows changes of the code at once",
    "apply_library_patches": "no library is changed",
    **dict.fromkeys(("input_type", "model_framework", "model_type", "spec_version", "use_local_src"), _LEGACY),
}


def recognises(data: Mapping[str, object]) -> bool:
    """Returns whether a mapping is that of a Truss."""
    return bool(_TELLING & set(data)) and len((_TELLING | _ALSO) & set(data)) > 1


def read(file: Path) -> Imported:
    """Reads the config.yaml of a Truss.

    Raises:
        SourceError: It can't be read.
        UserError: It has faults, or needs what only Baseten has.
    """
    reading = Reading(file, TOOL)
    data = reading.load()
    keys = reading.keys(data, unknown="Truss's configuration has no such key")
    title = keys.text("model_name")
    name = project_name(title) or project_name(file.absolute().parent.name) or "model"
    keys.take("model_name", f"name: {name}")
    base = _base(keys)
    python = take_python(keys, "python_version", isinstance(base, DebianBase))
    if isinstance(base, DebianBase):
        base = replace(base, packages=take_packages(keys, "system_packages"))
    keys.leave_items("system_packages", "the base has to bring them")
    models, places = _models(keys)
    env = {key: moved(value, places) for key, value in _variables(keys).items()}
    labels = take_labels(keys, {"description": f"{OCI}.description"})
    project = Project(name, None, models, python, base=base, env=env, labels=labels)
    server = keys.mapping("docker_server")
    made = command_project(keys, server, project, places) if server is not None else class_project(keys, project, data)
    _secrets(keys)
    _external(keys)
    leave_commands(keys, "build_commands")
    keys.leave("build", f"no engine builds the image: {OWN_BASE}")
    keys.leave_all(_OTHERS)
    return reading.finish(*made)


def _base(keys: Keys) -> Base:
    """Returns the base: an image, or ours. A text stands for the image alone."""
    raw = keys.data.get("base_image")
    section = (
        keys.reading.keys({"image": keys.text("base_image")}, "base_image.")
        if isinstance(raw, str)
        else keys.mapping("base_image")
    )
    keys.done("base_image")
    if section is None:
        return DebianBase()
    interpreter = section.text("python_executable_path")
    section.leave("docker_auth", "logins to registries are Docker's own, and modelcrate login's; no image has one")
    base = take_base(section, "image")
    if interpreter.startswith("/") and ".." not in interpreter and isinstance(base, RegistryBase):
        base = replace(base, interpreter=PurePosixPath(interpreter))
        section.take("python_executable_path", "base: interpreter")
    section.leave("python_executable_path", "the base's own Python is looked for")
    return base


def _variables(keys: Keys) -> dict[str, str]:
    named = keys.data.get("secrets")
    secrets = frozenset(map(str, named)) if isinstance(named, Mapping) else frozenset()
    return keep_variables(keys, "environment_variables", keys.pairs("environment_variables"), secrets)


def _models(keys: Keys) -> tuple[tuple[HubModel, ...], dict[str, str]]:
    """Returns the models of a hub, and where each folder that the file names for them is in the image."""
    models, places = list[HubModel](), dict[str, str]()
    for each in keys.mappings("weights"):
        source, mount = each.text("source"), each.text("mount_location")
        _hub(each, "source", source, "mount_location", mount, models, places)
        each.leave_all(
            dict.fromkeys(
                ("auth", "auth_secret_name"), "the token of a hub is HF_TOKEN on this machine; no image has one"
            )
        )
    for key in ("model_cache", "hf_cache", "cache_internal"):
        for each in keys.mappings(key):
            repo, kind, folder = each.text("repo_id"), each.text("kind"), each.text("volume_folder")
            source = f"{kind}://{repo}" if kind not in ("", "hf") or "://" in repo else f"hf://{repo}"
            mount = f"/app/model_cache/{folder}" if folder else ""
            _hub(each, "repo_id", source, "volume_folder", mount, models, places)
            each.flag("use_volume")
            each.take("use_volume", "models are layers of the image")
            each.take("kind", "models: hf")
            each.leave("kind", "nothing is downloaded from there")
            each.leave("runtime_secret_name", "the token of a hub is HF_TOKEN on this machine; no image has one")
    if models:
        keys.reading.notices.append(
            "models of an image are in "
            + ", ".join(hub_folder(each) for each in models)
            + ", and code that loads them by another name or folder has to look there"
        )
    return tuple(models), places


def _hub(
    each: Keys, key: str, source: str, place: str, mount: str, models: list[HubModel], places: dict[str, str]
) -> None:
    """Adds one model of a hub, and where its folder is."""
    patterns = each.texts("allow_patterns")
    repo, _, revision = source.removeprefix("hf://").partition("@")
    named = each.text("revision")
    if not source.startswith("hf://"):
        each.leave(
            key, "nothing is downloaded from there: put the files into the project, and name them: models: [PATH]"
        )
        each.leave_all(dict.fromkeys((place, "revision", "allow_patterns", "ignore_patterns"), f"as its {key}"))
        return
    made = hub_model(each, repo, named or revision, patterns, models)
    if made is None:
        for each_key in (key, place, "revision", "allow_patterns"):
            each.done(each_key)
    else:
        models.append(made)
        each.take(key, f"models: hf: {repo}")
        each.take("revision", "models: revision")
        each.take("allow_patterns", "models: files")
        if mount:
            places[mount] = hub_folder(made)
        each.take(place, f"{hub_folder(made)}, also where the command and the variables name it")
    each.leave("ignore_patterns", "a model's files are chosen by patterns of what is taken: files: [...]")


def _secrets(keys: Keys) -> None:
    """Names the secrets, and never their values."""
    value = keys.value("secrets")
    if isinstance(value, Mapping):
        for name in list(value)[:200]:
            keys.reading.leave(
                f"secrets: {str(name)[:100]}",
                None,
                f"no secret goes into an image; at the start: modelcrate run -e TRUSS_SECRET_{str(name)[:100]}",
            )
        if any(value.values()):
            keys.reading.notices.append(
                f"secrets have values in {keys.reading.file.name}, which goes into the image with the sources: take them out, if they are real"
            )
        keys.done("secrets")
    elif value is not None:
        keys.wrong("secrets", "no mapping", "secrets: {NAME: null}")


def _external(keys: Keys) -> None:
    """Notes packages of other folders: those below the Truss are found, others are outside of the project."""
    for number, text in enumerate(keys.texts("external_package_dirs")):
        keys.reading.leave(
            f"external_package_dirs[{number}]",
            text,
            f"a project's paths stay in its folder: copy what is in it into packages/, which {SCRIPT} adds to sys.path, and run init again",
        )
    keys.done("external_package_dirs")
