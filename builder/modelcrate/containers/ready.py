"""Waiting for a server in a container to answer."""

from __future__ import annotations

import http.client
import socket
import string
import threading
import time
from contextlib import suppress
from urllib.parse import quote

from modelcrate.containers.container import Container
from modelcrate_layers.errors import MachineError, UserError

READY_AFTER = 60.0
"""How many seconds to wait by default."""

_LOOK = 0.05
_ANSWER = 5.0
_TAIL = 2000
_BODY = 1 << 20


class NotReadyError(MachineError):
    """A container runs and has not answered yet. It goes on running."""


def wait_ready(container: Container, path: str | None = "/", timeout: float = READY_AFTER) -> None:
    """Waits until GET `path` on the first published port answers with 2xx.

    Args:
        container: a container that publishes a port.
        path: the path of the request; None takes any answer of GET / for readiness.
        timeout: seconds.

    Raises:
        UserError: the container publishes no port.
        NotReadyError: it runs and does not answer so within `timeout`.
        MachineError: it has ended before it answered; the reason is the end of its log.
    """
    ports = container.state().ports
    if not ports:
        raise UserError(f"the container {container.name} publishes no port", hint="publish one, as HOST:CONTAINER")
    deadline, last = time.monotonic() + timeout, "no answer"
    while True:
        state = container.state()
        if state.status == "ended":
            code = "no exit code" if state.exit_code is None else f"exit code {state.exit_code}"
            raise MachineError(
                f"the container {container.name} ended ({code}) before it was ready", why=log_since(container)
            )
        last = _status(ports[0].reached, path or "/")
        if last.startswith("2") or (path is None and last.isdigit()):
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(_LOOK)
    raise NotReadyError(
        f"the container {container.name} runs, and is not ready after {timeout:g} seconds",
        why=f"the last answer of GET {path or '/'} on port {ports[0].host}: {last}",
        hint=f"modelcrate logs -f {container.name}   shows what it does\nmodelcrate stop {container.name}      ends it",
    )


def _status(address: str, path: str) -> str:
    """Returns the status of one GET as text, or why there is none. The server is a stranger's: it gets _ANSWER seconds for its whole answer."""
    connection = http.client.HTTPConnection(address, timeout=_ANSWER)
    late = threading.Event()

    def end(sock: socket.socket) -> None:
        late.set()
        with suppress(OSError):  # it has gone
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(_ANSWER, lambda: None)
    try:
        connection.connect()
        timer = threading.Timer(
            _ANSWER, end, (connection.sock,)
        )  # the connection itself lets go of it before the body is read
        timer.daemon = True
        timer.start()
        connection.request("GET", quote(path, safe=string.punctuation, errors="replace"))
        answer = connection.getresponse()
        answer.read(_BODY)  # a server logs a connection that ends before its answer does
        found = str(answer.status)
    except (OSError, http.client.HTTPException) as fault:
        found = str(fault) or type(fault).__name__
    finally:
        timer.cancel()
        connection.close()
    return f"no whole answer within {_ANSWER:g} seconds" if late.is_set() else found


def log_since(container: Container, start: int = 0) -> str:
    """Returns the end of a container's log, of what is behind its byte `start`."""
    begin = max(start, container.log_size() - _TAIL)
    return b"".join(container.logs(start=begin)).decode("utf-8", "replace").rstrip()
