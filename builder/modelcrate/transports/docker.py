"""`docker:NAME`: the image goes straight into the docker or podman of this machine, as `docker load` would take it.

Asked are, in this order, DOCKER_HOST, Docker's socket, podman's sockets, and the program podman. Docker's own storage reads a layer that it has
from there, so it is not sent; podman, and Docker with containerd's storage, get all of it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from modelcrate.events import Emit
from modelcrate.images.image import Deliverable, Image
from modelcrate.net.engine_socket import EngineSocket, refused
from modelcrate.transports.connections import Connections
from modelcrate.transports.docker_archive import archive_of
from modelcrate.transports.output import Delivered
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.host import find_program
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.tree import Entry

KIND = "docker"
EXAMPLE = "NAME[:TAG]"

SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
"""Where Docker and root's podman listen; that of a user's podman is in XDG_RUNTIME_DIR."""

_MAX_IMAGES = 500
_MISSING = ("no such file", "not found")
_CONTAINERD = "io.containerd.snapshotter.v1"


def parse(target: str) -> DockerOutput:
    """Returns the output for a target of the command line."""
    return DockerOutput(target or None)


@dataclass(frozen=True, slots=True)
class DockerOutput:
    """An image in the engine of this machine, under `name`; by default the image's own."""

    name: str | None = None

    kind = KIND

    @property
    def target(self) -> str:
        """The name."""
        return self.name or "modelcrate:latest"

    def with_name(self, name: str) -> DockerOutput:
        """Returns the output with a name, unless it has one already."""
        return self if self.name else DockerOutput(name)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the image. See `Output.deliver`.

        Raises:
            UserError: The image is for several platforms, or DOCKER_HOST is no socket of this machine.
            MachineError: No engine is there, or it refuses the image.
        """
        plain, entries = archive_of(image, self.target, f"{KIND}:{self.target}", emit)
        engine = find_engine(connections.config.environment)
        if isinstance(engine, str):
            return Delivered(KIND, self.target, plain.digest, _load_by_program(engine, entries))
        known = engine.known_layers(plain)
        needed = [each for each in entries if each.path.rpartition(b"/")[2].decode("ascii", "replace") not in known]
        reused = sum(each.size for each in entries) - sum(each.size for each in needed)
        try:
            return Delivered(KIND, self.target, plain.digest, engine.load(needed), reused)
        except MachineError as fault:
            if not known or not any(sign in fault.why.lower() for sign in _MISSING):
                raise
        return Delivered(KIND, self.target, plain.digest, engine.load(entries))  # a layer was removed meanwhile


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that speaks Docker's API on a socket of this machine."""

    socket: EngineSocket
    info: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def known_layers(self, image: Image) -> frozenset[str]:
        """Returns the hex digests of the layers that need not be sent: the engine has them over the same layers below."""
        status = self.info.get("DriverStatus") or []
        if self.info.get("Podman") or any(_CONTAINERD in pair for pair in status):
            return frozenset()
        wanted = [str(each.layer.diff_id) for each in image.layers]
        have = 0
        for each in self.socket.json("/images/json")[:_MAX_IMAGES]:
            held = self.socket.json(f"/images/{quote(str(each.get('Id')), safe=':')}/json").get("RootFS") or {}
            have = max(have, _equal_at_the_start(wanted, held.get("Layers") or []))
        below, above = image.layers[:have], {str(each.layer.diff_id) for each in image.layers[have:]}
        return frozenset(each.layer.diff_id.hex for each in below if str(each.layer.diff_id) not in above)

    def load(self, entries: Iterable[Entry]) -> int:
        """Sends an archive, and returns its size in bytes. MachineError where the engine does not take it."""
        sent = _Counted(writer.stream(entries))
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        answer = self.socket.ask("POST", "/images/load?quiet=1", sent, headers)
        for line in answer.splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and told.get("error"):
                raise refused(self.socket.path, str(told["error"]))
        return sent.size


def find_engine(environment: Mapping[str, str]) -> Engine | str:
    """Returns the engine that answers on a socket; where there is none, but the program podman, its place.

    Raises:
        UserError: DOCKER_HOST is no socket of this machine.
        MachineError: There is no engine, or DOCKER_HOST's does not answer.
    """
    named = environment.get("DOCKER_HOST", "")
    if named and not named.startswith("unix://"):
        hint = "pipe it: modelcrate build -o docker-archive:- | docker load"
        raise UserError(f"DOCKER_HOST is no socket of this machine: {named[:80]!r}", hint=hint)
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    usual = [*SOCKETS, *([f"{runtime}/podman/podman.sock"] if runtime else [])]
    tried = []
    for path in [named.removeprefix("unix://")] if named else usual:
        try:
            socket = EngineSocket(path)
            version, info = socket.json("/version"), socket.json("/info")
            podman = any("podman" in str(each.get("Name", "")).lower() for each in version.get("Components") or [])
            return Engine(socket, {"DriverStatus": info.get("DriverStatus"), "Podman": podman})
        except (MachineError, AttributeError) as fault:
            tried.append(f"{path}: {getattr(fault, 'why', '') or 'an answer of another program'}")
    if not named and (program := find_program("podman", environment.get("PATH"))):
        return program
    hint = "start docker or podman (`systemctl --user start podman.socket`), or take -o docker-archive:FILE"
    raise MachineError("no docker or podman answers", why="\n".join(tried), hint=hint)


class _Counted:
    """Chunks, counted as they are taken. Not a value: it is a position in a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self.size = chunks, 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size += len(chunk)
            yield bytes(chunk)


def _equal_at_the_start(wanted: Sequence[str], held: Sequence[str]) -> int:
    return next(
        (n for n, (one, other) in enumerate(zip(wanted, held, strict=False)) if one != other),
        min(len(wanted), len(held)),
    )


def _load_by_program(program: str, entries: Iterable[Entry]) -> int:
    """Gives an archive to `podman load`, which has no socket to be asked by."""
    chunks = _Counted(writer.stream(entries))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([program, "load", "--quiet"], stdin=subprocess.PIPE, stdout=said, stderr=said)
        assert process.stdin is not None
        try:
            with process.stdin as pipe:
                for chunk in chunks:
                    pipe.write(chunk)
        except BrokenPipeError:
            pass  # it says why
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.wait():
            said.seek(0)
            raise refused("podman load", said.read(2000).decode("utf-8", "replace").strip())
    return chunks.size
