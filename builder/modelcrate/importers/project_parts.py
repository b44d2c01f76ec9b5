"""What several tools say in much the same way, as parts of a project: Python's version, Debian packages, variables, labels, models of a hub."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from modelcrate.images.reference import HUB
from modelcrate.importers.keys import Keys
from modelcrate.importers.secrecy import is_secret
from modelcrate.pipeline.variables import FIXED
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.reading import parse_base_words
from modelcrate.project.values import AnyModel, Base, DebianBase, HubModel, RegistryBase
from modelcrate.resolve.debian.releases import by_python, nearest_python
from modelcrate_layers.errors import CrateError
from modelcrate_layers.patterns import compile_later

OWN_BASE = "do it once in an image of your own, and name that: base: IMAGE"
"""What to do about commands that change an image while it is built."""

NO_CUDA = "the packages bring CUDA: torch of the index does, and dependencies: {torch: cu126} takes the builds for one version"
RUNS_ELSEWHERE = "where it runs decides, not the image"
_LEFT_OUT = "it looks like a secret, and none goes into an image"
FOR_READERS = "it is for readers: labels: {NAME: VALUE}"

MAX_PATH, MAX_NAME = 4096, 255
"""Bytes of a path and of a name in it."""

_PYTHON = compile_later(r"(?:python|py)?\s*3\.?([0-9]{1,2})(?:\.[0-9x*]+)*", re.IGNORECASE)
_PACKAGE = compile_later(r"([a-z0-9][a-z0-9+.-]{1,100})(?::(?:any|native|amd64))?(=\S+)?")
_RENAMED = {"libgl1-mesa-glx": "libgl1", "libglx-mesa0-dev": "libgl-dev", "python3-distutils": "", "python3-pip": ""}
"""Packages that releases do not have any more, and what took their place; empty for what an image needs none of."""

_REPOSITORY = compile_later(r"([A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = compile_later(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,200}[A-Za-z0-9])?")
_NAME = compile_later(r"[A-Za-z_][A-Za-z0-9_]*")


def take_python(keys: Keys, key: str, own_base: bool = True) -> str | None:
    """Returns the version of Python that a key names, in two numbers; None where it names none that a base of ours has.

    Args:
        keys: The mapping.
        key: The key.
        own_base: Whether the base is made by us, and not an image that has its own Python.
    """
    raw = keys.value(key)
    text = keys.text(key)
    if not text:
        return None
    if isinstance(raw, float) and re.fullmatch(r"3\.[1-3]", text):
        keys.reading.notices.append(
            f"{key}: {text} is read as 3.{text[2:]}0, which YAML shortens where it has no quotes"
        )
        text += "0"
    found = _PYTHON.fullmatch(text)
    if found is None:
        keys.leave(key, 'it is no version of Python; write python: "3.11"')
        return None
    if not own_base:
        keys.leave(key, "the base's own Python is taken")
        return None
    named = f"3.{found[1]}"
    taken = nearest_python(named)
    if taken is None:
        have = ", ".join(release.python for release in by_python())
        keys.leave(key, f"no base of ours has that Python, but {have}; name an image that has it: base: IMAGE")
        return None
    keys.take(key, f'python: "{taken}"')
    if taken != named:
        keys.reading.notices.append(f"Python {named} is taken as {taken}, the oldest that a base of ours has")
    elif re.fullmatch(r"(python|py)?3\.?[0-9]+\.[0-9]+.*", text) and text.count(".") > 1:
        keys.reading.notices.append(f"Python {text} is taken as {taken}: the newest of that version which the base has")
    return taken


def take_base(keys: Keys, key: str) -> Base:
    """Returns the image that a key names as the base; ours where it names none. What is no image is a fault."""
    image = keys.text(key)
    if not image:
        return DebianBase()
    base: Base = DebianBase()
    with suppress(CrateError):  # by Docker's words, in which debian and scratch are images, too
        base = parse_base_words(f"registry:{image}" if "/" in image else f"registry:{HUB}/library/{image}")
    if isinstance(base, RegistryBase):
        keys.take(key, f"base: {base}")
        return base
    keys.wrong(
        key, f"no image: {image[:100]!r}", "expected for instance python:3.11-slim, or registry.example/team/base:1"
    )
    return DebianBase()


def take_packages(keys: Keys, key: str) -> tuple[str, ...]:
    """Returns the Debian packages that a list names."""
    kept = dict[str, None]()
    listed = keys.texts(key)
    for word in [word for line in listed for word in line.split()]:
        found = _PACKAGE.fullmatch(word.lower())
        name = _RENAMED.get(found[1], found[1]) if found else ""
        if found is None:
            keys.reading.leave(f"{keys.above}{key}", word, "it is no name of a Debian package")
        elif not name:
            keys.reading.leave(f"{keys.above}{key}", word, "an image needs it for nothing")
        else:
            kept[name] = None
            if name != found[1]:
                keys.reading.notices.append(f"the package {found[1]} is called {name} now")
            if found[2]:
                keys.reading.notices.append(
                    f"the package {name} is taken without {found[2]}: modelcrate lock pins versions"
                )
    if listed:
        keys.take(key, f"base: packages: {len(kept)}" if kept else "nothing is left of it")
    return tuple(kept)


def leave_commands(keys: Keys, key: str) -> None:
    """Names each command of a list, or of mappings with the key `command`, which would run while an image is built."""
    value = keys.value(key)
    items = value if isinstance(value, list) else [value] if value is not None else []
    for number, each in enumerate(items):
        place = f"{keys.above}{key}[{number}]" if isinstance(value, list) else f"{keys.above}{key}"
        command = each.get("command") if isinstance(each, Mapping) else each
        text = command if isinstance(command, str) else ""
        keys.reading.leave(place, text or each, _way_of(text))
    keys.done(key)


def _way_of(command: str) -> str:
    """Returns what to do about a command that a builder would run."""
    if re.search(r"\b(pip3?|uv pip)\s+install\b", command):
        return "no command runs while an image is made: name the packages in the dependencies; one without a wheel is built once: pip wheel -w wheels NAME"
    if re.search(r"\bapt(-get)?\s+(-\S+\s+)*install\b", command):
        return "no command runs while an image is made: name the packages: base: {from: debian, packages: [...]}"
    if re.search(r"\b(curl|wget|huggingface-cli|hf download|pget)\b", command):
        return "no command runs while an image is made: fetch the file into the project, or name a model of a hub: models: [{hf: ORG/NAME}]"
    return f"no command runs while an image is made: {OWN_BASE}"


def keep_labels(keys: Keys, key: str) -> dict[str, str]:
    """Returns the labels that a mapping names; what may be a secret is left out."""
    labels = {}
    for name, value in keys.pairs(key).items():
        if is_secret(name, value):
            keys.reading.leave(f"{keys.above}{key}: {name[:100]}", None, _LEFT_OUT)
        else:
            labels[name] = value
    keys.take(key, f"labels: {', '.join(labels)}" if labels else "nothing is left of it")
    return labels


def keep_variables(keys: Keys, key: str, variables: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """Returns the variables that an image may have; the others are left out with the reason. Values are not repeated: they may be secrets."""
    out = {}
    for name, value in variables.items():
        place = f"{keys.above}{key}: {name[:100]}"
        if not _NAME.fullmatch(name):  # which may be a line of a key, and is not repeated
            keys.reading.leave(f"{keys.above}{key}", None, "no variable can be called that")
        elif name in FIXED:
            keys.reading.leave(place, None, FIXED[name])
        elif "\n" in value and not is_secret(name, value):
            keys.reading.leave(place, None, "its value has several lines, and that of an image's variable has one")
        elif is_secret(name, value) or (value and name in secrets):
            why = f"it looks like a secret, and none goes into an image; at the start: modelcrate run -e {name}"
            keys.reading.leave(place, None, why)
        else:
            out[name] = value
    if out:
        keys.take(key, f"env: {', '.join(out)}")
    else:
        keys.take(key, "nothing is left of it")
    return out


def split_variables(keys: Keys, key: str, lines: Iterable[str]) -> dict[str, str]:
    """Returns the variables of lines NAME=VALUE."""
    out = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,60}", name):  # it may be a line of a key
            keys.reading.leave(f"{keys.above}{key}", None, "a line of it is no NAME=VALUE")
        elif equals:
            out[name.strip()] = value
        else:
            keys.reading.leave(
                f"{keys.above}{key}", name, "it has no value; at the start: modelcrate run -e NAME=VALUE"
            )
    return out


def take_labels(keys: Keys, reasons: Mapping[str, str]) -> dict[str, str]:
    """Returns labels for keys that say something to readers: by each key the name of its label."""
    out = {}
    for key, label in reasons.items():
        text = " ".join(", ".join(keys.texts(key)).split())
        if is_secret("", text):
            keys.reading.leave(f"{keys.above}{key}", None, _LEFT_OUT)
            keys.done(key)
        elif text and keys.take(key, f"labels: {label}"):
            out[label] = text
    return out


OCI = "org.opencontainers.image"
"""What the standard labels of an image begin with."""


def hub_model(
    keys: Keys, repo: str, revision: str = "", files: Iterable[str] = (), others: Iterable[AnyModel] = ()
) -> HubModel | None:
    """Returns a model of a hub; None for what is no repository there, which is a fault.

    Args:
        keys: Where it is named.
        repo: ORG/NAME.
        revision: A commit, a branch or a tag; empty for the default.
        files: Patterns of the files that are wanted.
        others: The models so far, whose names it can't have.
    """
    if not _REPOSITORY.fullmatch(repo) or (revision and (not _REVISION.fullmatch(revision) or ".." in revision)):
        keys.reading.fault(
            "not a repository of a hub" + ("" if ":" in repo else f": {repo[:100]!r}"),
            "expected ORG/NAME, and a commit, a branch or a tag",
        )
        return None
    name = free_name(repo.rpartition("/")[2], others)
    patterns = tuple(each for each in files if re.fullmatch(r"[^/\s][^\r\n]{0,254}", each))
    return HubModel(repo, name, revision or None, patterns)


def free_name(name: str, others: Iterable[AnyModel]) -> str:
    """Returns a name for a model that none of the others has, as much like this one as names of models can be."""
    names = {each.name for each in others}
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:240] or "model"
    return next(
        each
        for number in range(1, len(names) + 2)
        if (each := plain if number == 1 else f"{plain}-{number}") not in names
    )


def hub_folder(model: HubModel) -> str:
    """Returns the folder of the image in which the files of a hub's model are."""
    return f"{APP_ROOT}/azureml-models/{model.name}/{model.version}/{model.repo.rpartition('/')[2]}"


