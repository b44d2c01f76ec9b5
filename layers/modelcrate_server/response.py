"""Answers: `Response`, and the `AMLResponse` that entry scripts make."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from .headers import Headers
from .streams import Stream

HTML = "text/html; charset=utf-8"
JSON = "application/json"
FAILED = "x-ms-run-function-failed"


class Response:
    """A status, header fields and a body.

    The body is bytes, or parts that are sent one by one; then the length is not known.
    """

    def __init__(self, body: Any = None, status: int = 200, content_type: str = HTML) -> None:
        self.status_code = int(status)
        self.headers = Headers([("Content-Type", content_type)])
        self._body: bytes | Iterable[Any] = _bytes(body) if body is None or isinstance(body, _WHOLE) else body

    @property
    def content_type(self) -> str | None:
        """The content-type field."""
        return self.headers.get("Content-Type")

    @property
    def reason(self) -> str:
        """The phrase of the status, in capital letters."""
        try:
            return HTTPStatus(self.status_code).phrase.upper()
        except ValueError:
            return "UNKNOWN"

    @property
    def is_streamed(self) -> bool:
        """Whether the body is sent part by part."""
        return not isinstance(self._body, (bytes, list, tuple))

    @property
    def length(self) -> int | None:
        """The bytes of the body; None when they are not known before it is sent."""
        return None if self.is_streamed else len(self.get_data())

    @property
    def data(self) -> bytes:
        """The body."""
        return self.get_data()

    def get_data(self) -> bytes:
        """Returns the body; the parts of a streamed one are joined."""
        if not isinstance(self._body, bytes):
            self._body = b"".join(map(_bytes, self._body))
        return self._body

    def set_data(self, body: bytes) -> None:
        """Replaces the body."""
        self._body = body

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers by WSGI: without a body for HEAD and for statuses that have none, with a length where it is known."""
        fields = self.headers.copy()
        bodiless = self.status_code < 200 or self.status_code in {204, 304}
        if bodiless:
            for name in _OF_A_BODY if self.status_code == 304 else ("Content-Length",):
                fields.remove(name)
        elif self.length is not None:
            fields["Content-Length"] = self.length
        start_response(f"{self.status_code} {self.reason}", fields.items())
        if bodiless or environ.get("REQUEST_METHOD") == "HEAD":
            return []
        return map(_bytes, self._body) if self.is_streamed else [self.get_data()]


class AMLResponse(Response):
    """The answer of an entry script that chooses status and header fields itself.

    Args:
        message: Text, bytes or a generator of them; with `json_str` anything that JSON can write. None becomes an empty object.
        status_code: The HTTP status.
        response_headers: Header fields; a comma in a value makes it a repeated field.
        json_str: Writes the message as JSON.
        run_function_failed: The value of x-ms-run-function-failed.
    """

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: Mapping[str, str] | None = None,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        given = dict(response_headers or {})
        if message is None:
            super().__init__(json.dumps({}), status_code, JSON)
        elif json_str:
            super().__init__(json.dumps(message), status_code, JSON)
        else:
            super().__init__(message, status_code)
            if "Content-Type" in given:
                self.headers.remove("Content-Type")
        self.headers[FAILED] = run_function_failed
        for name, value in given.items():
            for part in value.split(","):
                self.headers.add(name, part.strip())


def error(status: int, message: str, run_function_failed: bool = False) -> AMLResponse:
    """Returns an error in the contract's form: a JSON object with `message`."""
    return AMLResponse({"message": message}, status, json_str=True, run_function_failed=run_function_failed)


def with_fields(response: Response, fields: Iterable[tuple[str, str]]) -> Response:
    """Sets these header fields, and returns the response."""
    for name, value in fields:
        response.headers[name] = value
    return response


def json_response(document: Any, status: int = 200) -> Response:
    """Returns a response with this document."""
    return Response(json.dumps(document), status, JSON)


def error_object(status: int, message: str) -> Response:
    """Returns an error in the form of several protocols: a JSON object with `error`."""
    return json_response({"error": message}, status)


def adopted(result: object) -> Response | None:
    """Returns the response that run() made: ours, that of a web framework of the image, or a stream of parts; else None."""
    if isinstance(result, Response):
        return result
    if isinstance(result, Stream):
        return Response(iter(result), 200, result.content_type)
    wrappers = sys.modules.get("werkzeug.wrappers")
    if wrappers is None or not isinstance(result, wrappers.Response):
        return None
    body = result.iter_encoded() if result.is_streamed else result.get_data()
    response = Response(body, result.status_code)
    response.headers = Headers(result.headers.items())
    return response


_OF_A_BODY = (
    *("Allow", "Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Range"),
    *("Content-Type", "Last-Modified"),
)
"""What an answer without news (304) does not repeat."""
_WHOLE = (str, bytes, bytearray)


def _bytes(part: Any) -> bytes:
    if part is None:
        return b""
    return part.encode() if isinstance(part, str) else bytes(part)
