"""The application's MySQL connections: a small pool that drops those to a server that stopped being the writer.

aiomysql's own pool connects while it holds its lock, so one unreachable server would stall every request;
this one connects outside any lock and forgets all idle connections as soon as one of them proves stale.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomysql  # type: ignore[import-untyped]
from pymysql.err import MySQLError

from ftchaos.platforms.lab.app.config import Database

CONNECT_TIMEOUT_S = 0.5

# The server is going away, is gone, or no longer takes writes: 1053 shutdown, 1290 and 1836 read-only,
# 1927 killed, 4031 idle for too long, 2003/2006/2013 client side.
STALE = frozenset({1053, 1290, 1836, 1927, 4031, 2003, 2006, 2013})
READ_ONLY = frozenset({1290, 1836})

# Everything by which a lost or refusing server shows itself in aiomysql.
ERRORS = (MySQLError, OSError, EOFError, TimeoutError)


def code_of(error: BaseException) -> int:
    """The MySQL error number, 0 where the error has none (a timeout, a refused connection)."""
    first = error.args[0] if error.args else None
    return first if isinstance(error, MySQLError) and isinstance(first, int) else 0


class Pool:
    """Connections to the writer's unchanged address, at most `size` at once."""

    def __init__(self, database: Database, size: int) -> None:
        self._options = {
            "host": database.host,
            "port": database.port,
            "user": database.user,
            "password": database.secret(),
            "db": database.database,
            "charset": "utf8mb4",
            "autocommit": True,
            "connect_timeout": CONNECT_TIMEOUT_S,
        }
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[Any] = deque()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A live connection; an error or a cancellation inside the block closes it, whatever its state.

        Raises:
            MySQLError, OSError, TimeoutError: no server answered.
        """
        async with self._slots:
            connection = self._pop() or await aiomysql.connect(**self._options)
            try:
                yield connection
            except BaseException as error:
                connection.close()
                if code_of(error) in STALE or isinstance(error, TimeoutError | asyncio.CancelledError):
                    self.forget()
                raise
            if connection.get_transaction_status():
                connection.close()
            elif not connection.closed:
                self._idle.append(connection)

    def forget(self) -> None:
        """Close every idle connection: they lead to the same server as the one that failed."""
        while self._idle:
            self._idle.pop().close()

    def _pop(self) -> Any | None:
        while self._idle:
            connection = self._idle.pop()
            reader = connection._reader
            if not connection.closed and not reader.at_eof() and not reader.eof_received and not reader.exception():
                return connection
            connection.close()
        return None
