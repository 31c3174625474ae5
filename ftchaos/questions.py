"""Questions that the witness asks a server again and again over one connection: an SQL statement, a Redis command.

They show what an open port does not: that a server takes no writes any more, does not apply, is no master. And a GET,
which has a connection of its own each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from pathlib import Path
from typing import Any, Protocol

from ftchaos import encryption

ANSWER_BYTES = 65536


class Question(Protocol):
    """One question to one server."""

    async def ask(self) -> tuple[bool, str]:
        """Whether the answer is as it should be, and the answer in words.

        Raises:
            OSError, TimeoutError: there was none.
        """

    def hang_up(self) -> None:
        """Forget the connection; the next question makes another."""


class Sql:
    """An SQL statement: right while the first value of its first row is true, or the row matches.

    In the statement ``{now}`` stands for the asker's own clock, in seconds since 1970.

    Args:
        matches: a regular expression, searched in the first row written as lines ``column: value``.
        anew: whether each question comes over a connection of its own.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sql: str,
        user: str,
        secret_file: str,
        database: str = "",
        ca: str = "",
        matches: str = "",
        anew: bool = False,
    ) -> None:
        self._where: dict[str, Any] = {"host": host, "port": port, "user": user, "db": database or None}
        self._where |= encryption.of_mysql(ca) if ca else {}
        self._secret_file = Path(secret_file)
        self._sql = sql
        self._matches = re.compile(matches, re.MULTILINE) if matches else None
        self._anew = anew
        self._connection: Any = None

    async def ask(self) -> tuple[bool, str]:
        import aiomysql  # type: ignore[import-untyped]  # dear, and most witnesses ask no SQL
        from pymysql.err import MySQLError

        try:
            if self._connection is None:
                password = self._secret_file.read_text().strip()
                self._connection = await aiomysql.connect(**self._where, password=password, autocommit=True)
            async with self._connection.cursor(aiomysql.DictCursor) as cursor:
                await cursor.execute(self._sql.replace("{now}", f"{time.time():.6f}"))
                row: dict[str, Any] = await cursor.fetchone() or {}
        except (MySQLError, EOFError) as error:
            raise ConnectionError(str(error.args[-1]) if error.args else type(error).__name__) from error
        if self._anew:
            self.hang_up()
        if self._matches:
            found = self._matches.search("\n".join(f"{name}: {value}" for name, value in row.items()))
            return found is not None, found[0] if found else f"nothing like {self._matches.pattern}"
        first = next(iter(row.values()), None)
        return bool(first), f"{first}"

    def hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(RuntimeError, OSError):  # it may be half open
                self._connection.close()
            self._connection = None


class Redis:
    """A Redis command: right while a regular expression is found in the raw answer.

    Args:
        anew: whether each question comes over a connection of its own.
    """

    def __init__(self, host: str, port: int, *, command: str, matches: str, anew: bool = False) -> None:
        self._anew = anew
        self._where = (host, port)
        self._command = command.encode() + b"\r\n"
        self._matches = re.compile(matches, re.MULTILINE)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> tuple[bool, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._where)
        reader, writer = self._streams
        writer.write(self._command)
        answer = await reader.read(ANSWER_BYTES)
        if answer.startswith(b"$"):  # its length comes first, and the rest may come in pieces
            head, _, _ = answer.partition(b"\r\n")
            whole_bytes = len(head) + 2 + int(head[1:]) + 2
            while len(answer) < whole_bytes and (more := await reader.read(ANSWER_BYTES)):
                answer += more
        if not answer:
            raise ConnectionResetError("closed without an answer")
        if self._anew:
            self.hang_up()
        text = answer.decode(errors="replace")
        found = self._matches.search(text)
        return found is not None, " ".join((found[0] if found else text[:80]).split())

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def trust(ca: str) -> ssl.SSLContext:
    """Whom to believe over TLS, what the system does if no file is named; to read that takes longer than to ask."""
    return ssl.create_default_context(cafile=ca or None)


async def get(host: str, port: int, path: str, tls: ssl.SSLContext | None) -> int:
    """The status that a GET is answered with.

    Raises:
        OSError, ValueError: there was no answer, or none of HTTP.
    """
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: ftchaos-witness\r\n\r\n"
        writer.write(request.encode())
        words = (await reader.readline()).split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/"):
            raise ConnectionResetError("closed without an answer")
        return int(words[1])
    finally:
        writer.transport.abort()
