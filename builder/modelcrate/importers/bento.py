"""bentofile.yaml of BentoML: its own server, started as `bentoml serve`.

https://docs.bentoml.com/en/latest/reference/bentoml/bento-build-options.html has the keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import Keys, Reading
from modelcrate.importers.project_parts import (
    MAX_PATH,
    NO_CUDA,
    OCI,
    OWN_BASE,
    inside,
    keep_variables,
    plain_words,
    split_variables,
    take_labels,
    take_packages,
    take_python,
)
from modelcrate.importers.requirement_lines import Needs, make_needs
from modelcrate.net.urls import is_address
from modelcrate.project.conda import parse_conda, read_conda
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.reading import parse_base_words
from modelcrate.project.values import (
    Base,
    Command,
    Conda,
    DebianBase,
    Dependencies,
    Project,
    RegistryBase,
    project_name,
)
from modelcrate_layers.errors import CrateError
from modelcrate_layers.named_file import read_source

TOOL = "BentoML"
NAMES = ("bentofile.yaml", "bentofile.yml")

PORT = 3000
HEALTH = "/readyz"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - the addresses of the container
IGNORED = ".modelcrateignore"
STORE = "bento-store"
"""The folder of the project with the models out of BentoML's store, as the store has them."""

_SERVICE = re.compile(r"[\w./-]{1,200}(:[A-Za-z_]\w*)?")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_SPEC = re.compile(r"([A-Za-z0-9._/-]+::)?[A-Za-z0-9_][A-Za-z0-9._-]*([ =<>!~\[].{0,200})?")
"""A package of conda, as a project file takes it."""


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
    keys = reading.keys(reading.load(), unknown="a bentofile has no such key")
    service = _service(keys)
    name = _name(keys, file)
    docker = keys.mapping("docker") or reading.keys({})
    base, python = _base(docker)
    section = keys.mapping("python") or reading.keys({})
    needs, of_conda = _needs(keys, section)
    env = _variables(keys, docker) | _models(keys, name) | _paths(section, name)
    labels = keys.pairs("labels")
    keys.take("labels", f"labels: {', '.join(labels)}")
    if str(keys.data.get("description") or "").startswith("file:"):
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
    return reading.finish(project, [*needs.files, *_ignored(keys)])


def _service(keys: Keys) -> str:
    service = keys.text("service")
    if not service:
        keys.reading.notices.append("no service is named: `bentoml serve .` looks for one in service.py")
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
    image = docker.text("base_image")
    base: Base = DebianBase()
    if image:
        try:
            base = parse_base_words(image)
        except CrateError as fault:
            docker.wrong("base_image", f"no image: {image[:100]!r}", fault.hint)
        docker.take("base_image", f"base: {image}")
    ours = not isinstance(base, RegistryBase)
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


def _needs(keys: Keys, python: Keys) -> tuple[Needs, str | None]:
    """Returns the packages with BentoML itself, and the Python that conda's names."""
    reading = keys.reading
    named, lines = python.text("requirements_txt"), python.texts("packages")
    file = inside(python, named) if named else None
    conda, of_conda, more = _conda(keys)
    needs = make_needs(reading, file, lines if file is None else (), ("bentoml", *more))
    if "bentoml" in needs.added:
        reading.notices.append(
            "the newest BentoML that fits is taken; name the version that the service was written for in the requirements"
        )
    python.take("requirements_txt", f"dependencies: {needs.dependencies.requirements}")
    if file is not None:
        python.leave("packages", "BentoML passes over it beside requirements_txt")
    python.take("packages", "dependencies")
    found = _indexes(python, replace(needs.dependencies, conda=conda))
    python.leave_all(
        {
            "lock_packages": "modelcrate lock pins the packages, and build --locked takes no others",
            "pack_git_packages": "an image takes wheels: pip wheel --no-deps -w wheels git+URL, and dependencies: {wheelhouse: wheels}",
            "trusted_host": "certificates are always checked; one's own are in SSL_CERT_FILE",
            "pip_args": "pip does not run; what it is told belongs into the requirements file",
            "wheels": "name their folder, and the packages by name: dependencies: {wheelhouse: FOLDER}",
        }
    )
    return replace(needs, dependencies=found), of_conda


def _indexes(python: Keys, needs: Dependencies) -> Dependencies:
    """Returns the dependencies with the places that packages come from."""
    index, more = python.text("index_url"), python.texts("extra_index_url")
    if python.flag("no_index"):
        python.leave("index_url", "no_index says that there is none")
        python.leave("extra_index_url", "no_index says that there is none")
        index, more = "", ()
    python.take("no_index", "a wheelhouse alone is searched without an index")
    good = [each for each in more if is_address(each) and "@" not in each.split("/")[2]]
    if index and is_address(index) and "@" not in index.split("/")[2]:
        needs = replace(needs, index_url=index)
        python.take("index_url", "dependencies: index-url")
    python.leave("index_url", "a project file has no passwords: name the index in uv's or pip's own settings")
    if good:
        needs = replace(needs, extra_index_urls=tuple(good))
        python.take("extra_index_url", f"dependencies: extra-index-url: {len(good)}")
    python.leave("extra_index_url", "a project file has no passwords: name the index in uv's or pip's own settings")
    links = python.texts("find_links")
    local = [each for each in links if "://" not in each and not each.startswith("-")]
    if len(links) == 1 and local and len(local[0]) <= MAX_PATH:
        needs = replace(needs, wheelhouse=Path(local[0]))
        python.take("find_links", "dependencies: wheelhouse")
    python.leave("find_links", "write it into the requirements file: --find-links PLACE")
    return needs


