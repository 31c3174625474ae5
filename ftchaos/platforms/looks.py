"""The looks at restored data: before the replay at what the backup should hold, after it at what must always hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pymysql

from ftchaos.errors import Inconclusive
from ftchaos.mysql.foreign import verify
from ftchaos.mysql.foreign.load import Key, Loaded
from ftchaos.mysql.foreign.verify import Check
from ftchaos.mysql.session import Session
from ftchaos.mysql.verify import check_tables, foreign_keys_whole
from ftchaos.platforms.base import Step

Connect = Callable[[], Session]

# What a server that damaged data files have killed answers from then on.
_GONE = (Inconclusive, pymysql.err.OperationalError, pymysql.err.InterfaceError)


def look(connect: Connect, loaded: Loaded | None, recorded: Mapping[Key, int]) -> tuple[list[Check], dict[Key, int]]:
    """Everything that can be checked of a restored backup, and the rows of each table.

    Args:
        loaded: what a dump put in; None for data files.
        recorded: rows as the backup's maker counted them; often nothing.
    """
    checks: list[Check] = []
    counted: dict[Key, int] = {}
    try:
        with connect() as session:
            found = verify.tables(session)
            checks.append(verify.opened(found))
            if loaded is not None:
                checks.append(verify.made(session, found, loaded))
            counted, unread = verify.counts(session, found)
            checks.append(verify.rows(counted, unread, loaded, recorded))
            checks += _sound(connect, session)
    except _GONE as error:
        checks.append(_died(error))
    return checks, counted


def look_again(connect: Connect) -> list[Check]:
    """What must hold of any data, whatever was replayed on top of the backup."""
    checks: list[Check] = []
    try:
        with connect() as session:
            checks.append(verify.opened(verify.tables(session)))
            checks += _sound(connect, session)
    except _GONE as error:
        checks.append(_died(error))
    return checks


def judged(what: str, checks: list[Check], facts: Mapping[str, Any]) -> Step:
    """The step that these checks make, the first flaw foremost."""
    failed = [check for check in checks if check.result == "failed"]
    unknown = [check for check in checks if check.result == "unknown"]
    if failed:
        summary = f"{what} is damaged: {failed[0].name}: {failed[0].detail}"
    elif unknown:
        summary = f"{what}: {len(checks) - len(unknown)} checks passed, not known: {unknown[0].name}"
    elif checks:
        summary = f"{what}: {len(checks)} checks passed"
    else:
        summary = f"{what}: no logs were replayed and no queries are configured, so there is nothing more to check"
    return Step(summary, facts={"checks": [check.as_fact() for check in checks], **facts})


def _sound(connect: Connect, session: Session) -> list[Check]:
    return [
        verify.sound("check table", lambda: check_tables(connect), "all tables and indexes are sound"),
        verify.sound("views", lambda: verify.broken_views(session), "all find what they show"),
        verify.sound("foreign keys", lambda: foreign_keys_whole(connect), "all references are whole"),
    ]


def _died(error: Exception) -> Check:
    """That a server dies of its data files is a flaw of the backup, and the end of a look at it."""
    fact = error.fact if isinstance(error, Inconclusive) else str(error.args[-1])
    return Check("server", "failed", f"it does not answer any more: {fact}")
