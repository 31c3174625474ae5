"""One connection to one Redis, a request at a time, which tells whether a request that failed was ever sent."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from ftchaos import encryption
from ftchaos.workload.cluster import Address
from ftchaos.workload.resp import Reply, command, parse


class NotSent(ConnectionError):
    """Nothing of the request has left."""


class Lost(ConnectionError):
    """The request was sent and not answered, or not in time, or with nonsense."""


@dataclass(frozen=True)
class Manner:
    """How the nodes of a cache want to be spoken to.

    Attributes:
        context: of TLS; None for plain text.
        password: empty where it asks for none.
        user: empty for the one that every password belongs to where none is named.
        server_name: the name that their certificates show; empty for the address at which they are reached.
        reach_s: how long a connection to one may take to stand, where the way is longer than to a neighbour: through a
            port-forward, whose near end accepts before the far one is reached; 0 for a neighbour.
        clustered: whether they are a Redis Cluster; else a master of all keys is behind each address.
    """

    context: ssl.SSLContext | None = None
    password: str = field(default="", repr=False)
    user: str = ""
    server_name: str = ""
    reach_s: float = 0.0
    clustered: bool = True

    @property
    def greeting(self) -> bytes:
        """What a connection begins with; nothing where nobody asks who we are and it stands when it is accepted."""
        if self.password:
            return command("AUTH", *([self.user] if self.user else []), self.password)
        return command("PING") if self.reach_s else b""


PLAIN = Manner()


def manner(
    tls: bool = False, ca: str = "", user: str = "", secret_file: str = "", server_name: str = "", reach_s: float = 0.0,
    clustered: bool = True,
) -> Manner:  # fmt: skip
    """The manner that a configuration names; for what is not told here see :class:`Manner`.

    Args:
        tls: whether they speak TLS.
        ca: a file with the certificates that theirs are verified against; empty for those that the machine trusts.
        secret_file: a file with the password; empty for none.

    Raises:
        Invalid: there are no such certificates.
        OSError: the password cannot be read.
    """
    context = encryption.context(ca) if tls else None
    password = Path(secret_file).read_text().strip() if secret_file else ""
    return Manner(context, password, user, server_name, reach_s, clustered)


class Link(asyncio.Protocol):
    """A connection; once lost it stays so.

    Attributes:
        address: where it leads.
        lost: whether it has ended.
    """

    def __init__(self, address: Address) -> None:
        self.address, self.lost = address, False
        self._buffer = bytearray()
        self._replies: list[Reply] = []
        self._wanted = 0
        self._waiter: asyncio.Future[list[Reply]] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def to(cls, address: Address, timeout_s: float, manner: Manner = PLAIN) -> Link:
        """A connection to an address.

        Raises:
            OSError: nobody is there, does not answer in time, is not who it should be, or does not let us in.
        """
        loop = asyncio.get_running_loop()
        timeout_s = max(timeout_s, manner.reach_s)
        name = manner.server_name or None if manner.context else None
        async with asyncio.timeout(timeout_s):
            _, link = await loop.create_connection(
                lambda: cls(address), *address, ssl=manner.context, server_hostname=name
            )
        if manner.greeting:
            try:
                (said,) = await link.ask(manner.greeting, 1, timeout_s)
            except BaseException:
                link.close()
                raise
            if said not in ("OK", "PONG"):
                link.close()
                # Who does not know AUTH repeats what it was told.
                words = str(said).replace(manner.password, "***") if manner.password else str(said)
                raise PermissionError(f"not let in: {words}")
        return link

    async def ask(self, request: bytes, replies: int, timeout_s: float) -> list[Reply]:
        """The replies to a request of one or more commands; one that is late ends the connection.

        Raises:
            NotSent: the connection had ended before.
            Lost: it ended after the request may have left.
        """
        if self.lost or self._transport is None or self._transport.is_closing():
            self.close()
            raise NotSent("the connection is closed")
        loop = asyncio.get_running_loop()
        self._waiter, self._wanted = loop.create_future(), replies
        late = loop.call_later(timeout_s, self._end, f"no answer within {timeout_s:g} s")
        try:
            self._transport.write(request)
            return await self._waiter
        finally:
            late.cancel()
            self._waiter = None

    def close(self) -> None:
        self._end("closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while self._buffer and (found := parse(self._buffer)):
                self._replies.append(found[0])
                del self._buffer[: found[1]]
        except ValueError as error:
            self._end(str(error))
            return
        if self._waiter is None or self._waiter.done():
            self._end("it said something unasked")
        elif len(self._replies) >= self._wanted:
            self._waiter.set_result(self._replies)
            self._replies = []

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error) if error else "the connection was closed")

    def _end(self, why: str) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.abort()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Lost(why))
