"""The process behind a running container: starts it, forwards its ports, and records its end. It outlives the command line.

Run as `python -m modelcrate.containers.supervisor FOLDER DESCRIPTOR`: the container's folder, and a pipe that gets, once, how the start went.
It has one thread, for namespaces can't be entered otherwise. Where the container is to be started again after its end, it stays outside and
forks a process for each start, since a process moves into new namespaces only once.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.containers import linux
from modelcrate.containers.container import discard
from modelcrate.containers.engine import engine, first_usable
from modelcrate.containers.forward import forward, listen
from modelcrate.containers.init import exit_code
from modelcrate.containers.logs import LogTimes
from modelcrate.containers.namespaces import enter_user_namespace
from modelcrate.containers.options import Port
from modelcrate.containers.processes import ProcessId
from modelcrate.containers.restarting import STOPPING, run_again_and_again
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import ContainerState, clear_running
from modelcrate_layers.errors import CrateError, MachineError
from modelcrate_layers.frozen import replace

_STARTING = ContainerState("starting", ProcessId(0, ""), signal.SIGTERM)

_LOOK = 1.0
"""Seconds between two looks at the length of the log."""


def main(folder: Path, report: int) -> None:
    """Starts the container of `folder`, reports it, and stays until its end."""
    if os.fork():
        os._exit(0)  # the process that waits for this one goes on
    try:
        spec = SupervisorSpec.load(folder)
        listeners, ports = listen(spec.options.ports)
    except BaseException as fault:
        _report(report, _fault(fault))
        raise SystemExit(1) from None
    own = ProcessId.own()
    if spec.options.restart.policy == "no":
        ended = _run(spec, listeners, ports, own, report)
    else:
        ended = run_again_and_again(
            spec, report, lambda *given: _cleared(spec, _run(spec, listeners, ports, own, *given))
        )
    _finish(spec, ended)


def _run(
    spec: SupervisorSpec,
    listeners: Sequence[socket.socket],
    ports: Sequence[Port],
    supervisor: ProcessId,
    report: int,
    restarts: int = 0,
) -> ContainerState:
    """Starts the program, reports how that went, and waits for its end."""
    try:
        state, open_listeners = _start(
            spec, listeners, ports, replace(_STARTING, supervisor=supervisor, restarts=restarts)
        )
    except BaseException as fault:
        _report(report, _fault(fault))
        raise SystemExit(1) from None
    _report(report, {})
    code = asyncio.run(_serve(spec, state, open_listeners))
    return replace(state, status="ended", exit_code=code, ended=time.time())


def _start(
    spec: SupervisorSpec, listeners: Sequence[socket.socket], ports: Sequence[Port], state: ContainerState
) -> tuple[ContainerState, Sequence[socket.socket]]:
    """Listeners first, then the network, then the program; the order is what makes forwarding work."""
    notes: list[str] = []
    if spec.rootless:
        try:
            enter_user_namespace(spec.identity)
        except OSError as fault:
            raise _refused(fault) from None
    network = _enter_network(spec, notes)
    if network == "host":
        listeners, ports = _without_equal(listeners, ports)
    log = os.open(spec.folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(log, 0o622)  # for programs that open /dev/stderr anew; the folder above is closed to all others
    name, pid, tried = first_usable(spec, log)
    os.close(log)
    state = replace(
        state,
        status="running",
        stop_signal=spec.process.stop_signal,
        keep=spec.options.keep,
        main=ProcessId.of(pid),
        engine=name,
        network=network,
        ports=tuple(ports),
        notes=(*spec.notes, *notes, *tried),
        started=time.time(),
    )
    state.save(spec.folder)
    return state, listeners


def _enter_network(spec: SupervisorSpec, notes: list[str]) -> str:
    if spec.options.network == "host":
        return "host"
    try:
        linux.unshare(linux.NEWNET)
        linux.loopback_up()
    except OSError as fault:
        if spec.options.network == "none":
            raise MachineError(
                f"this machine gives no network of its own: {fault}", hint="leave out --network none"
            ) from None
        notes.append(f"the container has no network of its own: {fault}")
        return "host"
    return spec.options.network


def _without_equal(
    listeners: Sequence[socket.socket], ports: Sequence[Port]
) -> tuple[list[socket.socket], tuple[Port, ...]]:
    """Closes listeners of ports that keep their number: in the machine's own network they need no forwarding, and would be in the way."""
    kept = []
    for listener, port in zip(listeners, ports, strict=True):
        if port.host == port.container:
            listener.close()
        else:
            kept.append(listener)
    return kept, tuple(ports)


async def _serve(spec: SupervisorSpec, state: ContainerState, listeners: Sequence[socket.socket]) -> int:
    """Forwards until the program ends, and returns its exit code."""
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

    def pass_on(number: int) -> None:
        with suppress(ProcessLookupError):
            if not ended.done():
                os.kill(pid, number)

    loop.add_signal_handler(signal.SIGCHLD, reap)
    for number in STOPPING:
        loop.add_signal_handler(number, pass_on, state.stop_signal)
    targets = {(port.address, port.host): port.container for port in state.ports}
    servers = [await forward(listener, targets[listener.getsockname()[:2]]) for listener in listeners]
    times = asyncio.ensure_future(_note_times(spec.folder))
    reap()
    code = await ended
    times.cancel()
    for server in servers:
        server.close()
    return code


async def _note_times(folder: Path) -> None:
    times = LogTimes(folder)
    while True:
        with suppress(OSError):  # a full disk ends no container
            times.note()
        await asyncio.sleep(_LOOK)


def _cleared(spec: SupervisorSpec, state: ContainerState) -> ContainerState:
    """After the end of the program: nothing of it runs, and the engine keeps nothing."""
    _end_children()
    engine(state.engine).clear(spec)
    return state


def _finish(spec: SupervisorSpec, state: ContainerState) -> None:
    """Leaves the state and the log, and removes the rest, or removes all with the option `remove`."""
    _cleared(spec, state)
    clear_running(spec.folder, spec.options.keep)
    state.save(spec.folder)
    if spec.options.remove:
        discard(spec.folder)


def _end_children() -> None:
    """Ends the orphans that were adopted: without a process namespace nothing else ends them."""
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


def _report(report: int, fault: dict[str, str]) -> None:
    if report < 0:
        return  # it is started again, and nobody waits
    with suppress(BrokenPipeError):
        os.write(report, json.dumps(fault).encode() + b"\n")
    os.close(report)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
