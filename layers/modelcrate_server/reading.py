"""The bytes of one connection, taken apart into requests. Nothing here touches a socket.

Gunicorn's own parser reads the head, as it does in its workers; the body is collected here, since it may arrive in many pieces.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, NoMoreData
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import create

from .chunked import ChunkedBody, ChunkError
from .heads import KnownHead

MAX_HEAD = 262_144
"""The bytes of a request line and its header fields together. Gunicorn also limits each line."""

_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")


class BadRequestError(Exception):
    """The bytes are no request that can be answered safely; the connection is closed after the answer.

    `path` is empty where it could not be read.
    """

    def __init__(self, status: int, message: str, path: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.path = status, message, path


@dataclass(frozen=True)
class Received:
    """A request with its whole body. Without it (`rest_unread`) the connection can't be used for another request."""

    request: Any  # gunicorn's, which has no types here
    environ: dict[str, Any]
    rest_unread: bool = False


class RequestReader:
    """Reads requests one after the other from the bytes that are fed to it.

    Args:
        cfg: Gunicorn's configuration.
        client: The address of the client, as the socket gives it.
        server: The address on which the server listens.
        max_body_bytes: Stops reading a body that is larger; the application then refuses it. None for no limit.
    """

    def __init__(self, cfg: Any, client: Any, server: Any, max_body_bytes: int | None) -> None:
        self._cfg, self._client, self._server, self._limit = cfg, client, server, max_body_bytes
        self._buffer = bytearray()
        self._request: Any = None
        self._head = b""
        self._environ: dict[str, Any] | None = None  # of a head that is known
        self._known: KnownHead | None = None
        self._number = self._scanned = 0
        self._chunks: ChunkedBody | None = None
        self._parts: list[bytes] = []
        self._size = self._expected = 0
        self.continue_wanted = False
        """The client waits for "100 Continue" before it sends the body; whoever writes to the socket resets it."""

    @property
    def begun(self) -> bool:
        """Whether a part of a request is here."""
        return self._request is not None or bool(self._buffer)

    @property
    def in_body(self) -> bool:
        """Whether the head was read, and the body is not complete."""
        return self._request is not None

    @property
    def body_size(self) -> int:
        """The bytes of the current body: all of them where its length is known, else those that have arrived."""
        return max(self._expected, self._size)

    @property
    def received_size(self) -> int:
        """The bytes of the current body that have arrived."""
        return self._size

    def feed(self, data: bytes | memoryview) -> None:
        """Adds bytes that have arrived; they are copied."""
        self._buffer += data

    def next(self) -> Received | None:
        """Returns the next complete request, or None when more bytes are needed.

        Raises:
            BadRequestError: The bytes are no request.
        """
        if self._request is None and not self._read_head():
            return None
        path = self._request.path
        try:
            complete = self._read_body()
        except ChunkError as fault:
            raise BadRequestError(400, f"The body is not chunked as it should be: {fault}", path) from None
        too_large = self._limit is not None and self.body_size > self._limit
        if not complete and not too_large:
            return None
        return self._received(rest_unread=not complete)

    def _read_head(self) -> bool:
        end = self._buffer.find(_END, max(0, self._scanned - len(_END) + 1))
        bare = end < 0 and _BARE_LF.search(self._buffer, self._scanned)
        if end < 0 and not bare and len(self._buffer) <= MAX_HEAD:
            self._scanned = len(self._buffer)
            return False
        self._scanned = 0
        if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
            self._refuse_head(LimitRequestHeaders(f"the head is larger than {MAX_HEAD} bytes"))
        head = bytes(self._buffer if end < 0 else self._buffer[: end + len(_END)])
        del self._buffer[: len(head)]
        self._number += 1
        digits = None if self._known is None else self._known.length_in(head)
        if digits is None:
            self._parse(head)
        else:
            self._repeat(digits)
        return True

    def _repeat(self, digits: bytes) -> None:
        """Takes what was made of the last head; only the length of the body may be another one."""
        known = self._known
        assert known is not None
        self._request, self._environ = known.request, known.environ.copy()
        if digits:
            self._environ["CONTENT_LENGTH"] = digits.decode()
            self._expected = int(digits)

    def _parse(self, head: bytes) -> None:
        self._head, self._environ, self._known = head, None, None
        try:
            self._request = Request(self._cfg, IterUnreader([head]), self._client, self._number)
        except (NoMoreData, StopIteration):
            raise BadRequestError(400, "The lines of the request should end with CR LF") from None
        except Exception as fault:  # gunicorn's parse errors have no common class
            self._refuse_head(fault)
        framing = self._request.body.reader
        self._chunks = ChunkedBody() if isinstance(framing, ChunkedReader) else None
        self._expected = framing.length if isinstance(framing, LengthReader) else 0
        if not self._buffer and (self._expected > 0 or self._chunks is not None):
            expected = dict(self._request.headers).get("EXPECT", "").lower()
            self.continue_wanted = expected == "100-continue" and self._request.version >= (1, 1)

    @staticmethod
    def _refuse_head(fault: Exception) -> None:
        if isinstance(fault, LimitRequestLine):
            raise BadRequestError(414, "The request line is too long") from fault
        status = 431 if isinstance(fault, LimitRequestHeaders) else 400
        raise BadRequestError(status, f"The request could not be read: {fault}") from fault

    def _read_body(self) -> bool:
        """Moves the body's bytes out of the buffer; returns whether the body is complete."""
        if self._chunks is not None:
            part = self._chunks.decode(self._buffer)
        elif self._limit is not None and self._expected > self._limit:
            return False
        else:
            part = bytes(self._buffer[: self._expected - self._size])
            del self._buffer[: len(part)]
        if part:
            self._parts.append(part)
            self._size += len(part)
        return self._chunks.done if self._chunks is not None else self._size == self._expected

    def _received(self, rest_unread: bool) -> Received:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        environ = self._environ or self._made_environ()
        environ["wsgi.input"] = io.BytesIO(body)
        received = Received(self._request, environ, rest_unread)
        self._request, self._chunks, self._parts, self._size, self._expected = None, None, [], 0, 0
        return received

    def _made_environ(self) -> dict[str, Any]:
        try:
            environ: dict[str, Any] = create(self._request, _Unsent(), self._client, self._server, self._cfg)[1]
        except Exception as fault:  # such as a SCRIPT_NAME that the path does not begin with
            raise BadRequestError(400, f"The request could not be read: {fault}", self._request.path) from fault
        environ["wsgi.input_terminated"] = True
        if self._chunks is None:
            self._known = KnownHead.of(self._head, self._request, environ.copy())
        return environ


class _Unsent:
    """The socket for `create`, which would send "100 Continue" to it; by then the body is here."""

    def send(self, data: bytes) -> int:
        return len(data)
