"""A project's server on this machine, without an image: the packages in a virtual environment, the sources and models as they lie.

The server, its contracts and variables are those of the image. Its folders are made of links, so an edit is seen at once.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from modelcrate.containers import linux
from modelcrate.images.image_config import RunSpec
from modelcrate.images.unpack import unpack
from modelcrate.pipeline import compose
from modelcrate.pipeline.prepare import Prepared
from modelcrate.pipeline.session import Session
from modelcrate.project.contracts import APP_ROOT, SERVER_ROOT, contract
from modelcrate.project.values import Command
from modelcrate.resolve.host_environment import is_same_machine, make_environment
from modelcrate.resolve.world import Resolved, open_fetcher
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.packages.venv import PREFIX
from modelcrate_layers.tar.sources import FileRange, read
from modelcrate_layers.tar.tree import Entry

ADDRESS = "127.0.0.1"
"""Where it listens: nothing but this machine reaches a model that is being worked on."""

_STOPPING = 30.0
"""Seconds that a server gets to end."""


class PortInUseError(UserError):
    """Another program listens on the port: no edit of the project changes that."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that can be started, again and again.

    Attributes:
        argv: Its command line.
        env: Its variables.
        port: The port of 127.0.0.1 that it listens on; 0 for none.
        folder: Where it starts.
        watched: The files and folders whose changes concern it.
        differences: Sentences about what is not as in the image.
        health: The route that tells whether it is ready; empty where it is ready as soon as it listens.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    folder: Path
    watched: tuple[Path, ...]
    differences: tuple[str, ...]
    health: str
    own: bool = True
    """Whether it is the server that modelcrate brings, and not a program of the project."""

    def is_ready(self, status: Callable[[str], int]) -> bool:
        """Returns whether it answers; `status` returns that of a GET of a path."""
        if self.health:
            return status(self.health) // 100 == 2
        with socket.socket() as probe:
            return probe.connect_ex((ADDRESS, self.port)) == 0

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it in a session of its own; its output is this process's.

        Raises:
            PortInUseError: The port can't be listened on. Otherwise the other program's answers would be taken for this server's.
        """
        with socket.socket() as probe:  # port 0 is free at any time
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, self.port))
            except OSError as fault:
                raise PortInUseError(
                    f"can't listen on port {self.port} of {ADDRESS}: {fault.strerror}",
                    hint="end the program that listens there, or choose another port: -p PORT",
                ) from None
        return subprocess.Popen(
            self.argv,
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_us,  # noqa: PLW1509 - one system call, of a module that is loaded
        )


def _end_with_us() -> None:
    """Has the kernel end the server when this process is killed: nothing else would, and it would keep its port."""
    with suppress(OSError):
        linux.die_with_parent(signal.SIGTERM)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a server that `start` has started."""
    process.terminate()
    try:
        process.wait(_STOPPING)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            linux.end_group(process.pid)  # its workers too, or they would keep the port
        process.wait()


@contextmanager
def local_server(prepared: Prepared, session: Session, port: int | None) -> Iterator[LocalServer]:
    """Yields the server of a project; its folders are there as long as the block lasts.

    Args:
        prepared: The project with everything decided.
        session: Fetches packages; it is open.
        port: The port of 127.0.0.1 to listen on; None: the contract's, or the one that the project's command listens on.

    Raises:
        UserError: The project starts nothing, or has packages that no virtual environment can have.
        MachineError: This machine has no such Python.
    """
    project = prepared.request.project
    resolved = next((each for each in prepared.world.platforms if is_same_machine(each)), prepared.world.platforms[0])
    served = compose.serving(project)
    command = project.command
    if command is None and (served is None or project.entry is None):
        raise UserError(
            "the project has no entry script and no command, so there is nothing to serve",
            hint="`modelcrate build` makes its image, and `modelcrate run` starts it",
        )
    if command is not None:
        port = _port_of(command, port)
    elif port is None:
        port = contract(project.contracts[0]).port
    fetcher = open_fetcher(prepared.world, session.connections)
    places = session.config.home / "environments"
    environment = make_environment(resolved, fetcher, places) if command is None or resolved.pins.wheels else None
    with scratch_folder() as root:
        _place_files(prepared, root)
        for name, data in served.files if served is not None else ():
            _write(root / name, data)
        spec = compose.run_spec(project, resolved)
        yield LocalServer(
            tuple(_moved(each, root, environment) for each in spec.command),
            _variables(spec, root, environment, port, session.config.environment),
            port,
            _folder(spec, root),
            _watched(prepared),
            tuple(_differences(prepared, resolved)),
            command.health if command is not None else contract(project.contracts[0]).health.path,
            command is None,
        )