def _conda(keys: Keys) -> tuple[Conda | None, str | None, tuple[str, ...]]:
    """Returns the packages of conda, the Python that they name, and the lines of the pip section."""
    conda = keys.mapping("conda")
    if conda is None:
        return None, None, ()
    named = conda.text("environment_yml")
    channels, packages, pip = conda.texts("channels"), conda.value("dependencies"), conda.texts("pip")
    document = {"channels": list(channels), "dependencies": packages or []}
    if pip and isinstance(packages, list | None):
        document["dependencies"] = [*(packages or []), {"pip": list(pip)}]
    try:
        path = inside(conda, named) if named else None
        where = keys.reading.file.parent / path if path is not None else keys.reading.file
        found = parse_conda(read_source(where), str(where)) if path is not None else read_conda(document, str(where))
    except CrateError as fault:
        keys.reading.missing.append(fault.sentence)
        found = read_conda({"dependencies": []}, "")
    conda.take("environment_yml", "dependencies: conda")
    for key in ("channels", "dependencies", "pip"):
        if named:
            conda.leave(key, "BentoML passes over it beside environment_yml")
        conda.take(key, "dependencies")
    keys.reading.notices += [f"conda: {each}" for each in found.unread]
    good = tuple(each for each in found.packages if _SPEC.fullmatch(each))
    for each in found.packages:
        if each not in good:
            keys.reading.leave("conda.dependencies", each, "it is no package of conda")
    made = Conda(good, found.channels) if good else None
    return made, found.python, tuple(line for line in found.pip if not line.startswith("-"))


def _variables(keys: Keys, docker: Keys) -> dict[str, str]:
    """Returns the variables of `docker.env`, which may be a file, and of `envs`."""
    given = docker.data.get("env")
    env = dict[str, str]()
    if isinstance(given, str):
        path = inside(docker, docker.text("env"))
        try:
            text = read_source(keys.reading.file.parent / path).decode("utf-8", "replace") if path is not None else ""
        except CrateError as fault:
            keys.reading.missing.append(fault.sentence)
            text = ""
        plain = [line.strip().removeprefix("export ") for line in text.splitlines()]
        lines = [line for line in plain if line and not line.startswith("#")]
        env = {name: value.strip("\"'") for name, value in split_variables(docker, "env", lines).items()}
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
        env |= keep_variables(each, "name", {name: value}) if value else {}
        each.take("value", "env")
        each.take("stage", "the variables of an image are there when it runs")
    return env


def _models(keys: Keys, name: str) -> dict[str, str]:
    """Returns the variable with the place of the store, where models are named. They are on this machine alone, outside of the project."""
    found = False
    for each in keys.mappings("models", "tag"):
        tag = each.text("tag")
        stored = tag.partition(":")[0]
        if not _MODEL.fullmatch(stored):
            each.leave_all(dict.fromkeys(("tag", "filter", "alias"), "it is no name of a model in BentoML's store"))
            continue
        found = True
        if not (keys.reading.file.parent / STORE / "models" / stored).is_dir():
            keys.reading.missing.append(
                f"the model {tag[:100]} is in BentoML's store, outside of the project: "
                f'mkdir -p {STORE}/models && cp -RL "${{BENTOML_HOME:-$HOME/bentoml}}/models/{stored[:100]}" {STORE}/models/'
            )
        each.take("tag", f"{STORE}/models/{stored}, where BENTOML_HOME says")
        each.leave("filter", "all files of the model are taken")
        each.leave("alias", "the code names the model by its tag")
    return {"BENTOML_HOME": f"{APP_ROOT}/{name}/{STORE}"} if found else {}


def _paths(python: Keys, name: str) -> dict[str, str]:
    wanted = python.flag("is_src_layout")
    python.take("is_src_layout", "env: PYTHONPATH" if wanted else "the sources are found as they are")
    return {"PYTHONPATH": f"{APP_ROOT}/{name}/src"} if wanted else {}


def _ignored(keys: Keys) -> Iterator[tuple[str, str]]:
    """Yields the list of what stays out of the image, by the patterns of `include` and `exclude`, which have Git's grammar in both tools."""
    include, exclude = keys.texts("include"), keys.texts("exclude")
    folder = keys.reading.file.parent
    try:
        own = read_source(folder / ".bentoignore").decode("utf-8", "replace").splitlines()
    except CrateError:
        own = []
    chosen = include if include and "*" not in include else ()
    for key, given in (("include", include), ("exclude", exclude)):
        if given:
            keys.take(key, f"{IGNORED}" if chosen or exclude else "the whole folder goes into the image, as it says")
    if not (chosen or exclude or own):
        return
    wanted = [
        line
        for each in chosen
        for plain in [each.removeprefix("./").rstrip("/")]
        for line in (f"!{plain}", f"!{plain}/**")
    ]
    store = [f"!{STORE}/**"] if "models" in keys else []
    lines = [*(["*", "!*/", *wanted, *store] if chosen else []), *exclude, *own]
    if (folder / IGNORED).exists():
        keys.reading.notices.append(
            f"{IGNORED} is there already and stays as it is; include and exclude say: {', '.join(lines)[:300]}"
        )
        return
    yield (
        IGNORED,
        "".join(
            f"{line}\n"
            for line in [
                f"# What {plain_words(keys.reading.file.name)} leaves out, made from it by modelcrate init.",
                *lines,
            ]
        ),
    )
