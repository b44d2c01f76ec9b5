"""Requests out of bytes, in whatever pieces they arrive."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_server import reading
from modelcrate_server.chunked import ChunkedBody, ChunkError
from modelcrate_server.reading import MAX_HEAD, BadRequestError, Received, RequestReader

PEER = ("127.0.0.1", 1)
HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\n"


def read_all(pieces: list[bytes], limit: int | None = None) -> list[Received]:
    reader = RequestReader(Config(), PEER, PEER, limit)
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (received := reader.next()) is not None:
            found.append(received)
    return found


def body(received: Received) -> bytes:
    data: bytes = received.environ["wsgi.input"].read()
    return data


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


STREAM = (
    HEAD
    + b"Content-Length: 5\r\n\r\nhello"
    + b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
    + HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: r\r\n\r\n"
    + b"HEAD /a%20b?c=d HTTP/1.0\r\n\r\n"
)


@given(places=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_pieces_of_any_size_are_the_same_requests(places: list[int]) -> None:
    found = read_all(cut(STREAM, places))
    told = [(each.environ["REQUEST_METHOD"], each.environ["PATH_INFO"], body(each)) for each in found]
    assert told == [
        ("POST", "/score", b"hello"),
        ("GET", "/", b""),
        ("POST", "/score", b"abc0123456789"),
        ("HEAD", "/a b", b""),
    ]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\n", 400),
        (HEAD + b"Content-Length: +1\r\n\r\n0", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n0", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (HEAD + b"A: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (HEAD + b"A: x\r\n" * 200 + b"\r\n", 431),
        (HEAD + b"A: x\r\n" * MAX_HEAD, 431),
    ],
)
def test_what_is_no_request_is_refused(sent: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as refused:
        read_all([sent])
    assert refused.value.status == status


@pytest.mark.parametrize(
    "sent",
    [
        b"x\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"\r\n",
        b"1 2\r\n",
        b"1\n0\r\n",
        b"1\r\n0zz",
        b"1\r\n0\nx",
        b"f" * 17 + b"\r\n",
        b"1;" + b"e" * 9000,
        b"0\r\n" + b"T: r\r\n" * 20_000,
        b"0\r\nT: r\n\r\n",
        b"0 \r\n\r\n",
        b"0\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"0\r\nT: r\r\n folded\r\n\r\n",
        b"0\r\nT: r\r\nContent-length: 5\r\n\r\n",
    ],
)
def test_a_malformed_chunk_is_refused(sent: bytes) -> None:
    with pytest.raises(ChunkError):
        ChunkedBody().decode(bytearray(sent))
    with pytest.raises(BadRequestError) as refused:
        read_all([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + sent])
    assert (refused.value.status, refused.value.path) == (400, "/score")


@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    with suppress(BadRequestError):
        read_all([data, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data])


@pytest.mark.parametrize("framing", [b"Content-Length: 11\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_body_over_the_limit_is_handed_over_before_it_is_read(framing: bytes) -> None:
    part = b"b\r\n01234567890" if b"chunked" in framing else b""
    (received,) = read_all([HEAD + framing + part], limit=10)
    assert received.rest_unread


def test_a_client_that_waits_is_told_to_go_on_once() -> None:
    reader = RequestReader(Config(), PEER, PEER, None)
    reader.feed(HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert reader.next() is None
    assert reader.continue_wanted
    at_once = RequestReader(Config(), PEER, PEER, None)
    at_once.feed(HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n0")
    assert at_once.next() is not None
    assert not at_once.continue_wanted


def test_sizes_are_known_while_a_body_arrives() -> None:
    reader: Any = RequestReader(Config(), PEER, PEER, None)
    assert (reader.begun, reader.in_body) == (False, False)
    reader.feed(HEAD + b"Content-Length: 9\r\n\r\n1234")
    assert reader.next() is None
    assert (reader.begun, reader.in_body, reader.body_size, reader.received_size) == (True, True, 9, 4)


HEADS = [
    HEAD + b"Content-Length: %d\r\n\r\n",
    HEAD + b"content-length:%d\r\nX-Other: 7\r\n\r\n",
    HEAD + b"Content-Length: 0%d\r\nConnection: close\r\n\r\n",
    HEAD + b"Content-Length: %d \r\n\r\n",
    HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n",
    HEAD + b"X-Content-Length: 3\r\nContent-Length: %d\r\n\r\n",
    HEAD + b"Content-Length: %d\r\nX: " + b"y" * 5000 + b"\r\n\r\n",
    HEAD + b"Content-Length: %d\r\nX: y" + b"\r\nZ: \xff\r\n\r\n",
]


def said(received: Received) -> dict[str, Any]:
    """What a request says by WSGI, without what is made anew for each."""
    made_anew = ("wsgi.errors", "wsgi.input", "wsgi.early_hints", "gunicorn.socket")
    return {name: value for name, value in received.environ.items() if name not in made_anew}


@given(
    turns=st.lists(st.tuples(st.sampled_from(HEADS), st.integers(0, 300)), max_size=8),
    places=st.lists(st.integers(0, 9999), max_size=4),
)
def test_a_head_that_comes_again_says_the_same_as_on_a_connection_of_its_own(
    turns: list[tuple[bytes, int]], places: list[int]
) -> None:
    requests = [head % size + b"b" * size for head, size in turns]
    together = read_all(cut(b"".join(requests), places))
    alone = [read_all([each])[0] for each in requests]
    assert [said(each) for each in together] == [said(each) for each in alone]
    assert [body(each) for each in together] == [body(each) for each in alone]
    assert [each.request.should_close() for each in together] == [each.request.should_close() for each in alone]


def test_a_head_is_parsed_once_and_what_a_script_changes_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    real = reading.Request
    monkeypatch.setattr(reading, "Request", lambda *words: parsed.append(words) or real(*words))  # type: ignore[func-returns-value]
    first = HEAD + b"Content-Length: 3\r\n\r\nabc"
    reader = RequestReader(Config(), PEER, PEER, None)
    found = []
    for data in (
        first,
        first,
        first.replace(b"3\r\n\r\nabc", b"10\r\n\r\n0123456789"),
        first.replace(b"Host: x", b"Host: y"),
        first,
    ):
        reader.feed(data)
        received = reader.next()
        assert received is not None
        received.environ["HTTP_HOST"] += "!"
        found.append((received.environ["HTTP_HOST"], received.environ["CONTENT_LENGTH"], body(received)))
    assert found == [
        ("x!", "3", b"abc"),
        ("x!", "3", b"abc"),
        ("x!", "10", b"0123456789"),
        ("y!", "3", b"abc"),
        ("x!", "3", b"abc"),
    ]
    assert len(parsed) == 3


@pytest.mark.parametrize("length", [b"-1", b"+3", b"3a", b"", b"3, 3", b"9" * 19, b"\xb2"])
def test_a_length_that_is_none_is_refused_after_a_head_that_is_the_same_but_for_it(length: bytes) -> None:
    head = HEAD + b"Content-Length: 3\r\n\r\n"
    for data in (head.replace(b"3\r", length + b"\r"), head[:-2] + b"Content-Length: 3\r\n\r\n"):
        outcomes = []
        for before in (head + b"abc", b""):
            reader = RequestReader(Config(), PEER, PEER, 100)
            reader.feed(before)
            reader.next()
            reader.feed(data)
            try:
                received = reader.next()
            except BadRequestError as refused:
                outcomes.append((refused.status, str(refused)))
            else:
                outcomes.append((0, str(received and received.rest_unread)))
        assert outcomes[0] == outcomes[1]
