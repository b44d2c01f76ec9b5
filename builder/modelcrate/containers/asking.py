"""One request to a server in a container."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from modelcrate.containers.forward import ADDRESS
from modelcrate_layers.errors import MachineError
from modelcrate_layers.frozen import dataclass

MAX_ANSWER = 256 << 20
"""Bytes of one answer."""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What a server answered."""

    status: int
    content_type: str
    body: bytes


def ask(
    port: int, path: str, data: bytes | None, headers: Mapping[str, str], timeout: float | None = None
) -> ServerAnswer:
    """Sends one request to a published port: a POST with a body, else a GET.

    Args:
        port: The port of this machine.
        path: The path, with its query.
        data: The body; None for a GET.
        headers: The headers.
        timeout: Seconds of silence; None for no limit, because a model may compute long.

    Raises:
        MachineError: Nothing answers, or not in HTTP.
    """
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=timeout)
    try:
        connection.request("GET" if data is None else "POST", path, data, dict(headers))
        answer = connection.getresponse()
        body = answer.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            raise MachineError(f"the answer has more than {MAX_ANSWER} bytes", where=f"port {port}, {path}")
        return ServerAnswer(answer.status, answer.getheader("Content-Type", ""), body)
    except (OSError, http.client.HTTPException) as fault:
        raise MachineError("no answer", where=f"port {port}, {path}", why=str(fault) or type(fault).__name__) from None
    finally:
        connection.close()
