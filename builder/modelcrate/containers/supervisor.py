"""The process that stands behind a running container: starts it, forwards its ports, and records its end. It outlives the command line.

Run as `python -m modelcrate.containers.supervisor FOLDER DESCRIPTOR`: the container's folder, and a pipe that is told, once, whether it started.
It has one thread, for namespaces can't be entered otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from modelcrate.containers import linux
from modelcrate.containers.engine import engine, first_usable
from modelcrate.containers.forward import forward, listen
from modelcrate.containers.init import exit_code
from modelcrate.containers.namespaces import enter_user_namespace
from modelcrate.containers.options import Port
from modelcrate.containers.processes import ProcessId
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import ContainerState, clear_running
from modelcrate_layers.errors import CrateError, MachineError

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def main(folder: Path, told: int) -> None:
    """Starts the container of `folder`, tells so, and stays until its end."""
    if os.fork():
        os._exit(0)  # who started us must not have to wait for us
    spec = SupervisorSpec.load(folder)
    try:
        state, doors = _start(spec)
    except BaseException as fault:
        _tell(told, _fault(fault))
        raise SystemExit(1) from None
    _tell(told, {})
    code = asyncio.run(_serve(state, doors))
    _finish(spec, replace(state, status="ended", exit_code=code))


def _start(spec: SupervisorSpec) -> tuple[ContainerState, list[socket.socket]]:
    """Listeners first, then the network, then the program; the order is what makes forwarding work."""
    doors, ports = listen(spec.ports)
    notes: list[str] = []
    if spec.rootless:
        try:
            enter_user_namespace(spec.identity)
        except OSError as fault:
            raise _refused(fault) from None
    network = _enter_network(spec, notes)
    if network == "host":
        doors, ports = _without_equal(doors, ports)
    log = os.open(spec.folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(log, 0o622)  # for who opens /dev/stderr anew; the folder above is closed to all others
    name, pid, tried = first_usable(spec, log)
    os.close(log)
    state = ContainerState(
        status="running",
        supervisor=ProcessId.own(),
        stop_signal=spec.process.stop_signal,
        keep=spec.keep,
        main=ProcessId.of(pid),
        engine=name,
        network=network,
        ports=ports,
        notes=(*notes, *tried),
    )
    state.save(spec.folder)
    return state, doors


def _enter_network(spec: SupervisorSpec, notes: list[str]) -> str:
    if spec.network == "host":
        return "host"
    try:
        linux.unshare(linux.NEWNET)
        linux.loopback_up()
    except OSError as fault:
        notes.append(f"the container has no network of its own: {fault}")
        return "host"
    return "own"


def _without_equal(
    doors: Sequence[socket.socket], ports: Sequence[Port]
) -> tuple[list[socket.socket], tuple[Port, ...]]:
    """In the machine's own network a port that keeps its number needs no forwarding, and our listener would be in the way."""
    kept = []
    for door, port in zip(doors, ports, strict=True):
        if port.host == port.container:
            door.close()
        else:
            kept.append(door)
    return kept, tuple(ports)


async def _serve(state: ContainerState, doors: Sequence[socket.socket]) -> int:
    """Forwards until the program ends; gives its exit code."""
    assert state.main is not None
    pid, loop = state.main.pid, asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def reap() -> None:
        with suppress(ChildProcessError):
            while not ended.done():
                found, status = os.waitpid(-1, os.WNOHANG)
                if found == pid:
                    ended.set_result(exit_code(status))
                elif not found:
                    return

    def hand_on(number: int) -> None:
        with suppress(ProcessLookupError):
            if not ended.done():
                os.kill(pid, number)

    loop.add_signal_handler(signal.SIGCHLD, reap)
    for number in _STOPPING:
        loop.add_signal_handler(number, hand_on, state.stop_signal)
    targets = {port.host: port.container for port in state.ports}
    servers = [await forward(door, targets[door.getsockname()[1]]) for door in doors]
    reap()
    code = await ended
    for server in servers:
        server.close()
    return code


def _finish(spec: SupervisorSpec, state: ContainerState) -> None:
    """Leaves the state and the log; the rest goes."""
    _end_children()
    engine(state.engine).clear(spec)
    clear_running(spec.folder, spec.keep)
    state.save(spec.folder)


def _end_children() -> None:
    """Orphans that we adopted: without a process namespace nobody else ends them."""
    own = f"/proc/self/task/{os.getpid()}/children"
    with suppress(ChildProcessError, OSError):
        while True:
            for child in Path(own).read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
            os.waitpid(-1, 0)


def _refused(fault: OSError) -> CrateError:
    hint = "run this as root, or allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
    return MachineError(f"this machine gives ordinary users no namespaces: {fault}", hint=hint)


def _fault(fault: BaseException) -> dict[str, str]:
    if isinstance(fault, CrateError):
        parts = {"what": fault.what, "where": fault.where, "why": fault.why, "hint": fault.hint}
        return {"class": type(fault).__name__, **parts}
    return {"class": "MachineError", "what": f"can't start a container: {fault}"}


def _tell(told: int, words: dict[str, str]) -> None:
    with suppress(BrokenPipeError):
        os.write(told, json.dumps(words).encode()[: 1 << 16] + b"\n")
    os.close(told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
