"""The build behind every plug-in: an image for code that an orchestrator starts, from values instead of a project file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from modelcrate.api import as_session
from modelcrate.config import Config
from modelcrate.events import Event, Notice
from modelcrate.images.reference import Reference
from modelcrate.net.errors import NotFound
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.request import Request
from modelcrate.project.reading import parse_project
from modelcrate.project.values import DebianBase, Project, RegistryBase, model_name
from modelcrate.transports.addresses import find
from modelcrate.transports.output import Output
from modelcrate.transports.registry import RegistryOutput
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass, field, replace

Tell = Callable[[str], None]
"""Gets what a build has to say, a sentence at a time."""

WRITABLE = "/tmp"  # noqa: S108 - of the container: the one folder that everybody may write
"""Where code is loaded that the orchestrator sends to a running container."""

REQUIREMENTS = "requirements.txt"

_FOLDERS = (
    "bin",
    "boot",
    "home",
    "lib",
    "lib32",
    "lib64",
    "media",
    "mnt",
    "opt",
    "root",
    "sbin",
    "srv",
    "tmp",
    "usr",
    "var",
)
_BELOW_USR = (
    "bin",
    "include",
    "lib",
    "lib32",
    "lib64",
    "libexec",
    "local",
    "local/bin",
    "local/lib",
    "local/sbin",
    "sbin",
    "share",
    "src",
)
_FOLDERS_OF_THE_SYSTEM = frozenset((*(f"/{each}" for each in _FOLDERS), *(f"/usr/{each}" for each in _BELOW_USR)))
_TREES_OF_THE_SYSTEM = ("/dev", "/etc", "/proc", "/run", "/sys", "/var/azureml-app", "/opt/modelcrate")


@dataclass(frozen=True, slots=True)
class RuntimeImage:
    """An image for code that an orchestrator starts.

    Attributes:
        name: The name of the image; it may be a whole reference.
        base: The reference of the image below; empty for Debian, made by modelcrate.
        requirements: The lines of a requirements file; files that they name are named by absolute paths.
        source: The folder of the code in the folder of the build; None where the orchestrator sends it to the running container.
        program: The program that the container starts; empty for the base's, or for the one that the orchestrator names.
        keys: Other keys of a project file, as in modelcrate.yaml.
        interpreter: The path of the base's Python.
        alias: Another path of the image that leads to the code, where the orchestrator looks for it.
    """

    name: str
    base: str = ""
    requirements: Sequence[str] = ()
    source: Path | None = None
    program: Sequence[str] = ()
    keys: Mapping[str, Any] = field(default_factory=dict, hash=False)
    interpreter: str = ""
    alias: str = ""


def project_of(image: RuntimeImage) -> Project:
    """Returns the project of an image.

    Raises:
        UserError: A value is none that a project file could have.
    """
    reference = Reference.parse(image.name)
    keys: dict[str, Any] = {"name": model_name(Path(reference.repository)) or "image", **image.keys}
    keys.setdefault("base", {"from": "debian", "shell": True})  # orchestrators start programs through a shell
    if image.requirements:
        keys["dependencies"] = {**keys.get("dependencies", {}), "requirements": REQUIREMENTS}
    keys |= {"command": list(image.program) or ["python3"]}
    keys |= {"source": image.source.name} if image.source is not None else {"workdir": WRITABLE}
    project = parse_project(json.dumps(keys, indent=1).encode(), f"the settings of {image.name}")
    assert project.command is not None, "it was named above"
    base = project.base
    if image.base:
        if not isinstance(base, DebianBase) or base.packages:
            raise UserError(
                f"Debian packages can't be added to {image.base}: {', '.join(image.keys['base']['packages'])}",
                why="they are installed by programs, and no program runs while an image is made",
                hint="leave out the base image: modelcrate makes one of Debian with these packages; or name a base that has them",
            )
        base = RegistryBase(str(Reference.parse(image.base)), _absolute(image.interpreter))
    path = [str(project.env.get("PYTHONPATH", "")), WRITABLE]
    env = {**project.env, "PYTHONPATH": ":".join(filter(None, path))}
    command = replace(project.command, argv=tuple(image.program), alias=_alias(image.alias))
    return replace(project, base=base, env=env, command=command)


def build(image: RuntimeImage, folder: Path, *, push: bool, settings: Config | None = None, tell: Tell) -> Receipt:
    """Builds an image and delivers it.

    Args:
        image: The image.
        folder: The folder of the build, which is the plug-in's own: it has the code, and gets the requirements.
        push: Whether it goes to its registry; else it goes to the local store, under its name.
        settings: The configuration; by default that of the process.
        tell: Gets notices.

    Returns:
        The receipt.

    Raises:
        CrateError: The image can't be built or delivered; nothing incomplete is left.
    """
    project = project_of(image)
    if image.requirements:
        (folder / REQUIREMENTS).write_text(
            "".join(f"{line}\n" for line in image.requirements), encoding="utf-8", newline="\n"
        )
    output: Output = RegistryOutput.of(Reference.parse(image.name)) if push else StoreOutput(image.name)

    def emit(event: Event) -> None:
        if isinstance(event, Notice):
            tell(event.text)

    with as_session(settings, emit) as session:
        return session.build(Request(project, folder, (output,), use_lock=False)).receipt


def exists(name: str, *, pushed: bool, settings: Config | None = None) -> bool:
    """Returns whether an image is in its registry, or in the local store.

    Raises:
        CrateError: The registry can't be asked, so nothing is known.
    """
    with as_session(settings, lambda _: None) as session:
        try:
            find(f"registry:{name}" if pushed else name, session.connections).read()
        except (NotFound, SourceError):
            return False
    return True


def refuse(what: str, hints: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """Refuses settings that an image without RUN lines can't fulfil.

    Args:
        what: Whose settings they are.
        hints: What to do instead, by the names of settings that are refused.
        given: The settings that were given.

    Raises:
        UserError: There are such settings; all of them are named.
    """
    refused = [name for name in given if name in hints]
    if refused:
        raise UserError(
            f"{what} can't have {', '.join(refused)}",
            hint="; ".join(f"{name}: {hints[name]}" for name in refused),
        )


def _alias(path: str) -> PurePosixPath | None:
    """Returns the path of a link to the code; None for an empty one.

    Raises:
        UserError: The link would stand in the place of a folder that the base or modelcrate has.
    """
    found = _absolute(path)
    if found is not None and (
        str(found) in _FOLDERS_OF_THE_SYSTEM or any(found.is_relative_to(tree) for tree in _TREES_OF_THE_SYSTEM)
    ):
        raise UserError(
            f"the code can't be in {found}",
            why="a link to it would stand in the place of a folder of the system",
            hint="name a folder of its own, such as /app",
        )
    return found


def _absolute(path: str) -> PurePosixPath | None:
    """Returns a path of the image; None for an empty one."""
    if not path:
        return None
    if not path.startswith("/") or ".." in path.split("/") or not path.strip("/"):
        raise UserError(f"{path!r} is no path of an image", hint="name it from the root, such as /usr/bin/python3")
    return PurePosixPath("/" + path.strip("/"))
