"""When a client has taken too long."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from modelcrate_server.connection import CLOSING, WORKING, Connection
from modelcrate_server.limits import Limits
from modelcrate_server.reading import RequestReader

LIMITS = Limits(client_timeout=30)
HEAD = b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Connection(ours, RequestReader(Config(), ("", 0), ("", 0), None), lambda _: None, 1)
        made.since = made.progress = 1000.0
        yield made


def late(connection: Connection, after: float, stopping: float = 0.0, may_send: bool = True) -> bool:
    return LIMITS.is_late(connection, 1000.0 + after, stopping and 1000.0 + stopping, may_send)


def received(connection: Connection, data: bytes) -> None:
    connection.reader.feed(data)
    assert connection.reader.next() is None


def test_a_head_has_the_clients_time_in_all(connection: Connection) -> None:
    assert not late(connection, 29)
    received(connection, b"POST")
    connection.progress = 1029.0
    assert late(connection, 31), "more bytes do not buy more time"


def test_a_body_may_not_be_silent_and_has_a_rate(connection: Connection) -> None:
    received(connection, HEAD + b"x" * 50_000)
    assert late(connection, 31), "silent for too long"
    connection.progress = 1060.0
    assert not late(connection, 61), "31 seconds over, at more than 1 kB/s"
    connection.progress = 1090.0
    assert late(connection, 91), "too slow on average"
    assert not late(connection, 91, may_send=False), "it waits for its turn"


def test_other_states_have_limits_of_their_own(connection: Connection) -> None:
    connection.answered = 1
    assert not late(connection, 74)
    assert late(connection, 76), "an idle connection"
    connection.state = WORKING
    assert not late(connection, 10_000), "run() has its own"
    connection.state = CLOSING
    assert late(connection, 3)


def test_the_end_of_the_server_is_for_requests_that_have_begun(connection: Connection) -> None:
    assert not late(connection, 2, stopping=1)
    assert late(connection, 4, stopping=1), "nothing has arrived"
    received(connection, b"POST")
    assert not late(connection, 4, stopping=1)
    assert late(connection, 7, stopping=1)


def test_no_limit_for_clients_means_for_ever(connection: Connection) -> None:
    received(connection, b"POST")
    assert not Limits(client_timeout=0).is_late(connection, 1e9, 0.0, True)
