"""``python -m ftchaos.reads CONFIG.json``: read a restored copy at a steady rate, as its clients would, until told.

::

    {"host": "127.0.0.1", "port": 3306, "user": "admin", "secret_file": "/run/secret", "ca": "/run/ca.pem",
     "rate": 20, "timeout_s": 5, "file": "/run/reads.bin", "parent_pid": 1}

Each read takes the row at or after a random key of one table, the tables in turns, so that it finds blocks that nobody
has asked for yet: a fresh copy of RDS fetches those when they are first read. Reads are sent whether or not the ones
before were answered. The file has 17 bytes for each: when it was sent and how long it took, in seconds, and whether it
succeeded.
"""

from __future__ import annotations

import json
import random
import signal
import struct
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymysql.err import MySQLError

from ftchaos.errors import FtchaosError, Inconclusive
from ftchaos.mysql import session as sessions
from ftchaos.mysql.session import Session
from ftchaos.process import die_with_parent
from ftchaos.recovery import Operations, in_order

READERS = 4
TABLES = 50
_ONE = struct.Struct("<dd?")
_KEYS = (
    "SELECT c.TABLE_SCHEMA AS s, c.TABLE_NAME AS n, c.COLUMN_NAME AS k FROM information_schema.COLUMNS c"
    " JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)"
    " JOIN information_schema.STATISTICS i USING (TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME)"
    " WHERE t.TABLE_TYPE = 'BASE TABLE' AND i.INDEX_NAME = 'PRIMARY' AND i.SEQ_IN_INDEX = 1"
    " AND c.DATA_TYPE IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint')"
    " AND t.TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
    " ORDER BY t.DATA_LENGTH DESC"
)


def read(file: Path) -> Operations:
    """The reads of a file, in the order in which they were sent; a last one that was cut off is left out."""
    data = file.read_bytes()
    return in_order(_ONE.iter_unpack(data[: len(data) - len(data) % _ONE.size]))


def queries(session: Session) -> list[tuple[str, int, int]]:
    """For each of the biggest tables that have a number as their key: the query, the smallest and the largest key."""
    found = []
    for row in sessions.rows(session, _KEYS)[:TABLES]:
        table, key = (f"`{row['s']}`.`{row['n']}`", f"`{row['k']}`")
        ends = sessions.rows(session, f"SELECT MIN({key}) AS low, MAX({key}) AS high FROM {table}")[0]
        if ends["low"] is not None:
            query = f"SELECT * FROM {table} WHERE {key} >= %s ORDER BY {key} LIMIT 1"
            found.append((query, int(ends["low"]), int(ends["high"])))
    return found


class _Reader(threading.Thread):
    """One connection; where it is lost, the next read makes another."""

    def __init__(self, config: Mapping[str, Any], asked: Sequence[tuple[str, int, int]], number: int) -> None:
        super().__init__(daemon=True)
        self._config, self._asked, self._number = config, asked, number
        self._interval_s = READERS / float(config["rate"])
        self._chosen = random.Random(number)
        self._session: Session | None = None

    def run(self) -> None:
        turn = self._number
        due_at = time.monotonic() + self._number * self._interval_s / READERS
        with Path(self._config["file"]).open("ab", buffering=0) as file:
            while True:
                time.sleep(max(0.0, due_at - time.monotonic()))
                # Sent when it was due, however late the one before was answered.
                sent_at = min(due_at, time.monotonic())
                succeeded = self._read(*self._asked[turn % len(self._asked)])
                file.write(_ONE.pack(sent_at, time.monotonic() - sent_at, succeeded))
                turn, due_at = turn + READERS, due_at + self._interval_s

    def _read(self, query: str, low: int, high: int) -> bool:
        try:
            if self._session is None:
                self._session = connect(self._config)
            sessions.rows(self._session, query, (self._chosen.randint(low, high),))
        except (MySQLError, OSError, FtchaosError, struct.error, EOFError):
            if self._session is not None:
                with suppress(MySQLError, OSError):
                    self._session.close()
            self._session = None
            return False
        return True


def connect(config: Mapping[str, Any]) -> Session:
    """A connection as the configuration says."""
    timeout_s = float(config["timeout_s"])
    return sessions.reach(
        config["host"], int(config["port"]), user=config["user"], password=_password(config),
        ca=Path(config["ca"]) if config["ca"] else None, timeout_s=timeout_s, answer_timeout_s=timeout_s,
    )  # fmt: skip


def _password(config: Mapping[str, Any]) -> str:
    return Path(config["secret_file"]).read_text().strip()


def main(argv: Sequence[str]) -> int:
    config = json.loads(Path(argv[0]).read_bytes())
    die_with_parent(config["parent_pid"])
    ended = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: ended.set())
    try:
        with connect(config) as session:
            asked = queries(session)
        if not asked:
            raise Inconclusive("no table of the copy has a row and a number as its key, so nothing can be read")
    except (FtchaosError, MySQLError) as error:
        sys.stderr.write(f"reads: {error}\n")
        return 3
    for number in range(READERS):
        _Reader(config, asked, number).start()
    ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
