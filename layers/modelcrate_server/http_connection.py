"""One client's connection, for `runner_plain`: HTTP/1.1 in, WSGI environments out, answers back."""

from __future__ import annotations

import io
import logging
import queue
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from .response import error

MAX_REQUEST_LINE = 4094
"""As gunicorn has it."""
MAX_CHUNK_LINE = 4096

_log = logging.getLogger("azmlinfsrv")


class BadRequestError(Exception):
    """The bytes are no HTTP request that could be answered safely."""


class Exchange:
    """One request, read wholly, and its answer when the main thread has made it.

    `sent`: the client has it, or is gone.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self.made, self.sent = threading.Event(), threading.Event()
        self.status, self.fields, self.body = "500 INTERNAL SERVER ERROR", [("Content-Length", "0")], b""

    def run(self, app: Callable[..., Any]) -> None:
        """Makes the answer. Whatever the script does, the server goes on: here even its SystemExit is only an error."""
        try:
            self.body = b"".join(app(self._environ, self._start))
        except BaseException:
            _log.exception("the answer could not be made")
        finally:
            self.made.set()

    def _start(self, status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.status, self.fields = status, fields


class Connection(BaseHTTPRequestHandler):
    """Reads requests until the client goes, hands each to the server's queue, and writes what comes back."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.client_timeout or None)  # type: ignore[attr-defined]  # a runner_plain._Server

    def handle_one_request(self) -> None:
        try:
            self.raw_requestline = self.rfile.readline(MAX_REQUEST_LINE + 3)
            if not self.raw_requestline:
                self.close_connection = True
            elif len(self.raw_requestline.rstrip(b"\r\n")) > MAX_REQUEST_LINE:
                self._refuse(414, "the request line is too long")
            elif self.parse_request():
                self._answer()
            self.wfile.flush()
        except OSError:  # silent for too long, or gone
            self.close_connection = True

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()  # the client waits for this before it sends the body
        return go_on

    def _answer(self) -> None:
        try:
            body = self._body()
        except BadRequestError as fault:
            self._refuse(400, str(fault))
            return
        exchange = Exchange(self._environ(body))
        waiting: queue.SimpleQueue[Exchange | None] = self.server.waiting  # type: ignore[attr-defined]  # a runner_plain._Server
        waiting.put(exchange)
        exchange.made.wait()
        try:
            self._write(exchange.status, exchange.fields, exchange.body)
        finally:
            exchange.sent.set()

    def _body(self) -> bytes:
        lengths, codings = self.headers.get_all("Content-Length", []), self.headers.get_all("Transfer-Encoding", [])
        if codings:
            if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
                raise BadRequestError("the length of the body is said twice, or in an unknown way")
            return b"".join(self._chunks())
        if not lengths:
            return b""
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise BadRequestError("the length of the body is no number")
        body = self.rfile.read(int(lengths[0]))
        if len(body) < int(lengths[0]):
            raise BadRequestError("the body ended early")
        return body

    def _chunks(self) -> Any:
        while True:
            text = self.rfile.readline(MAX_CHUNK_LINE).split(b";")[0].strip()
            try:
                size = int(text, 16) if text.isalnum() else -1
            except ValueError:
                size = -1
            if size < 0:
                raise BadRequestError("a chunk without a size")
            if size == 0:
                break
            chunk = self.rfile.read(size)
            if len(chunk) < size or self.rfile.read(2) != b"\r\n":
                raise BadRequestError("a chunk ended early")
            yield chunk
        while self.rfile.readline(MAX_CHUNK_LINE) not in (b"\r\n", b"\n", b""):
            pass  # trailer fields say nothing to a scoring script

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        host, port = self.connection.getsockname()[:2]
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            if "_" in name:
                continue  # it could pass for another header field
            key = name.upper().replace("-", "_")
            key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value.strip()}" if key in environ else value.strip()
        return environ

    def _write(self, status: str, fields: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in fields:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in fields) and int(code) not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True
        self.requestline, self.request_version = "", self.protocol_version  # whatever could be read of them
        answer = error(status, why)
        self._write(f"{status} {answer.reason}", answer.headers.items(), answer.get_data())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._refuse(int(code), message or "the request could not be read")

    def version_string(self) -> str:
        return "modelcrate"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        return None  # the application writes the access line
