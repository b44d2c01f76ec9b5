"""A container that is started again after its end: by its supervisor, which stays outside and has a child for each start."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from modelcrate.containers import linux
from modelcrate.containers.engine import engine
from modelcrate.containers.processes import end_processes_in
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import STOP, ContainerState
from modelcrate_layers.frozen import replace

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals to a supervisor that its program gets."""

_FIRST_PAUSE, _LAST_PAUSE = 0.1, 60.0
"""Seconds before a container is started again: the first time, and at most, as it doubles each time (docker's)."""

_RAN_WELL = 10.0
"""Seconds that a container has to run for the pause to begin anew."""

_NOT_STARTED = 125
"""The exit code of a container that could not be started again (docker's)."""

_KILLED = 128 + signal.SIGKILL
_NOBODY = -1


def run_again_and_again(
    spec: SupervisorSpec, report: int, attempt: Callable[[int, int], ContainerState]
) -> ContainerState:
    """Runs a container until it ends in a way that its restart policy takes for an end, or somebody stops it.

    Args:
        spec: the container.
        report: the descriptor that gets, once, how the first start went.
        attempt: starts the program, with a descriptor for the report and the number of restarts before, and returns its state after the end.

    Returns:
        The last state. A first start that fails ends this process.
    """
    restarts, pause = 0, _FIRST_PAUSE
    while True:
        began = time.monotonic()
        code = _in_a_child(spec, report, restarts, attempt)
        report = _NOBODY
        if time.monotonic() - began > _RAN_WELL:
            pause = _FIRST_PAUSE
        if not spec.options.restart.again(code, restarts) or _stopped_within(spec.folder, pause):
            return replace(ContainerState.load(spec.folder), status="ended", exit_code=code, ended=time.time())
        restarts, pause = restarts + 1, min(pause * 2, _LAST_PAUSE)


def _in_a_child(spec: SupervisorSpec, report: int, restarts: int, attempt: Callable[[int, int], ContainerState]) -> int:
    """Returns the exit code of one attempt. A process moves into new namespaces only once, so each has its own."""
    answer, result = os.pipe()
    child = os.fork()
    if not child:
        try:
            for number in STOPPING:
                signal.signal(number, signal.SIG_DFL)
            os.close(answer)
            linux.die_with_parent(signal.SIGKILL)
            os.write(result, str(attempt(report, restarts).exit_code).encode())
        finally:
            os._exit(0)
    for number in STOPPING:
        signal.signal(number, lambda number, frame: os.kill(child, number))
    os.close(result)
    if report != _NOBODY:
        os.close(report)
    with os.fdopen(answer, "rb") as reader:
        text = reader.read()
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # there is nothing to signal until the next start; `stop` leaves a file
    os.waitpid(child, 0)
    return int(text) if text else _cleared_away(spec, restarts)


def _cleared_away(spec: SupervisorSpec, restarts: int) -> int:
    """Ends what a child has left that ended without a code, and returns the code that stands for it."""
    state = ContainerState.load(spec.folder)
    started = state.main is not None and state.restarts == restarts
    if not started and not restarts:
        raise SystemExit(1)  # the first start failed, which was reported, and whoever waits clears the folder
    if state.main is not None:
        state.main.signal(signal.SIGKILL)
        end_processes_in(spec.rootfs)
        engine(state.engine).clear(spec)
    return _KILLED if started else _NOT_STARTED


def _stopped_within(folder: Path, seconds: float) -> bool:
    """Waits, and returns whether somebody has asked the container to end, before or meanwhile."""
    end = time.monotonic() + seconds
    while not (folder / STOP).exists():
        if (left := end - time.monotonic()) <= 0:
            return False
        time.sleep(min(left, _FIRST_PAUSE))
    return True
