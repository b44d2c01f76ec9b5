"""Published ports on loopback: listeners, and connections that are carried on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from modelcrate.containers.forward import check_free, forward, listen
from modelcrate.containers.options import LOOPBACK, Port
from modelcrate_layers.errors import UserError
from support.waiting import HANG


def test_port_0_becomes_a_free_one() -> None:
    listeners, ports = listen([Port(0, 5001), Port(0, 5002)])
    try:
        assert [port.container for port in ports] == [5001, 5002]
        assert [port.host for port in ports] == [each.getsockname()[1] for each in listeners]
        assert {each.getsockname()[0] for each in listeners} == {LOOPBACK}
    finally:
        for each in listeners:
            each.close()


def test_a_taken_port_is_named_and_the_others_are_given_back() -> None:
    with socket.socket() as taken, socket.socket() as free:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        free.bind((LOOPBACK, 0))
        number = free.getsockname()[1]
        free.close()
        with pytest.raises(UserError, match=f"can't publish port {taken.getsockname()[1]}"):
            check_free([Port(number, 1), Port(taken.getsockname()[1], 2)])
        check_free([Port(number, 1)])


@pytest.mark.parametrize(("text", "at"), [("127.0.0.2:0:1", "127.0.0.2"), ("[::1]:0:1", "::1")])
def test_an_address_is_published_as_wished(text: str, at: str) -> None:
    (listener,), (port,) = listen([Port.parse(text)])
    with listener:
        assert listener.getsockname()[:2] == (at, port.host)
        host, _, number = port.reached.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(number)), timeout=HANG):
            pass


def test_one_number_on_two_addresses() -> None:
    (first, second), ports = listen([Port(0, 1, "127.0.0.2"), Port(0, 2, "::1")])
    with first, second:
        assert [str(each).partition(":")[0] for each in ports] == ["127.0.0.2", "["]
        check_free([Port(ports[0].host, 1, "127.0.0.3")])
        with pytest.raises(UserError, match=r"on 127\.0\.0\.2: Address already in use"):
            check_free([Port(ports[0].host, 1, "127.0.0.2")])


def test_an_address_of_another_machine() -> None:
    with pytest.raises(UserError, match=r"can't publish port 80 on 192\.0\.2\.1"):
        check_free([Port(80, 1, "192.0.2.1")])


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers when the client has sent everything, with the same bytes."""
    data = await reader.read()
    writer.write(data[::-1])
    await writer.drain()
    writer.close()


async def _end_of_all_others() -> None:
    """Waits for the other ends of a connection: a loop that ends before them leaves their sockets open."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


def test_both_directions_are_carried_and_their_ends_as_well() -> None:
    async def exchange() -> bytes:
        inner = await asyncio.start_server(_echo, LOOPBACK, 0)
        (listener,), (port,) = listen([Port(0, 1)])
        async with inner, await forward(listener, inner.sockets[0].getsockname()[1]):
            reader, writer = await asyncio.open_connection(LOOPBACK, port.host)
            writer.write(b"ab" * 100_000)
            writer.write_eof()
            found = await reader.read()
            writer.close()
            await _end_of_all_others()
            return found

    assert asyncio.run(exchange()) == b"ba" * 100_000


def test_a_connection_ends_where_nothing_listens_inside() -> None:
    async def exchange() -> bytes:
        with socket.socket() as unused:
            unused.bind((LOOPBACK, 0))
            (listener,), (port,) = listen([Port(0, 1)])
            async with await forward(listener, unused.getsockname()[1]):
                reader, writer = await asyncio.open_connection(LOOPBACK, port.host)
                try:
                    return await reader.read()
                except ConnectionResetError:
                    return b"reset"
                finally:
                    writer.close()

    assert asyncio.run(exchange()) in (b"", b"reset")
