"""The relay that counts for other tests, held to requests that are known."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.relay import Stream, relaying

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


class Echo(BaseHTTPRequestHandler):
    """Answers a PUT with its body, when it is allowed to."""

    protocol_version = "HTTP/1.1"
    allowed = threading.Event()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.allowed.wait()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_is_under_way_is_finished_and_nothing_else_gets_through_until_it_is_back() -> None:
    with echo() as host, relaying(host) as relay:
        open_connection = http.client.HTTPConnection(relay.host)
        Echo.allowed.clear()
        relay.at(3, relay.drain)
        open_connection.request("PUT", "/a", b"abc")
        with pytest.raises(ConnectionRefusedError):
            while True:  # until the relay has seen the body
                http.client.HTTPConnection(relay.host).connect()
        Echo.allowed.set()
        assert open_connection.getresponse().read() == b"abc"
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            open_connection.request("PUT", "/b", b"abc")
            open_connection.getresponse()
        relay.resume()
        back = http.client.HTTPConnection(relay.host)
        back.request("PUT", "/c", b"xyz")
        assert back.getresponse().read() == b"xyz"
        back.close()
        assert relay.requests["PUT"] == 2
