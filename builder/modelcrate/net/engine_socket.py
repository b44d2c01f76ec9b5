"""Docker's API on a socket of this machine (Docker Engine API 1.40 and newer, which podman speaks, too): one request a connection."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from types import MappingProxyType
from typing import Any

from modelcrate_layers.errors import MachineError
from modelcrate_layers.frozen import dataclass

MAX_ANSWER = 8 << 20
"""Bytes of an answer of the engine."""

_SECONDS = 600.0
"""How long the engine may be silent: it unpacks a layer in that time."""

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EngineSocket:
    """The path of an engine's socket."""

    path: str

    def ask(
        self, method: str, path: str, body: Iterable[bytes] | None = None, headers: Mapping[str, str] = _NONE
    ) -> bytes:
        """Returns the answer to one request; a body is sent in chunks as it is made.

        Raises:
            MachineError: The engine is not there, or answers with a failure, which is the reason.
        """
        connection = _UnixConnection(self.path)
        try:
            with suppress(BrokenPipeError):  # it has refused before it had all, and says why
                connection.request(method, path, body, headers, encode_chunked=body is not None)
            return self._checked(connection.getresponse())
        except (OSError, HTTPException) as fault:
            raise refused(self.path, str(fault) or type(fault).__name__) from None
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        """Returns the JSON that GET `path` answers. MachineError as for `ask`, or where the answer is none."""
        try:
            return json.loads(self.ask("GET", path))
        except (ValueError, RecursionError):
            raise refused(self.path, "its answer is not JSON") from None

    def _checked(self, answer: HTTPResponse) -> bytes:
        data = answer.read(MAX_ANSWER + 1)
        if answer.status // 100 != 2 or len(data) > MAX_ANSWER:
            raise refused(self.path, f"status {answer.status}: {data[:300].decode('utf-8', 'replace')}")
        return data


def refused(where: str, why: str) -> MachineError:
    """Returns the failure of an engine that did not do what it was asked for."""
    return MachineError("the container engine of this machine refused", where=where, why=why[:500])


class _UnixConnection(HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Opens the socket. Python has none of this kind on Windows."""
        if sys.platform == "win32":
            raise OSError("this machine has no sockets of that kind")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)
