"""Waiting for a server in a container to answer."""

from __future__ import annotations

import http.client
import time

from modelcrate.containers.container import Container
from modelcrate.containers.forward import ADDRESS
from modelcrate_layers.errors import MachineError, UserError

_LOOK = 0.05
_ANSWER = 5.0
_TAIL = 2000
_BODY = 1 << 20


def wait_ready(container: Container, path: str = "/", timeout: float = 60.0) -> None:
    """Returns once GET `path` on the first published port answers with 2xx.

    MachineError, with the end of the log, where the container ends before that or `timeout` seconds pass; UserError where it publishes no port.
    """
    ports = container.state().ports
    if not ports:
        raise UserError(f"the container {container.name} publishes no port", hint="publish one, as HOST:CONTAINER")
    deadline, last = time.monotonic() + timeout, "no answer"
    while time.monotonic() < deadline:
        state = container.state()
        if state.status == "ended":
            code = "no exit code" if state.exit_code is None else f"exit code {state.exit_code}"
            raise MachineError(
                f"the container {container.name} ended ({code}) before it was ready", why=_tail(container)
            )
        last = _status(ports[0].host, path)
        if last.startswith("2"):
            return
        time.sleep(_LOOK)
    raise MachineError(
        f"the container {container.name} is not ready after {timeout:g} seconds: {last}", why=_tail(container)
    )


def _status(port: int, path: str) -> str:
    """The status of one GET as text, or why there is none."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=_ANSWER)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read(_BODY)  # hanging up on a server in mid-sentence would show in its log
        return str(answer.status)
    except (OSError, http.client.HTTPException) as fault:
        return str(fault) or type(fault).__name__
    finally:
        connection.close()


def _tail(container: Container) -> str:
    return b"".join(container.logs())[-_TAIL:].decode("utf-8", "replace")