def _port_of(command: Command, wanted: int | None) -> int:
    """Returns the port that a command listens on, 0 for none: its own arguments decide, so that another can't be had here."""
    port = command.ports[0] if command.ports else 0
    if wanted not in (None, port):
        raise UserError(
            f"the command listens on {f'port {port}' if port else 'no port that the project names'}, not on port {wanted}",
            hint="change its arguments and `ports` in modelcrate.yaml",
        )
    return port


def _folder(spec: RunSpec, root: Path) -> Path:
    """The folder in which the program starts; of a folder that only the image has, the app's."""
    app = root / APP_ROOT.lstrip("/")
    found = root / spec.folder.lstrip("/") if spec.folder else app
    return found if found.is_dir() else app


def _place_files(prepared: Prepared, root: Path) -> None:
    """Links the sources and the models to where the image has them. Registered models are unpacked."""
    project, place = prepared.request.project, prepared.request.folder
    entry, files = project.entry, prepared.files
    app = root / APP_ROOT.lstrip("/")
    app.mkdir(parents=True)
    if project.command is not None and project.command.source is not None:
        (app / compose.command_folder(project)).symlink_to((place / project.command.source).absolute())
    elif entry is not None and entry.source is not None:
        (app / compose.source_name(project, entry)).symlink_to((place / entry.source).absolute())
    elif files.entry is not None:
        _link(files.entry.sources.entries, root)
    for layers in files.models:
        for layer in layers:
            if isinstance(layer, ReadyLayer):
                unpack([layer.blob], root)
            else:
                _link(layer.materials().files, root)


def _link(entries: Sequence[Entry], root: Path) -> None:
    for each in entries:
        path = root / os.fsdecode(each.path)
        if isinstance(each.source, FileRange):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(Path(each.source.path).absolute())
        elif each.source is not None:
            _write(path, read(each.source))
        else:
            path.mkdir(parents=True, exist_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _moved(text: str, root: Path, environment: Path | None) -> str:
    """Returns a value of the image with its folders where they are here."""
    places = {
        f"/{SERVER_ROOT}": str(root / SERVER_ROOT),
        PREFIX: str(environment or PREFIX),
        APP_ROOT: f"{root}{APP_ROOT}",
    }
    return re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], text)


def _variables(
    spec: RunSpec, root: Path, environment: Path | None, port: int, machine: Mapping[str, str]
) -> dict[str, str]:
    """Returns the image's variables, with PATH and HOME of this machine."""
    moved = {name: _moved(value, root, environment) for name, value in spec.env.items()}
    path = os.pathsep.join([moved.get("PATH", ""), machine.get("PATH", os.defpath)])
    ours = {"PATH": path, "MODELCRATE_HOST": ADDRESS, "MODELCRATE_PORT": str(port)}
    return moved | ours | ({"HOME": machine["HOME"]} if "HOME" in machine else {})


def _watched(prepared: Prepared) -> tuple[Path, ...]:
    place, entry = prepared.request.folder, prepared.request.project.entry
    models = [
        Path(each.source.path)
        for files in prepared.files.by_model
        for each in files
        if isinstance(each.source, FileRange)
    ]
    command = prepared.request.project.command
    sources = [place / (entry.source or entry.script)] if entry is not None else []
    sources += [place / command.source] if command is not None and command.source is not None else []
    return tuple(dict.fromkeys([*sources, *models]))


def _differences(prepared: Prepared, resolved: Resolved) -> Iterator[str]:
    project = prepared.request.project
    yield (
        f"it runs on this machine's {platform.system()} as you, and sees all of your files; "
        f"the image has {project.base} below it, and runs as {project.user}"
    )
    if not is_same_machine(resolved):
        yield f"the packages have the versions of the image, and are built for this machine, not for {resolved.platform}"
    else:
        minor = resolved.target.minor if resolved.target else ""
        yield f"the wheels are those of the image; Python {minor} is this machine's, maybe another patch release"
    if (project.entry is not None and project.entry.source is not None) or project.command is not None:
        yield "files that an ignore file leaves out of the image are there"
