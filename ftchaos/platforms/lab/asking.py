"""One command to a server of a place, asked from inside that place: a cut cable or a filter does not matter."""

from __future__ import annotations

import asyncio
import socket

from ftchaos.platforms.lab.layout import Layout
from ftchaos.platforms.lab.network import Loopback, Network

ANSWER_S = 0.3


async def ask(network: Network | Loopback, layout: Layout, place: str, port: int, command: str) -> str:
    """A Redis server's raw reply to one command; empty when it gave none in time."""
    with network.inside(place):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with connection:
        connection.setblocking(False)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await _exchange(connection, (layout.address(place), port), command)
        except (OSError, TimeoutError):
            return ""


async def _exchange(connection: socket.socket, address: tuple[str, int], command: str) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, address)
    await loop.sock_sendall(connection, command.encode() + b"\r\n")
    reply = await loop.sock_recv(connection, 65536)
    return reply.decode(errors="replace")