def moved(text: str, places: Mapping[str, str]) -> str:
    """Returns a text in which folders are named by their new places."""
    for old in sorted(places, key=len, reverse=True):
        text = re.sub(rf"(?<![\w./-]){re.escape(old.rstrip('/'))}(?![\w.-])", places[old].replace("\\", r"\\"), text)
    return text


def plain_words(text: str) -> str:
    """Returns a text as it may stand in a remark of a program that we write: nothing in it ends the remark."""
    return re.sub(r"[^\w ./:@+-]", "_", text)


def inside(keys: Keys, text: str) -> Path | None:
    """Returns a path that stays in the folder of the file; None for another, which is a fault."""
    path = PurePosixPath(text.replace("\\", "/"))
    plain = PurePosixPath(*[part for part in path.parts if part != "."])
    if (
        not text.isprintable()
        or re.match("[A-Za-z]:", text)
        or plain.is_absolute()
        or ".." in plain.parts
        or "://" in text
        or text.startswith("~")
        or len(text.encode()) > MAX_PATH
        or any(len(part.encode()) > MAX_NAME for part in plain.parts)
    ):
        keys.reading.fault(
            f"{text[:200]!r} is not in the folder of the file",
            "a project's paths stay in its folder: copy it there, or link it by its content, and name that",
        )
        return None
    return Path(plain)
