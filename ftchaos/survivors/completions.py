"""What became of the transfers: the database is the truth about the queue, whatever the queue itself has forgotten."""

from __future__ import annotations

from typing import Any, NamedTuple

from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from ftchaos.errors import Inconclusive
from ftchaos.ledger import Ledger, write_id

UPLOADS = "uploads"
# UNIX_TIMESTAMP reads a DATETIME in the session's time zone, which is not to differ from that of whoever wrote it.
ZONE = "SET SESSION time_zone = @@GLOBAL.time_zone"
TRANSFERS = (
    "SELECT f.upload_key, UNIX_TIMESTAMP(COALESCE(t.created_at, f.created_at)), UNIX_TIMESTAMP(t.completed_at),"
    " (SELECT COUNT(*) FROM filetransfer.transfer_events e WHERE e.transfer_id = t.id AND e.kind = 'completed')"
    " FROM filetransfer.files f LEFT JOIN filetransfer.transfers t ON t.file_id = f.id"
    " WHERE f.upload_key BETWEEN %s AND %s ORDER BY f.upload_key, t.id"
)
QUEUED = (
    "SELECT COUNT(*) FROM filetransfer.transfers"
    " WHERE status = 'queued' AND created_at < NOW(6) - INTERVAL %s MICROSECOND"
)


class Completion(NamedTuple):
    """One transfer of an upload; as JSON a list of four.

    Attributes:
        upload_key: the upload's id.
        created_at: when it was committed, in seconds UTC, to the microsecond.
        completed_at: likewise when its transfer was completed; None while it is not, or where there is none.
        times: how often it was recorded as completed.
    """

    upload_key: int
    created_at: float
    completed_at: float | None
    times: int


def completions(connection: Connection[Any], ledger: Ledger) -> list[Completion]:
    """The transfers of all uploads of a ledger that the database has, by upload.

    An upload that was stored twice has two of them. The instants are the database server's own.

    Raises:
        Inconclusive: the database did not answer to the end.
    """
    found: list[Completion] = []
    try:
        with connection.cursor(Cursor) as cursor:
            cursor.execute(ZONE)
            for writer in ledger.of(UPLOADS):
                cursor.execute(TRANSFERS, (write_id(writer.writer, 1), write_id(writer.writer, writer.attempted)))
                found.extend(
                    Completion(int(key), float(created), None if completed is None else float(completed), int(times))
                    for key, created, completed, times in cursor.fetchall()
                )
    except (MySQLError, OSError) as error:
        raise _unread(error) from error
    return found


def queued(connection: Connection[Any], older_than_s: float = 0.0) -> int:
    """How many transfers have been queued for longer than some seconds.

    Raises:
        Inconclusive: the database did not answer.
    """
    try:
        with connection.cursor(Cursor) as cursor:
            cursor.execute(ZONE)
            cursor.execute(QUEUED, (round(older_than_s * 1e6),))
            (count,) = cursor.fetchone() or (0,)
    except (MySQLError, OSError) as error:
        raise _unread(error) from error
    return int(count)


def _unread(error: Exception) -> Inconclusive:
    return Inconclusive(f"the transfers could not be read: {error}", "look at the log of the server that was asked")
