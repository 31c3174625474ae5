"""A TCP proxy that can fall silent: what stands at the address of a pod or of a service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int]
_LINGER = struct.pack("ii", 1, 0)
_CHUNK = 65_536


@dataclass(frozen=True)
class Route:
    """Where a connection leads.

    Attributes:
        source: the address that it comes from, as the far end is to see it; empty for any.
    """

    target: Address
    source: str = ""


@dataclass(eq=False)
class Connection:
    """One that was accepted.

    Attributes:
        peer: its other end.
    """

    peer: Address
    near: socket.socket
    task: asyncio.Task[None] | None = None
    frozen: bool = False


class Proxy:
    """Listens until it is closed.

    Args:
        route: from the other end of a new connection to where it leads; None resets it.
    """

    def __init__(self, address: Address, route: Callable[[Address], Route | None]) -> None:
        self.address, self._route = address, route
        self.connections: set[Connection] = set()
        self.requests = 0  # of HTTP; one whose first line comes in two pieces is not counted
        self._fillers: list[socket.socket] = []
        self._socket = socket.create_server(address, backlog=128)
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Refuse new connections, and reset those that are open."""
        self.refuse()
        self.sever(lambda one: True)

    def refuse(self) -> None:
        """Refuse new connections."""
        asyncio.get_running_loop().remove_reader(self._socket)
        for one in (self._socket, *self._fillers):
            one.close()

    def sever(self, chosen: Callable[[Connection], bool]) -> None:
        """Reset some connections."""
        for one in [one for one in self.connections if chosen(one)]:
            if one.task is not None and not one.frozen:
                one.task.cancel()
            self._reset(one)

    def vanish(self) -> None:
        """Let packets get lost: nothing is answered any more, and nothing is closed.

        The queue of connections that wait to be accepted is filled, upon which Linux drops what would open one.
        """
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.listen(0)
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.address)
            self._fillers.append(filler)
        for one in self.connections:
            one.frozen = True
            if one.task is not None:
                one.task.cancel()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            near, peer = self._socket.accept()
            near.setblocking(False)
            made = Connection((peer[0], peer[1]), near)
            self.connections.add(made)
            route = self._route(made.peer)
            if route is None:
                self._reset(made)
                return
            made.task = asyncio.get_running_loop().create_task(self._serve(made, route))

    async def _serve(self, made: Connection, route: Route) -> None:
        far = socket.socket()
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            for one in (far, made.near):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if route.source:
                far.bind((route.source, 0))
            await loop.sock_connect(far, route.target)
            upward = loop.create_task(_pump(made.near, far, self._count))
            try:
                await _pump(far, made.near)
            finally:
                upward.cancel()
        except OSError:
            pass  # one of both is gone, and the other is told below
        finally:
            far.close()
            if not made.frozen:
                self._reset(made, gently=True)

    def _count(self, data: bytes) -> None:
        self.requests += data.count(b" HTTP/1.1\r\n")

    def _reset(self, made: Connection, *, gently: bool = False) -> None:
        self.connections.discard(made)
        with contextlib.suppress(OSError):
            if not gently:
                made.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        made.near.close()


async def _pump(source: socket.socket, sink: socket.socket, heard: Callable[[bytes], None] = lambda data: None) -> None:
    """Carry bytes one way, and the end of them."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, _CHUNK):
            heard(data)
            await loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)


def holder(near: Address, far: Address, pids: dict[str, int]) -> str:
    """Which of some processes has the connection between two addresses; the name of its pid, or nothing.

    Args:
        near: its end of it.
    """
    ends = f"{_hex(near)} {_hex(far)}"
    inode = next(
        (fields[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
         if f"{(fields := line.split())[1]} {fields[2]}" == ends), "",
    )  # fmt: skip
    for name, pid in pids.items():
        with contextlib.suppress(OSError):
            for one in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if inode and str(one.readlink()) == f"socket:[{inode}]":
                        return name
    return ""


def _hex(address: Address) -> str:
    number = int.from_bytes(socket.inet_aton(address[0]), "little")
    return f"{number:08X}:{address[1]:04X}"
