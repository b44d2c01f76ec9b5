"""Published ports: listeners on addresses of the machine, and connections carried into the container's network.

A socket belongs to the network namespace that it was made in. So listeners are made first, then the supervisor moves into the container's
network, accepts in one and connects in the other: no other program, no packet filter, no root.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

from modelcrate.containers.options import LOOPBACK, Port
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace

_BACKLOG = 128
_PIECE = 1 << 16


def listen(ports: Sequence[Port]) -> tuple[list[socket.socket], tuple[Port, ...]]:
    """Returns listeners for the published ports, and the ports with the numbers that were given for 0. UserError for a taken port."""
    found: list[socket.socket] = []
    try:
        for port in ports:
            version_6 = ":" in port.address
            listener = socket.socket(socket.AF_INET6 if version_6 else socket.AF_INET, socket.SOCK_STREAM)
            found.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if version_6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # 0.0.0.0 may be published beside it
            listener.setblocking(False)
            listener.bind((port.address, port.host))
            listener.listen(_BACKLOG)
    except OSError as fault:
        for listener in found:
            listener.close()
        hint = "choose another port, as HOST:CONTAINER; 0 takes any free one"
        raise UserError(f"can't publish port {port.host} on {port.address}: {fault.strerror}", hint=hint) from None
    return found, tuple(replace(port, host=each.getsockname()[1]) for each, port in zip(found, ports, strict=True))


def check_free(ports: Sequence[Port]) -> None:
    """Checks that the ports can be published now, before anything is unpacked. UserError for a taken port."""
    for listener in listen(ports)[0]:
        listener.close()


async def forward(listener: socket.socket, port: int) -> asyncio.Server:
    """Carries every connection to `listener` to `port` of this network's loopback, from now on."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:  # the program does not listen yet, or no longer: the client sees a connection that ends
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        for end in (writer, inner_writer):
            end.close()
            with suppress(OSError):
                await end.wait_closed()

    return await asyncio.start_server(carry, sock=listener, limit=_PIECE)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction. The end of it is passed on as an end, for a client may stop sending and still wait for the answer."""
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()
