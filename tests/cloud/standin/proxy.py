"""The address of a server that outlives it: connections through it break, are refused, or hang, as a network's do."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import Any


class Switchboard:
    """The event loop in which all the proxies of the stand-in run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True).start()

    def run(self, work: Any) -> Any:
        """The result of a coroutine, from any thread."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    def proxy(self, port: int = 0, address: str = "127.0.0.1") -> Proxy:
        """A new proxy that leads nowhere yet; its port is chosen when 0."""
        made = Proxy(self)
        self.run(made.listen(address, port))
        return made


class Proxy:
    """One listening address of this machine.

    Attributes:
        port: where it listens.
    """

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._target: int | None = None
        self._open = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def listen(self, address: str, port: int) -> None:
        """Begin to listen."""
        self._open.set()
        self._server = await asyncio.start_server(self._serve, address, port)
        self.port = self._server.sockets[0].getsockname()[1]

    def lead(self, port: int | None) -> None:
        """Lead to another port, or nowhere; connections that are there break."""
        self._board.run(self._lead(port))

    def cut(self, isolated: bool) -> None:
        """Let nothing through, nor break anything, as a network that drops packets; or let it through again."""
        self._board.run(self._cut(isolated))

    @property
    def is_cut(self) -> bool:
        return not self._open.is_set()

    def end(self) -> None:
        """Stop to listen, and break all connections."""
        self._board.run(self._end())

    async def _lead(self, port: int | None) -> None:
        self._target = port
        for writer in list(self._writers):
            writer.transport.abort()

    async def _cut(self, isolated: bool) -> None:
        if isolated:
            self._open.clear()
        else:
            self._open.set()

    async def _end(self) -> None:
        self._server.close()
        await self._lead(None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._open.wait()
            if self._target is None:
                writer.transport.abort()
                return
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(onward)
            try:
                await asyncio.gather(self._pump(reader, onward), self._pump(there, writer))
            finally:
                onward.transport.abort()
                self._writers.discard(onward)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        if not sink.is_closing():
            with contextlib.suppress(OSError):
                await sink.drain()
            sink.close()
