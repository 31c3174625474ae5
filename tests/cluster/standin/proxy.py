"""A TCP proxy that can fall silent: what stands at the address of a pod or of a service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

Address = tuple[str, int]
_LINGER = struct.pack("ii", 1, 0)
_CHUNK = 65_536
_NETLINK_SOCK_DIAG, _SOCK_DIAG, _REQUEST = 4, 20, 1
_NO_COOKIE = _ANY_STATE = 0xFFFFFFFF
_HEAD, _INODE = 16, 68  # bytes before the message of an answer, and in that before the inode


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
        target: where it leads.
    """

    peer: Address
    near: socket.socket
    target: Address = ("", 0)
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
            made.target = route.target
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
            _close(far)
            if not made.frozen:
                self._reset(made, gently=True)

    def _count(self, data: bytes) -> None:
        self.requests += data.count(b" HTTP/1.1\r\n")

    def _reset(self, made: Connection, *, gently: bool = False) -> None:
        self.connections.discard(made)
        with contextlib.suppress(OSError):
            if not gently:
                made.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        _close(made.near)


def _close(one: socket.socket) -> None:
    """Close a socket that somebody may still wait for: its number is the next one's, who would not be waited for."""
    if one.fileno() >= 0:
        asyncio.get_running_loop().remove_reader(one)
        asyncio.get_running_loop().remove_writer(one)
    one.close()


async def _pump(source: socket.socket, sink: socket.socket, heard: Callable[[bytes], None] = lambda data: None) -> None:
    """Carry bytes one way, and the end of them: that of a process that died with something unread is a reset."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, _CHUNK):
            heard(data)
            await loop.sock_sendall(sink, data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def holder(near: Address, far: Address, pids: dict[str, int]) -> str:
    """Which of some processes has the connection between two addresses; the name of its pid, or nothing.

    Args:
        near: its end of it.
    """
    if not (inode := _inode(near, far)):
        return ""
    wanted = f"socket:[{inode}]"
    for name, pid in pids.items():
        with contextlib.suppress(OSError):
            for one in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{one}") == wanted:
                        return name
    return ""


def _inode(near: Address, far: Address) -> int:
    """The inode of a TCP socket by its two ends; 0 where there is none.

    One question to the kernel takes 0.1 ms. Its table ``/proc/net/tcp`` takes 80 ms when a busy machine has 30,000
    sockets that wait for their end, and the whole cluster would stand still meanwhile.

    Source: sock_diag(7).
    """
    ends = struct.pack("!HH", near[1], far[1])
    ends += b"".join(socket.inet_aton(one[0]).ljust(16, b"\0") for one in (near, far))
    ends += struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    asked = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY_STATE) + ends
    head = struct.pack("=IHHII", _HEAD + len(asked), _SOCK_DIAG, _REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(head + asked)
        answer = kernel.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] != _SOCK_DIAG:  # an error: nobody has this connection
        return 0
    return int(struct.unpack_from("=I", answer, _HEAD + _INODE)[0])
