"""bentofile.yaml of BentoML, or the same keys in pyproject.toml under [tool.bentoml.build]: its own server, started as `bentoml serve`.

https://docs.bentoml.com/en/latest/reference/bentoml/bento-build-options.html has the keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from modelcrate.importers.bento_models import loaded_models
from modelcrate.importers.bento_packages import take_needs
from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import (
    NO_CUDA,
    OCI,
    OWN_BASE,
    inside,
    keep_labels,
    keep_variables,
    plain_words,
    split_variables,
    take_base,
    take_labels,
    take_packages,
    take_python,
)
from modelcrate.importers.reading import Reading
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import (
    Base,
    Command,
    DebianBase,
    Project,
    project_name,
)
from modelcrate.resolve.declared.toml_files import parse_toml
from modelcrate.resolve.requirement_lines import read_text
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.patterns import compile_later

TOOL = "BentoML"
NAMES = ("bentofile.yaml", "bentofile.yml")
PYPROJECT = "pyproject.toml"

PORT = 3000
HEALTH = "/readyz"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - the addresses of the container
IGNORED = ".modelcrateignore"
STORE = "bento-store"
"""The folder of the project with the models out of BentoML's store, as the store has them."""

_SERVICE = compile_later(r"[\w./-]{1,200}(:[A-Za-z_]\w*)?")
_QUOTED = compile_later(r"""'((?:\\'|[^'])*)'[ \t]*(?:#.*)?\Z|"((?:\\"|[^"])*)"[ \t]*(?:#.*)?\Z""", re.DOTALL)
_ESCAPE, _ESCAPED = compile_later(r"\\([\\'\"abfnrtv])"), dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_MODEL = compile_later(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


def recognises(data: Mapping[str, object]) -> bool:
    """Returns whether a mapping is that of a bentofile."""
    known = {"service", "include", "exclude", "python", "docker", "conda", "labels", "models", "envs", "description"}
    return isinstance(data.get("service"), str) and (len(known & set(data)) > 1 or ":" in str(data["service"]))


def read(file: Path) -> Imported:
    """Reads a bentofile.

    Raises:
        SourceError: It can't be read.
        UserError: It has faults.
    """
    reading = Reading(file, TOOL)
    loaded = _load(reading)
    if "bentoml_version" in loaded and "creation_time" in loaded:
        hint = "name the bentofile.yaml or pyproject.toml of the project that it was built from"
        raise UserError("is of a Bento that was built, whose sources are in other places", where=str(file), hint=hint)
    keys = reading.keys(loaded, unknown="a bentofile has no such key")
    service = _service(keys)
    name = _name(keys, file)
    docker = keys.mapping("docker") or reading.keys({})
    base, python = _base(docker)
    section = keys.mapping("python") or reading.keys({})
    needs, of_conda = take_needs(keys, section)
    models = _models(keys, name, loaded_models(keys.reading, service))
    env = _variables(keys, docker) | models | _paths(section, name)
    labels = keep_labels(keys, "labels")
    about = keys.data.get("description")
    if isinstance(about, str) and about.startswith("file:"):
        keys.leave("description", "a label has one line: labels: {org.opencontainers.image.description: TEXT}")
    labels |= take_labels(keys, {"description": f"{OCI}.description"})
    keys.leave("args", "a service of an image is told by variables: env: {NAME: VALUE}")
    argv = ("bentoml", "serve", service, "--host", EVERYWHERE, "--port", str(PORT))
    command = Command(argv, Path(), (PORT,), health=HEALTH)
    project = Project(
        name,
        None,
        python=python or of_conda,
        base=base,
        dependencies=needs.dependencies,
        env=env,
        labels=labels,
        command=command,
    )
    return reading.finish(project, [*needs.files, *_ignored(keys, bool(models))])


def _load(reading: Reading) -> Mapping[str, object]:
    if reading.file.name != PYPROJECT:
        return reading.load()
    data = section_of(reading.file)
    if data is None:
        raise UserError(
            "has no [tool.bentoml.build]", where=str(reading.file), hint="name the configuration of the model"
        )
    return data


def section_of(file: Path) -> Mapping[str, object] | None:
    """Returns what a pyproject.toml says to BentoML; None where it says nothing.

    Raises:
        SourceError: It can't be read.
        UserError: It is no TOML.
    """
    data: object = parse_toml(read_text(file), file)
    for name in ("tool", "bentoml", "build"):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else None


def _service(keys: Keys) -> str:
    service = keys.text("service")
    if not service:
        keys.reading.notices.append("no service is named: `bentoml serve .` looks for one in service.py")
        if not (keys.reading.file.parent / "service.py").is_file():
            keys.reading.missing.append("service.py is not there, and no other service is named: service: MODULE:CLASS")
        return "."
    if not _SERVICE.fullmatch(service) or service.startswith("-"):
        keys.wrong(
            "service", f"no reference to a service: {service[:100]!r}", 'expected for instance "service:Summarize"'
        )
        return service
    module = service.partition(":")[0].removesuffix(".py")
    path = Path(*PurePosixPath(module.replace(".", "/") if "/" not in module else module).parts)
    place = keys.reading.file.parent
    if not ((place / path).with_suffix(".py").is_file() or (place / path / "__init__.py").is_file()):
        keys.reading.missing.append(f"{path.as_posix()}.py is not there, which service names")
    keys.take("service", "command")
    return service


def _name(keys: Keys, file: Path) -> str:
    named = project_name(keys.text("name"))
    keys.take("name", f"name: {named}") if named else keys.leave("name", "it has no letter for a name")
    return named or project_name(file.absolute().parent.name) or "model"


def _base(docker: Keys) -> tuple[Base, str | None]:
    """Returns the base, and Python's version where the base is ours."""
    base = take_base(docker, "base_image")
    ours = isinstance(base, DebianBase)
    python = take_python(docker, "python_version", ours)
    if ours:
        base = DebianBase(packages=take_packages(docker, "system_packages"))
    else:
        docker.leave("system_packages", "the base has to bring them, and BentoML passes over them, too")
    distro = docker.text("distro")
    if distro == "debian" and ours:
        docker.take("distro", "base: debian")
    docker.leave_all(
        {
            "distro": "a base of ours is made of Debian's packages, and another is an image: base: IMAGE",
            "cuda_version": NO_CUDA,
            "setup_script": f"no script runs while an image is made: {OWN_BASE}",
            "dockerfile_template": f"no Dockerfile is built: {OWN_BASE}",
        }
    )
    return base, python


def _variables(keys: Keys, docker: Keys) -> dict[str, str]:
    """Returns the variables of `docker.env`, which may be a file, and of `envs`."""
    given = docker.data.get("env")
    env = dict[str, str]()
    if isinstance(given, str):
        path = inside(docker, docker.text("env"))
        try:
            text = keys.reading.beside(path).decode("utf-8", "replace") if path is not None else ""
        except CrateError as fault:
            keys.reading.missing.append(fault.sentence)
            text = ""
        if path is not None and not (keys.reading.file.parent / path).exists():
            keys.reading.missing.append(f"{path} is not there, which docker.env names")
        lines = _lines(text.removeprefix("\ufeff"))
        env = {name: _plain_value(value) for name, value in split_variables(docker, "env", lines).items()}
    elif isinstance(given, list):
        env = split_variables(docker, "env", docker.texts("env"))
    else:
        env = docker.pairs("env")
    env = keep_variables(docker, "env", env)
    for each in keys.mappings("envs"):
        name, value, stage = each.text("name"), each.text("value"), each.text("stage")
        if stage == "build":
            each.leave_all(dict.fromkeys(("name", "value", "stage"), "nothing runs while an image is made"))
            continue
        if not value:
            each.leave("name", "it has no value; at the start: modelcrate run -e NAME=VALUE")
        kept = keep_variables(each, "name", {name: value}) if value else {}
        env |= kept
        if kept:
            each.take("value", "env")
        elif value:
            each.done("value")
            each.reading.leave(f"{each.above}value", None, "as its name")
        each.take("stage", "the variables of an image are there when it runs")
    return env


def _plain_value(text: str) -> str:
    """Returns a value without its quotes, and without the comment behind it, as python-dotenv reads it: without quotes it begins behind a space."""
    text = text.strip()
    if found := _QUOTED.match(text):
        if found[1] is not None:
            return re.sub(r"\\([\\'])", r"\1", found[1])
        return _ESCAPE.sub(lambda each: _ESCAPED.get(each[1], each[1]), found[2])
    return re.sub(r"\s+#.*", "", text)


def _lines(text: str) -> list[str]:
    """Returns the lines NAME=VALUE of a file of variables. A value in quotes and a key in PEM may go over several lines, which are one here."""
    joined = list[str]()
    ends = ""
    for line in text.splitlines():
        if ends:
            joined[-1] += f"\n{line}"
            ends = "" if ends in line else ends
            continue
        plain = line.strip().removeprefix("export ")
        if not plain or plain.startswith("#"):
            continue
        joined.append(plain)
        value = plain.partition("=")[2].strip()
        if value[:1] in ('"', "'") and value.count(value[0]) == 1:
            ends = value[0]
        elif "-----BEGIN" in plain and "-----END" not in plain:
            ends = "-----END"
    return joined


def _models(keys: Keys, name: str, loaded: Mapping[str, str]) -> dict[str, str]:
    """Returns the variable with the place of the store, where models are named. They are on this machine alone, outside of the project.

    Args:
        keys: Those of the file.
        name: The name of the project.
        loaded: The models that the code loads, and where it does. BentoML finds them, too, when it builds.
    """
    found = dict[str, str]()
    for each in keys.mappings("models", "tag"):
        tag = each.text("tag")
        stored = tag.partition(":")[0]
        if not _MODEL.fullmatch(stored):
            each.leave_all(dict.fromkeys(("tag", "filter", "alias"), "it is no name of a model in BentoML's store"))
            continue
        found[stored] = tag
        each.take("tag", f"{STORE}/models/{stored}, where BENTOML_HOME says")
        each.leave("filter", "all files of the model are taken")
        each.leave("alias", "the code names the model by its tag")
    for tag, where in loaded.items():
        stored = tag.partition(":")[0]
        if _MODEL.fullmatch(stored) and stored not in found:
            found[stored] = tag
            keys.reading.notices.append(
                f"{where} loads the model {tag[:100]}: {STORE}/models/{stored}, where BENTOML_HOME says"
            )
    keys.reading.missing += [
        f"the model {tag[:100]} is in BentoML's store, outside of the project: "
        f'mkdir -p {STORE}/models && cp -RL "${{BENTOML_HOME:-$HOME/bentoml}}/models/{stored[:100]}" {STORE}/models/'
        for stored, tag in found.items()
        if not (keys.reading.file.parent / STORE / "models" / stored).is_dir()
    ]
    return {"BENTOML_HOME": f"{APP_ROOT}/{name}/{STORE}"} if found else {}


def _paths(python: Keys, name: str) -> dict[str, str]:
    wanted = python.flag("is_src_layout")
    python.take("is_src_layout", "env: PYTHONPATH" if wanted else "the sources are found as they are")
    return {"PYTHONPATH": f"{APP_ROOT}/{name}/src"} if wanted else {}


def _ignored(keys: Keys, stored: bool) -> Iterator[tuple[str, str]]:
    """Yields the list of what stays out of the image, by the patterns of `include` and `exclude`, which have Git's grammar in both tools.

    `stored` says whether models of BentoML's store are in the folder.
    """
    include, exclude = keys.texts("include"), keys.texts("exclude")
    own = keys.reading.beside(".bentoignore").decode("utf-8", "replace").splitlines()
    chosen = include if include and "*" not in include else ()
    for key, given in (("include", include), ("exclude", exclude)):
        if given:
            keys.take(key, f"{IGNORED}" if chosen or exclude else "the whole folder goes into the image, as it says")
    if not (chosen or exclude or own):
        return
    wanted = [
        line
        for each in chosen
        for plain in [each.removeprefix("!").removeprefix("./").rstrip("/")]
        for line in ([plain] if each.startswith("!") else [f"!{plain}", f"!{plain}/**"])
    ]
    escaped = [f"\\{each}" if each.startswith("#") else each for each in wanted]
    store = [f"!{STORE}/**"] if stored else []
    left_out = [f"\\{each}" if each.startswith("#") else each for each in exclude]
    lines = [*(["*", "!*/", *escaped, *store] if chosen else []), *left_out, *own]
    head = f"# What {plain_words(keys.reading.file.name)} leaves out, made from it by modelcrate init."
    text = "".join(f"{line}\n" for line in [head, *lines])
    if os.path.lexists(keys.reading.file.parent / IGNORED) and keys.reading.beside(IGNORED) != text.encode():
        keys.reading.notices.append(
            f"{IGNORED} is there already and stays as it is; include and exclude say: {', '.join(lines)[:300]}"
        )
        return
    yield IGNORED, text
