"""A Truss whose configuration names its own server (`docker_server`): the program that is started, and where it answers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import inside, moved
from modelcrate.importers.secrecy import has_argument
from modelcrate.importers.truss_class import take_needs, take_runtime
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import Command, DebianBase, Project, RegistryBase
from modelcrate_layers.frozen import replace

_SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash")
_NO_CLASS = ("model_class_filename", "model_class_name", "trt_llm")
_FOLDERS = (
    ("data_dir", "data", "/app/data"),
    ("model_module_dir", "model", "/app/model"),
    ("bundled_packages_dir", "packages", "/packages"),
)
"""Keys for folders of the sources, their usual names, and where Truss puts them."""


def command_project(
    keys: Keys, server: Keys, project: Project, places: Mapping[str, str]
) -> tuple[Project, list[tuple[str, str]]]:
    """Returns the project that starts the server, and the files that are written for it.

    Args:
        keys: The keys of the configuration.
        server: Those of `docker_server`.
        project: What the other keys say.
        places: The folders that the file names for models, and where they are in the image.
    """
    needs, sources = take_needs(keys, ()), _sources(keys)
    places = {**places, **_folders(keys, project.name, sources)}
    argv = _words(moved(server.text("start_command"), places))
    if has_argument(server.text("start_command")):
        server.reading.fault(
            "docker_server.start_command has a secret in it, and none goes into an image",
            'name a variable there, sh -c "... --api-key $API_KEY", and give it at the start: modelcrate run -e API_KEY',
        )
    in_shell = argv[:1] == ("sh",)
    server.take("start_command", "command, in a shell" if in_shell else "command")
    if not argv and not isinstance(project.base, RegistryBase):
        server.reading.fault("names no command to start", "docker_server: {start_command: ...}")
    port = server.number("server_port")
    if port is not None and not 1 <= port <= 65535:
        server.wrong("server_port", "no port", "expected for instance 8000")
        port = None
    server.take("server_port", "ports")
    health = _health(server)
    user = server.number("run_as_user_id")
    if user is not None and not 0 <= user < 2**32 - 1:
        server.wrong("run_as_user_id", "no user id", "expected for instance 1000")
        user = None
    server.take("run_as_user_id", f"user: {user}:0")
    server.flag("no_build")
    server.take("no_build", "without layers of ours, the image is the base's")
    if (runtime := keys.mapping("runtime")) is not None:
        runtime.leave("predict_concurrency", "the server's own options decide that, which are in the command")
        take_runtime(runtime)
    keys.leave_all(dict.fromkeys(_NO_CLASS, "docker_server starts a program, and no model class"))
    base = project.base
    if in_shell and isinstance(base, DebianBase):
        base = replace(base, shell=True)  # noqa: S604 - says that the image has one
    project = replace(
        project, base=base, dependencies=needs.dependencies, user=project.user if user is None else f"{user}:0"
    )
    if argv:
        command = Command(argv, sources, (port,) if port else (), health=health if port else "")
        project = replace(project, command=command)
    return project, list(needs.files)


def _health(server: Keys) -> str:
    """Returns the path that says that the server is ready."""
    ready, alive = server.text("readiness_endpoint"), server.text("liveness_endpoint")
    taken = next((each for each in (ready, alive) if re.fullmatch(r"/[!-~]*", each)), "")
    for key, path in (("readiness_endpoint", ready), ("liveness_endpoint", alive)):
        if path == taken:
            server.take(key, f"health: {taken}")
        server.leave(key, "an image has one path for health, the one that says that it is ready")
    asked = server.text("predict_endpoint")
    server.take("predict_endpoint", f"nothing stands before the server: requests go to {asked} itself")
    return taken


def _folders(keys: Keys, name: str, sources: Path | None) -> dict[str, str]:
    """Returns where the folders of a Truss are in the image, by their places in Truss's own."""
    found = {}
    for key, usual, there in _FOLDERS:
        path = inside(keys, keys.text(key) or usual)
        if path is not None and sources is not None and (keys.reading.file.parent / path).is_dir():
            found[there] = f"{APP_ROOT}/{name}/{path.as_posix()}"
            keys.take(key, f"{found[there]}, also where the command names {there}")
        keys.leave(key, "the sources have no such folder")
    return found


def _sources(keys: Keys) -> Path | None:
    """Returns the folder of the sources; None where there is nothing but the configuration."""
    found = [each.name for each in keys.reading.file.parent.iterdir() if not each.name.startswith(".")]
    if any(each.endswith((".py", ".sh")) or each in ("data", "packages", "model", "src", "app") for each in found):
        return Path()
    keys.reading.notices.append("no sources go into the image: the folder has no programs; source: . takes it along")
    return None


def _words(text: str) -> tuple[str, ...]:
    """Returns the words of a command; where only a shell understands it, the shell is started."""
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        return ("sh", "-c", text)
    if len(words) == 3 and words[0] in _SHELLS and words[1] == "-c":
        return ("sh", *words[1:]) if words[0] in ("sh", "/bin/sh") else words
    return ("sh", "-c", text) if re.search(r"[|&;<>`$*?\n~]", text) else words
