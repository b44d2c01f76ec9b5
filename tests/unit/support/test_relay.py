"""The relay that counts for other tests, held to requests that are known."""

from __future__ import annotations

import pytest

from support.relay import Stream

REQUESTS = (
    b"PATCH /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\na;x=1\r\n0123\r\n\r\n89\r\n0\r\n\r\n"
    b"PUT /y HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: b\r\n\r\n"
)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_requests_and_bodies_are_counted_however_they_are_cut(step: int) -> None:
    asked: list[str] = []
    arrived: list[int] = []
    stream = Stream(asked.append, arrived.append)
    for start in range(0, len(REQUESTS), step):
        stream.feed(REQUESTS[start : start + step])
    assert (asked, sum(arrived)) == (["PATCH", "PUT", "GET"], 5 + 10 + 3)
