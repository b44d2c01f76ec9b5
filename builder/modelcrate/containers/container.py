"""Containers by name: started, found, stopped, read. One folder each below a state folder; who holds the folder holds the name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelcrate.containers.engine import candidates, engine
from modelcrate.containers.identity import Identity, identify
from modelcrate.containers.inside import ContainerRoot, parts_of, remove_path
from modelcrate.containers.options import Process, RunOptions, process_of
from modelcrate.containers.processes import ProcessId
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import ContainerState, clear_running
from modelcrate.containers.unpack import unpack
from modelcrate_layers.content import CHUNK, Blob
from modelcrate_layers.errors import CrateError, IntegrityError, MachineError, UserError
from modelcrate_layers.frozen import dataclass

STOP_AFTER = 10.0
"""Seconds between asking and killing: what other engines wait."""

_CLEANING = 120.0
"""Seconds that a supervisor gets to remove the root folder after the end."""

_LOOK = 0.05
"""Seconds between two looks at a log that is followed."""

_HOSTS = b"127.0.0.1\tlocalhost\n::1\tlocalhost\n"
_FAULTS = {kind.__name__: kind for kind in (UserError, IntegrityError, MachineError)}


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was started once: a name and its folder. All else is read from there when asked."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def state(self) -> ContainerState:
        """What is known now. A container whose supervisor died without a word has ended, with no exit code."""
        state = ContainerState.load(self.folder)
        if state.status != "ended" and not state.supervisor.alive():
            state = ContainerState.load(self.folder)  # it may have ended properly between the two looks
        if state.status != "ended" and not state.supervisor.alive():
            return replace(state, status="ended")
        return state

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end, cleaning up included, and gives the exit code (128 + N after signal N).

        MachineError where it doesn't end within `timeout` seconds, or ended in a way that left no exit code.
        """
        if not self._begun().supervisor.wait(timeout):
            raise MachineError(f"the container {self.name} still runs after {timeout} seconds")
        code = ContainerState.load(self.folder).exit_code
        if code is None:
            raise MachineError(f"the container {self.name} ended without an exit code", why="its supervisor was killed")
        return code

    def signal(self, number: int) -> bool:
        """Sends a signal to the program; whether it was there to get it."""
        main = ContainerState.load(self.folder).main
        return main is not None and main.signal(number)

    def stop(self, timeout: float = STOP_AFTER) -> int | None:
        """Ends it: the image's stop signal (SIGTERM), and after `timeout` seconds SIGKILL. Gives the exit code; None after a crash.

        State and log stay. A container that has ended is left as it is; what a crash left is cleaned up.
        """
        state = self._begun()
        if state.main is not None and state.supervisor.alive():
            state.main.signal(state.stop_signal)
            if not state.main.wait(timeout):
                state.main.signal(signal.SIGKILL)
        if not state.supervisor.wait(_CLEANING):
            state.supervisor.signal(signal.SIGKILL)
            state.supervisor.wait()
        state = ContainerState.load(self.folder)
        if state.status != "ended":
            self._clear_crash(state)
        return ContainerState.load(self.folder).exit_code

    def logs(self, follow: bool = False) -> Iterator[bytes]:
        """Both outputs of the program, in order, in pieces; with `follow` until the container has ended."""
        with open(self.folder / "log", "rb") as file:
            while True:
                ended = not follow or self.state().status == "ended"  # asked before reading, so that nothing is missed
                while piece := file.read(CHUNK):
                    yield piece
                if ended:
                    return
                time.sleep(_LOOK)

    def remove(self) -> None:
        """Removes state, log and root folder, and frees the name. UserError while it runs."""
        if self.state().status != "ended":
            raise UserError(f"the container {self.name} runs", hint="stop it first")
        self.stop()
        _discard(self.folder)

    def _begun(self) -> ContainerState:
        """The state, once there is a supervisor; until then it names the process that unpacks, which is not ours to end."""
        state = ContainerState.load(self.folder)
        if state.status == "starting" and state.supervisor.alive():
            raise UserError(f"the container {self.name} is still being unpacked", hint="try again when it runs")
        return state

    def _clear_crash(self, state: ContainerState) -> None:
        """Ends and removes what a supervisor that was killed has left."""
        if state.main is not None:
            state.main.signal(signal.SIGKILL)
            state.main.wait(_CLEANING)
        with suppress(OSError, ValueError, KeyError):
            spec = SupervisorSpec.load(self.folder)
            for name in spec.engines:
                engine(name).clear(spec)
        clear_running(self.folder, state.keep)
        replace(state, status="ended").save(self.folder)


def start(config: Mapping[str, Any], layers: Sequence[Blob], options: RunOptions) -> Container:
    """Unpacks the layers (lowest first), starts what the image config and the options say, and returns while it runs.

    The container lives on when this program ends. A name is free again once its container has ended; its log is then replaced.
    UserError for a wrong wish (a name that runs, a taken port, no such program), IntegrityError for a bad image, MachineError where this machine
    can't. After any error nothing is left.
    """
    process = process_of(config, options)
    engines, programs = candidates(options.engine)
    folder = _claim(options, process)
    try:
        identity = _fill(folder / "rootfs", layers, process)
        SupervisorSpec(
            name=options.name,
            folder=folder,
            process=_at_home(process, identity),
            identity=identity,
            ports=options.ports,
            engines=engines,
            programs=programs,
            network=options.network,
            read_only=options.read_only,
            keep=options.keep,
            rootless=os.geteuid() != 0,
        ).save()
        _supervise(folder)
    except OSError as fault:
        _abandon(folder)
        raise MachineError(f"can't start a container: {fault.strerror}", where=str(folder)) from None
    except BaseException:
        _abandon(folder)
        raise
    return Container(folder)


