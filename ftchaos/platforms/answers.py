"""What the restored data answers to the queries of the configuration; they may read, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pymysql

from ftchaos.clock import iso
from ftchaos.config import Check as Query
from ftchaos.config import Restore
from ftchaos.mysql import session as sessions
from ftchaos.mysql.foreign.verify import Check
from ftchaos.mysql.session import Session

_AHEAD_S = 5.0  # clocks differ a little; more means that the query does not give UTC


def answers(session: Session, queries: Sequence[Query]) -> list[Check]:
    """Whether each query gives what is expected of it."""
    checks = []
    for query in queries:
        try:
            rows = [tuple(row.values()) for row in _read(session, query.sql)]
        except pymysql.err.MySQLError as error:
            checks.append(Check(query.name, "failed", f"the server says: {error.args[-1]}"))
            continue
        got = str(rows[0][0]) if rows and rows[0] else "no row"
        expected = "at least one row" if query.expect is None else str(query.expect)
        if query.is_met(rows):
            checks.append(Check(query.name, "passed", got))
        else:
            checks.append(Check(query.name, "failed", f"{got} instead of {expected}"))
    return checks


def newest_at(session: Session, judged: Restore, began_at: datetime) -> tuple[datetime | None, Check | None]:
    """When the newest surviving data was written, in UTC.

    Args:
        judged: its heartbeat query is preferred to the one for the newest row.
        began_at: when the disaster is assumed.

    Returns:
        The time, None where no query is given or it gives none, and what came of the query, None where there is none.
    """
    sql = judged.heartbeat or judged.newest_row
    if sql is None:
        return None, None
    name = "heartbeat" if judged.heartbeat else "newest row"
    try:
        rows = _read(session, sql)
    except pymysql.err.MySQLError as error:
        return None, Check(name, "failed", f"the server says: {error.args[-1]}")
    value = next(iter(rows[0].values()), None) if rows else None
    if value is None:
        return None, Check(name, "failed", "the query gives no time: the table is empty")
    newest = _utc(value)
    if newest is None:
        return None, Check(name, "failed", f"the query gives {value!r}, which is no time in UTC")
    if (newest - began_at).total_seconds() > _AHEAD_S:
        return None, Check(name, "failed", f"{iso(newest)} lies in the future: does the query give UTC?")
    return newest, Check(name, "passed", f"written at {iso(newest)}")


def _read(session: Session, sql: str) -> list[dict[str, Any]]:
    sessions.execute(session, ["SET SESSION time_zone = '+00:00'", "START TRANSACTION READ ONLY"])
    try:
        return sessions.rows(session, sql)
    finally:
        if session.open:
            session.rollback()


def _utc(value: object) -> datetime | None:
    """A time from what a server gives: a DATETIME, a TIMESTAMP, seconds since the epoch, or a text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    try:
        if isinstance(value, datetime):
            at = value
        elif isinstance(value, date):
            at = datetime(value.year, value.month, value.day)
        elif isinstance(value, int | float | Decimal):
            at = datetime.fromtimestamp(float(value), UTC)
        else:
            at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
