"""Waiting for servers of strangers, which answer as slowly and as oddly as they like."""

from __future__ import annotations

import socket
from itertools import repeat
from pathlib import Path

import pytest

from modelcrate.containers import ready
from modelcrate.containers.container import Container
from modelcrate.containers.options import Port
from modelcrate.containers.processes import ProcessId
from modelcrate.containers.ready import NotReadyError, wait_ready
from modelcrate.containers.state import ContainerState
from support.raw_server import Serve, at_once, raw_server, trickle


def endless(data: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        for piece in repeat(data):
            connection.sendall(piece)

    return serve


def container(folder: Path, address: str) -> Container:
    port = Port(int(address.rpartition(":")[2]), 5001)
    ContainerState("running", ProcessId.own(), 15, main=ProcessId.own(), ports=(port,)).save(folder)
    return Container(folder)


@pytest.mark.parametrize(
    "serve",
    [
        trickle(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000),
        trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000),
        trickle(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000),
        endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_without_an_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    monkeypatch.setattr(ready, "_ANSWER", 0.5)
    with raw_server(serve) as address, pytest.raises(NotReadyError, match=r"no whole answer within 0\.5 seconds"):
        wait_ready(container(tmp_path, address), timeout=0)


@pytest.mark.parametrize("path", ["/caf\u00e9", "/a\r\nX: y", "/\ud800", "/a b", "no slash"])
def test_any_path_can_be_asked_for(tmp_path: Path, path: str) -> None:
    with raw_server(at_once(b"HTTP/1.0 200 OK\r\n\r\n")) as address:
        wait_ready(container(tmp_path, address), path)
