"""The bytes of an ordinary answer over HTTP/1.1: a whole body, and header fields that need no thought.

Gunicorn's writer asks of each field of each answer whether it is HTTP, and whether it is about the connection. Here only fields are
written whose names are known to be in order; every other answer is left to gunicorn's writer.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any

import gunicorn

from .response import Response

LARGEST = 65_536
"""Bytes of a body that leaves in one piece with its head."""

_NAMES = frozenset(
    {
        *("Content-Type", "Content-Encoding", "Allow", "Vary", "TraceId"),
        *("x-ms-run-function-failed", "x-ms-run-fn-exec-ms", "x-ms-server-version"),
        *("x-request-id", "x-ms-request-id", "x-ms-client-request-id"),
        *("Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods"),
    }
)
"""What the server itself writes. None is about the connection or the length."""

_BODILESS = frozenset({204, 304})
_SERVER = getattr(gunicorn, "SERVER", gunicorn.SERVER_SOFTWARE)  # before 20.1 there was the latter alone


def plain_answer(request: Any, response: Response, keep: bool) -> bytes | None:
    """Returns head and body of an answer; None where gunicorn's writer has to make them.

    Args:
        request: Gunicorn's request.
        response: The answer.
        keep: The connection may be used for another request.
    """
    status = response.status_code
    if request.version != (1, 1) or request.method == "HEAD" or response.is_streamed:
        return None
    if not 200 <= status <= 599 or status in _BODILESS:
        return None
    body, fields = response.get_data(), response.headers.items()
    values = "".join([value for _, value in fields])
    if len(body) > LARGEST or not (values.isascii() and values.isprintable()) or not _NAMES.issuperset(dict(fields)):
        return None
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    if ":  " in lines or " \r\n" in lines:  # gunicorn strips values
        return None
    begin = _begin(status, response.reason, keep, int(time.time()))
    return f"{begin}{lines}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body


@lru_cache(maxsize=16)
def _begin(status: int, reason: str, keep: bool, second: int) -> str:
    date, connection = formatdate(second, usegmt=True), "keep-alive" if keep else "close"
    return f"HTTP/1.1 {status} {reason}\r\nServer: {_SERVER}\r\nDate: {date}\r\nConnection: {connection}\r\n"
