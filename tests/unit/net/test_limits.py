"""Responses that trickle, that never become final, and that come after interim ones."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

import pytest

from modelcrate.net.client import HttpClient
from modelcrate.net.config import HttpConfig, Timeouts
from modelcrate.net.errors import ConnectionFailed
from modelcrate.net.messages import Bytes, Request
from modelcrate.net.tls import Trust
from support.raw_server import Serve, at_once, raw_server, trickle

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
OK = HEAD + b"\r\nhello"


GET = Request("GET", "http://{}/")


def ask(serve: Serve, request: Request = GET, **limits: float) -> bytes:
    config = HttpConfig(timeouts=Timeouts(**{"answer": 5.0, **limits}))  # type: ignore[arg-type]
    with raw_server(serve) as place, HttpClient(config) as client:
        return client.exchange(replace(request, url=request.url.format(place)), Trust()).read(1 << 20).body


def test_a_header_that_trickles_is_given_up() -> None:
    with pytest.raises(ConnectionFailed, match="header did not end"):
        ask(trickle(HEAD + b"X: " + b"y" * 5000), headers=0.2)


def test_a_body_that_trickles_is_given_up() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    with pytest.raises(ConnectionFailed, match=r"broke off: \d+ bytes in"):
        ask(lambda connection: (connection.sendall(body), trickle(bytes(5000))(connection))[1], answer=0.3)


def test_a_chunked_body_that_trickles_is_given_up() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        trickle(b"1\r\nx\r\n" * 2000)(connection)

    with pytest.raises(ConnectionFailed, match="broke off"):
        ask(serve, answer=0.3)


def test_a_slow_body_that_keeps_its_rate_is_read_to_its_end() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        trickle(b"hello", 0.1)(connection)

    assert ask(serve, answer=0.25, slowest=1) == b"hello"


def test_a_body_that_is_taken_byte_by_byte_is_given_up() -> None:
    """The kernels on both sides take some megabytes; of what is left, a piece has to leave in time."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(1):
            time.sleep(0.02)

    request = Request("PUT", "http://{}/", body=Bytes(bytes(32 << 20)))
    began = time.monotonic()
    with pytest.raises(ConnectionFailed, match="it takes our bytes too slowly") as caught:
        ask(serve, request, connect=0.5)
    assert caught.value.silent
    assert "run the same command again" in caught.value.hint
    assert time.monotonic() - began < 20


def test_a_document_has_to_end_in_time_whatever_its_rate() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        trickle(b"1\r\nx\r\n" * 2000, 0.005)(connection)

    with pytest.raises(ConnectionFailed, match="did not end within"):
        ask(serve, document=0.3, slowest=1)


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
def test_interim_responses_are_passed_over(interim: bytes) -> None:
    assert ask(at_once(interim + OK)) == b"hello"


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
def test_interim_responses_without_end_are_refused(status: bytes) -> None:
    with pytest.raises(ConnectionFailed, match="interim responses without end"):
        ask(at_once((b"HTTP/1.1 " + status + b"\r\n\r\n") * 100 + OK))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 999999 no\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    ],
)
def test_what_is_no_response_is_a_failed_connection(answer: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        ask(at_once(answer))
