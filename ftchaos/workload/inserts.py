"""A database writer: one insert after the other on one connection, and in an outage a try at least each 20 ms."""

from __future__ import annotations

import signal
import struct
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.err import InterfaceError, MySQLError, OperationalError

from ftchaos import encryption
from ftchaos.ledger import Outcome, content
from ftchaos.workload import fate, part
from ftchaos.workload.book import Book
from ftchaos.workload.config import Mysql

if TYPE_CHECKING:
    from pymysql.connections import Connection

RETRY_S = 0.02
CONNECT_TIMEOUT_S = 0.5
INSERT = "INSERT INTO ledger_writes (id, content) VALUES (%s, %s)"
# What a lost connection, or something that is no database, makes PyMySQL raise.
_BROKEN = (MySQLError, OSError, EOFError, struct.error, IndexError, ValueError, AssertionError)


class Inserter(threading.Thread):
    """One writer; ended by the event that all share."""

    def __init__(self, config: Mysql, book: Book, end: threading.Event) -> None:
        super().__init__(name=f"{book.kind}-{book.writer}", daemon=True)
        self._config, self._book, self._end = config, book, end
        self._interval_s = config.writers / config.rate if config.rate else 0.0
        self._password = Path(config.secret_file).read_text().strip()
        self._encryption = encryption.of_mysql(config.ca)
        self._connection: Connection[Any] | None = None
        self.problem = ""

    def run(self) -> None:
        due_at = time.monotonic()
        while not self._end.is_set():
            connected = self._write()
            if connected and not self._interval_s:
                continue
            now = time.monotonic()
            # In an outage tries follow each other at a distance of their own; a backlog is not made up for.
            due_at = max(due_at + self._interval_s, now) if connected else now + RETRY_S
            if due_at > now:
                self._end.wait(due_at - now)
        self._drop()

    def _write(self) -> bool:
        """Attempt one write; whether there is a connection after it."""
        seq = self._book.attempt()
        write = self._book.write_id(seq)
        if self._connection is None:
            try:
                self._connection = self._connect()
            except _BROKEN as error:  # nothing was sent yet
                self._book.settle(seq, Outcome.FAILED)
                self.problem = str(error)
                return False
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(INSERT, (write, content(write)))
            self._book.settle(seq, Outcome.ACKNOWLEDGED)
        except _BROKEN as error:
            self._book.settle(seq, fate.of_error(error))
            self.problem = str(error)
            self._drop_unless_usable(error)
        return self._connection is not None

    def _connect(self) -> Connection[Any]:
        # While it connects, the read timeout bounds the wait for a greeting that a hanging server never sends.
        connection = pymysql.connect(
            host=self._config.host,
            port=self._config.port,
            user=self._config.user,
            password=self._password,
            database=self._config.database,
            autocommit=True,
            **self._encryption,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=CONNECT_TIMEOUT_S,
            write_timeout=self._config.timeout_s,
        )
        encryption.ensure_kept(connection, self._config.ca)
        connection._read_timeout = self._config.timeout_s  # type: ignore[attr-defined]
        return connection

    def _drop_unless_usable(self, error: Exception) -> None:
        """Keep a connection whose server refused one statement; leave one that is broken, or read-only for good."""
        answered = isinstance(error, MySQLError) and not isinstance(error, InterfaceError)
        code = error.args[0] if error.args else 0
        broken = isinstance(error, OperationalError) and 2000 <= code < 3000
        if not answered or broken or code in fate.READ_ONLY or fate.of_error(error) is Outcome.INDETERMINATE:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None and self._connection.open:
            self._connection.close()
        self._connection = None


def run(config: Mysql, books: Sequence[Book], duration_s: float) -> int:
    """All writers to one database, until told to end."""
    end, failed = threading.Event(), threading.Event()

    def crashed(args: threading.ExceptHookArgs) -> None:
        sys.__excepthook__(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
        failed.set()
        end.set()

    threading.excepthook = crashed
    for number in part.ENDING:
        signal.signal(number, lambda *_: end.set())
    part.heed()
    writers = [Inserter(config, one, end) for one in books]
    for writer in writers:
        writer.start()
    end_at = time.monotonic() + duration_s
    while not end.wait(min(part.PROGRESS_S, max(end_at - time.monotonic(), 0))) and time.monotonic() < end_at:
        part.tell(books, writers)
    end.set()
    for writer in writers:
        writer.join()
    part.close(books)
    return 1 if failed.is_set() else 0
