"""Answers that are written without gunicorn's writer: they are what it would have written, to the byte, but for the second of the date."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import Response as Writer
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_server.plain_answers import LARGEST, plain_answer
from modelcrate_server.response import AMLResponse, Response

PLAIN = "application/json"


def request(head: bytes = b"POST /score HTTP/1.1\r\nHost: x\r\n\r\n") -> Any:
    return Request(Config(), IterUnreader([head]), ("127.0.0.1", 1), 1)


def written(asked: Any, response: Response, keep: bool) -> bytes:
    """What gunicorn's writer makes of it."""
    out = io.BytesIO()
    out.sendall = out.write  # type: ignore[attr-defined]  # as much of a socket as it needs
    writer = Writer(asked, out, Config())
    if not keep:
        writer.force_close()
    for part in response({"REQUEST_METHOD": asked.method}, writer.start_response):
        writer.write(part)
    writer.close()
    return out.getvalue()


def undated(answer: bytes) -> bytes:
    return re.sub(rb"\r\nDate: [^\r]+ GMT\r\n", b"\r\nDate: \r\n", answer)


@given(
    body=st.binary(max_size=50),
    status=st.integers(100, 700),
    fields=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "x-request-id",
                    "TraceId",
                    "Vary",
                    "traceid",
                    "Connection",
                    "Content-Length",
                    "Set-Cookie",
                    "X_y",
                    "b d",
                ]
            ),
            st.text(alphabet=" \tabé\x00\x7f", max_size=4),
        ),
        max_size=3,
    ),
    keep=st.booleans(),
)
def test_what_is_written_is_what_gunicorn_writes(
    body: bytes, status: int, fields: list[tuple[str, str]], keep: bool
) -> None:
    response = Response(body, status, PLAIN)
    for name, value in fields:
        response.headers.add(name, value)
    asked = request()
    plain = plain_answer(asked, response, keep)
    if plain is not None:
        assert undated(plain) == undated(written(asked, response, keep))


def test_the_servers_own_answers_are_written_so() -> None:
    response = AMLResponse("[1.5]", 200, {"x-request-id": "a"})
    assert plain_answer(request(), response, keep=True) is not None


@pytest.mark.parametrize(
    ("head", "response"),
    [
        (b"HEAD / HTTP/1.1\r\n\r\n", Response("x")),
        (b"GET / HTTP/1.0\r\n\r\n", Response("x")),
        (b"GET / HTTP/1.1\r\n\r\n", Response(iter(["x"]))),
        (b"GET / HTTP/1.1\r\n\r\n", Response("", 204)),
        (b"GET / HTTP/1.1\r\n\r\n", Response(b"x" * (LARGEST + 1))),
        (b"GET / HTTP/1.1\r\n\r\n", AMLResponse("x", 200, {"Connection": "upgrade"})),
        (b"GET / HTTP/1.1\r\n\r\n", AMLResponse("x", 200, {"x-own": "y"})),
        (b"GET / HTTP/1.1\r\n\r\n", AMLResponse("x", 200, {"TraceId": "\x00"})),
    ],
)
def test_everything_else_is_left_to_gunicorn(head: bytes, response: Response) -> None:
    assert plain_answer(request(head), response, keep=True) is None
