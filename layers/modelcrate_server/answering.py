"""Requests to the application, and its answers to clients, written by gunicorn's own writer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gunicorn.http.wsgi import Response as Writer

from .app import ScoringApp
from .connection import ClientGoneError, Connection
from .plain_answers import LARGEST, plain_answer
from .reading import BadRequestError, Received
from .service import SERVER_FAILED
from .stopping import Stopped

if TYPE_CHECKING:
    from .response import Response

_log = logging.getLogger("azmlinfsrv")


@dataclass(frozen=True)
class HttpWork:
    """A complete request of a client (see `Work`).

    Attributes:
        connection: Where the answer goes.
        received: The request.
        cfg: Gunicorn's configuration.
        may_keep: Returns whether the connection may be used for another request.
    """

    connection: Connection
    received: Received
    cfg: Any
    may_keep: Callable[[], bool]

    @property
    def environ(self) -> Mapping[str, Any]:
        """The request by WSGI."""
        return self.received.environ

    def answer(
        self, app: ScoringApp, waiting: Callable[[], object] = lambda: None, response: Response | None = None
    ) -> None:
        """Gives the answer, and ends the connection's turn (see `Work.answer`)."""
        connection, request = self.connection, self.received.request
        out = _Outgoing(connection, waiting)
        try:
            made = app.answer(self.environ) if response is None else response
            keep = self.may_keep() and not self.received.rest_unread and not request.should_close()
            plain = plain_answer(request, made, keep)
            if plain is None:
                keep = self._write(made, keep, out)
            else:
                out.sendall(plain)
                out.flush()
        except ClientGoneError:
            _log.info("A client closed its connection before it had its answer")
            connection.finish(keep=False)
        except BaseException as failure:  # also the script's SystemExit: the server goes on
            if isinstance(failure, Stopped) and not failure.code:
                _log.info("An answer was broken off, because the server ends at once")
            else:
                _log.error("An answer could not be given: %r", failure, exc_info=failure)
            if out.begun:
                connection.break_off()
                connection.finish(keep=False)
            else:
                _refuse(app, self.cfg, connection, 500, SERVER_FAILED, request)
            if isinstance(failure, Stopped):
                raise
        else:
            last = request.should_close() and not self.received.rest_unread
            connection.finish(keep=keep, last=last)

    def _write(self, response: Response, keep: bool, out: _Outgoing) -> bool:
        """Writes an answer with gunicorn's writer; returns whether the connection may be used for another request."""
        writer = Writer(self.received.request, out, self.cfg)
        body = response(self.environ, writer.start_response)
        if not keep:
            writer.force_close()
        _write(body, writer, out)
        return not writer.should_close()


def refuse(app: ScoringApp, cfg: Any, connection: Connection, fault: BadRequestError) -> None:
    """Answers what is no request, and ends the connection."""
    _log.info("A request was refused with %d: %s", fault.status, fault.message)
    _refuse(app, cfg, connection, fault.status, fault.message, _Unreadable(fault.path))


def _refuse(app: ScoringApp, cfg: Any, connection: Connection, status: int, message: str, request: Any) -> None:
    out = _Outgoing(connection, lambda: None)
    writer = Writer(request, out, cfg)
    writer.force_close()
    environ = {"REQUEST_METHOD": request.method}
    with contextlib.suppress(ClientGoneError):
        _write(app.refusal(request.path, status, message)(environ, writer.start_response), writer, out)
    connection.finish(keep=False)


def _write(body: Any, writer: Any, out: _Outgoing) -> None:
    try:
        for part in body:
            writer.write(part)
            if writer.chunked:
                out.flush()  # a streamed part leaves at once, and does not wait for the next one
        writer.close()
        out.flush()
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


class _Outgoing:
    """The socket to which gunicorn's writer writes: small parts are collected, so that an answer is one packet where it can be."""

    def __init__(self, connection: Connection, waiting: Callable[[], object]) -> None:
        self._connection, self._waiting = connection, waiting
        self._parts: list[bytes] = []
        self.begun = False

    def sendall(self, data: bytes) -> None:
        if self._parts and len(data) > LARGEST:
            self.flush()
        self._parts.append(data)

    def flush(self) -> None:
        if self._parts:
            self.begun = True
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = []
            self._waiting()
            self._connection.send(data, self._waiting)


class _Unreadable:
    """As much of a request as gunicorn's writer needs."""

    method, version = "GET", (1, 1)

    def __init__(self, path: str) -> None:
        self.path = path
        self.headers: list[tuple[str, str]] = []

    def should_close(self) -> bool:
        return True