def _fill(rootfs: Path, layers: Sequence[Blob], process: Process) -> Identity:
    """The root folder, ready to be entered, and who its files say the container's user is."""
    rootfs.mkdir()
    rootfs.chmod(0o755)
    unpack(layers, rootfs)
    with ContainerRoot(rootfs) as root:
        identity = identify(root, process.user)
        _prepare(root, process)
    return identity


def find(state_dir: Path, name: str) -> Container:
    """The container of that name, running or ended. UserError where there is none."""
    found = next((container for container in containers(state_dir) if container.name == name), None)
    if found is None:
        raise UserError(f"there is no container {name!r}", where=str(state_dir))
    return found


def containers(state_dir: Path) -> tuple[Container, ...]:
    """All containers of a state folder, by name."""
    if not state_dir.is_dir():
        return ()
    folders = [
        path for path in state_dir.iterdir() if not path.name.startswith(".") and (path / "state.json").is_file()
    ]
    return tuple(Container(path) for path in sorted(folders))


def _claim(options: RunOptions, process: Process) -> Path:
    """A new folder for the name: made beside with its state in it and renamed, which only one can do."""
    folder = options.state_dir.absolute() / options.name
    beside = folder.with_name(f".new-{options.name}-{os.getpid()}-{time.monotonic_ns()}")
    try:
        beside.mkdir(mode=0o700, parents=True)
        (beside / "log").touch(0o600)
        ContainerState("starting", ProcessId.own(), process.stop_signal, options.keep).save(beside)
        for last in (False, True):
            with suppress(OSError):
                beside.rename(folder)
                return folder
            if not last:
                _clear_ended(folder)
    except OSError as fault:
        raise MachineError(f"can't make the container's folder: {fault.strerror}", where=str(folder)) from None
    finally:
        remove_path(beside)
    raise UserError(f"the name {options.name} was taken at the same moment", hint="choose another name")


def _clear_ended(folder: Path) -> None:
    """Makes room where the name's last container has ended, or its state can't be read; UserError where it runs."""
    if not folder.exists():
        return
    held = Container(folder)
    with suppress(MachineError):
        if held.state().status != "ended":
            raise UserError(
                f"a container {folder.name} runs already", hint=f"stop {folder.name}, or choose another name"
            )
        held.stop()
    _discard(folder)


def _abandon(folder: Path) -> None:
    """After a start that failed or was interrupted: nothing runs, nothing stays."""
    with suppress(CrateError):
        if ContainerState.load(folder).main is not None:
            Container(folder).stop(timeout=0)
    _discard(folder)


def _discard(folder: Path) -> None:
    """Removes a container's folder; the name is free at once."""
    gone = folder.with_name(f".gone-{folder.name}-{os.getpid()}-{time.monotonic_ns()}")
    with suppress(FileNotFoundError):
        folder.rename(gone)
        remove_path(gone)


def _prepare(root: ContainerRoot, process: Process) -> None:
    """What every engine needs in the root folder: mount points, the working folder, a /tmp where the image has none, and a word for localhost."""
    for parts in ((b"proc",), (b"sys",), (b"dev",), (b"etc",), parts_of(os.fsencode(process.cwd))):
        os.close(root.folder(parts, make=True))
    with suppress(FileExistsError):
        place = root.place((b"tmp",))
        os.mkdir(place.name, dir_fd=place.folder)
        os.chmod(place.name, 0o1777, dir_fd=place.folder)  # noqa: S103 - as everywhere
    place = root.place((b"etc", b"hosts"))
    with suppress(FileExistsError):
        fd = os.open(place.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=place.folder)
        with os.fdopen(fd, "wb") as file:
            file.write(_HOSTS)
            os.fchmod(fd, 0o644)


def _at_home(process: Process, identity: Identity) -> Process:
    """HOME from the image's passwd, where neither image nor user says it (as other engines do)."""
    if any(entry.startswith("HOME=") for entry in process.env):
        return process
    return replace(process, env=(*process.env, f"HOME={identity.home or '/'}"))


def _supervise(folder: Path) -> None:
    """Starts the supervisor in a session of its own, and waits until it says how the start went."""
    told, tell = os.pipe()
    with open(folder / "supervisor.log", "wb") as log, os.fdopen(told, "rb") as reader:
        try:
            # -P: the folder that this was called in may hold a `modelcrate` of its own
            done = subprocess.run(
                [sys.executable, "-P", "-m", "modelcrate.containers.supervisor", str(folder), str(tell)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", pass_fds=(tell,), start_new_session=True,
                env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PATH": os.defpath},
            )  # fmt: skip
        finally:
            os.close(tell)
            words = reader.read()  # also after Ctrl-C: who cleans up must know how the start came out
    if done.returncode or not words.endswith(b"\n"):
        tail = (folder / "supervisor.log").read_text(errors="replace").strip()[-2000:]
        raise MachineError("the container's supervisor died while it started", why=tail)
    fault = json.loads(words)
    if fault:
        raise _FAULTS.get(fault.pop("class"), MachineError)(fault.pop("what"), **fault)
