"""Containers by name: found, stopped, read, removed. Each is a folder below a state folder, and its name is the folder's."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelcrate.containers.engine import engine
from modelcrate.containers.layer_trees import remove_root
from modelcrate.containers.logs import LOG, read_log, since_offset, tail_offset
from modelcrate.containers.processes import end_processes_in, own_name
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import STOP, ContainerState, clear_running
from modelcrate.images.removal import remove_path
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.frozen import dataclass, replace

STOP_AFTER = 10.0
"""Seconds between the stop signal and SIGKILL: what other engines wait."""

GONE = ".gone"
"""How the name of a folder begins that is being removed."""

_CLEANING = 120
"""Seconds that a supervisor gets to remove the root folder after the end."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was started once: a name and its folder. All else is read from the folder."""

    folder: Path

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    def state(self) -> ContainerState:
        """Returns what is known now. After a crash of the supervisor the status is `orphaned` or `ended`, without an exit code."""
        state = ContainerState.load(self.folder)
        if state.status != "ended" and not state.supervisor.alive():
            state = ContainerState.load(self.folder)  # it may have ended properly in between
        if state.status == "ended" or state.supervisor.alive():
            return state
        return replace(state, status="orphaned" if state.main is not None and state.main.alive() else "ended")

    def spec(self) -> SupervisorSpec:
        """Returns how it was started. MachineError where the file is gone or damaged."""
        return SupervisorSpec.load(self.folder)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end, cleaning up included.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            The exit code of the program, 128 + N after signal N.

        Raises:
            MachineError: it still runs after `timeout`, or a crash left no exit code.
        """
        if not self._started().supervisor.wait(timeout):
            raise MachineError(f"the container {self.name} still runs after {timeout} seconds")
        code = ContainerState.load(self.folder).exit_code
        if code is None:
            raise MachineError(f"the container {self.name} ended without an exit code", why="its supervisor was killed")
        return code

    def signal(self, number: int) -> bool:
        """Sends a signal to the program, and returns whether the program still ran."""
        main = ContainerState.load(self.folder).main
        return main is not None and main.signal(number)

    def stop(self, timeout: float = STOP_AFTER) -> int | None:
        """Ends it, and cleans up what a crash left. State and log stay; a container that has ended is left as it is.

        Args:
            timeout: seconds between the image's stop signal (SIGTERM) and SIGKILL.

        Returns:
            The exit code; None after a crash.
        """
        state = self._started()
        if state.status != "ended":
            with suppress(OSError):  # it is removed at this moment, or its folder can't be written
                (self.folder / STOP).touch()
        self._end_main(state, timeout)
        for _ in range(_CLEANING):
            if state.supervisor.wait(1):
                break
            self._end_main(ContainerState.load(self.folder), timeout)  # it may have been started again in between
        else:
            state.supervisor.signal(signal.SIGKILL)
            state.supervisor.wait()
        if not self.folder.is_dir():  # it was started with `remove`
            return None
        state = ContainerState.load(self.folder)
        if state.status != "ended":
            self._clear_crash(state)
        return ContainerState.load(self.folder).exit_code

    def _end_main(self, state: ContainerState, timeout: float) -> None:
        if state.main is not None and state.main.signal(state.stop_signal) and not state.main.wait(timeout):
            state.main.signal(signal.SIGKILL)

    def logs(self, follow: bool = False, start: int = 0) -> Iterator[bytes]:
        """Yields both outputs of the program, in order, in pieces.

        Args:
            follow: whether to go on until the container has ended.
            start: the byte to begin with, for instance from `log_offset`.
        """
        return read_log(self.folder, start, lambda: not follow or not self._runs())

    def log_size(self) -> int:
        """Returns how many bytes the log has by now."""
        return (self.folder / LOG).stat().st_size

    def log_offset(self, tail: int | None = None, since: float | None = None) -> int:
        """Returns the byte of the log where the last `tail` lines begin, and nothing older than `since` (seconds since 1970)."""
        offsets = [0]
        if tail is not None:
            offsets.append(tail_offset(self.folder, tail))
        if since is not None:
            offsets.append(since_offset(self.folder, since))
        return max(offsets)

    def remove(self) -> None:
        """Removes state, log and root folder, and frees the name. UserError while it runs."""
        if not self.folder.is_dir():
            return  # it was started with `remove`
        with locked(self.folder):
            if self._runs():
                raise UserError(f"the container {self.name} runs", hint="stop it first")
            self.stop()
            discard(self.folder)

    def _runs(self) -> bool:
        try:
            return self.state().status != "ended"
        except MachineError:  # it was started with `remove`, and has gone meanwhile
            return False

    def _started(self) -> ContainerState:
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
        with suppress(OSError, MachineError):
            spec = self.spec()
            for name in spec.engines:
                engine(name).clear(spec)
        end_processes_in(self.folder / "rootfs")
        clear_running(self.folder, state.keep)
        replace(state, status="ended", ended=time.time()).save(self.folder)


def find(state_dir: Path, name: str) -> Container:
    """Returns the container of that name, running or ended. UserError where there is none."""
    found = next((container for container in containers(state_dir) if container.name == name), None)
    if found is None:
        raise UserError(
            f"there is no container {name!r}", where=str(state_dir), hint="`modelcrate ps --all` lists them"
        )
    return found


def containers(state_dir: Path) -> tuple[Container, ...]:
    """Returns all containers of a state folder, by name. Each folder is one, whatever became of the files in it."""
    if not state_dir.is_dir():
        return ()
    folders = [path for path in state_dir.iterdir() if not path.name.startswith(".") and path.is_dir()]
    return tuple(Container(path) for path in sorted(folders))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a container's folder, so that it is not started, replaced and removed at once. MachineError where it has gone."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as fault:
        raise MachineError("there is no container any more", where=str(folder), why=fault.strerror or "") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def discard(folder: Path) -> None:
    """Removes a container's folder; the name is free at once."""
    gone = folder.with_name(own_name(GONE))
    with suppress(FileNotFoundError):
        folder.rename(gone)
        remove_root(gone)
        remove_path(gone)
