"""Whether the copies of a database hold the same: each that can be read is held against the writer, table by table.

Others may go on writing to the application's tables meanwhile, so only a table that stood still at the writer says
anything, and one that is large is left out: it is read whole. In the ledger's table only ftchaos writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from pymysql.err import MySQLError

from ftchaos.clock import now
from ftchaos.errors import FtchaosError, Unusable
from ftchaos.mysql.session import Session, rows
from ftchaos.platforms.base import Step

LEDGER = "`ftchaos`.`ledger_writes`"
LARGEST_BYTES = 256 * 2**20
WITHIN_S = 30.0
AGAIN_S = 0.5
Connect = Callable[[], Session]
Sums = Mapping[str, tuple[int, int]]
"""Rows and checksum by table."""


@dataclass(frozen=True)
class Tables:
    """Which tables are compared.

    Attributes:
        names: quoted, the ledger's first.
        large: how many of the application's are left out.
    """

    names: Sequence[str]
    large: int = 0


def compare(writer: Connect, copies: Mapping[str, Connect], schema: str) -> Step:
    """Hold each copy against the writer; the last of what was written may still be on its way.

    Args:
        schema: the application's; empty for the ledger alone.

    Returns:
        A step whose facts have one check for each copy; one that could not be made has no result.
    """
    checks = [_check(writer, name, connect, schema) for name, connect in copies.items()]
    equal = sum(check["passed"] is True for check in checks)
    said = f"{equal} of {len(checks)} copies hold what the writer holds" if checks else "there is no copy to be read"
    return Step(said, facts={"checks": checks})


def sound(writer: Connect) -> Step:
    """Let the writer check its own copy of the ledger's table, where there is no other to hold it against.

    Returns:
        A step as that of :func:`compare`.

    Source: MySQL and MariaDB reference manuals, CHECK TABLE.
    """
    check: dict[str, object] = {"name": "the writer finds the ledger's table sound", "passed": None}
    began_at = now()
    try:
        with closing(writer()) as session:
            said = [str(one["Msg_text"]) for one in rows(session, f"CHECK TABLE {LEDGER}")]
        check |= {"passed": said == ["OK"], "actual": "; ".join(said)}
    except (FtchaosError, MySQLError, OSError) as error:
        check |= {"actual": str(error)}
    check |= {"duration_s": now() - began_at}
    return Step(f"{check['name']}: {check['actual']}", facts={"checks": [check]})


def _check(writer: Connect, name: str, copy: Connect, schema: str) -> dict[str, object]:
    check: dict[str, object] = {"name": f"{name} holds what the writer holds", "passed": None}
    began_at = now()
    while True:
        try:
            with closing(writer()) as one, closing(copy()) as other:
                passed, actual = _judge(one, other, _tables(one, schema))
        except (FtchaosError, MySQLError, OSError) as error:
            passed, actual = None, str(error)
        check |= {"passed": passed, "actual": actual, "duration_s": now() - began_at}
        if passed or now() > began_at + WITHIN_S:
            return check
        time.sleep(AGAIN_S)


def _tables(session: Session, schema: str) -> Tables:
    found = rows(
        session,
        "SELECT TABLE_NAME AS n, DATA_LENGTH AS b FROM information_schema.TABLES"
        " WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA = %s ORDER BY 1",
        (schema,),
    )
    fit = [f"{_quoted(schema)}.{_quoted(one['n'])}" for one in found if int(one["b"] or 0) <= LARGEST_BYTES]
    return Tables([LEDGER, *(name for name in fit if name != LEDGER)], len(found) - len(fit))


def _judge(writer: Session, copy: Session, tables: Tables) -> tuple[bool | None, str]:
    """Whether a copy holds what the writer holds, and what was seen; None where that cannot be told now.

    A difference in the ledger is damage if the copy had its newest row already when it was read. A table of the
    application may differ because the copy is still behind.
    """
    before, newest, there, after = _sums(writer, tables), _newest(copy), _sums(copy, tables), _sums(writer, tables)
    still = [name for name in tables.names if before[name] == after[name]]
    differing = [name for name in still if there[name] != before[name]]
    moving = len(tables.names) - len(still)
    said = [f"{len(still) - len(differing)} of {len(tables.names)} tables are the same"]
    said += [f"{moving} were written to meanwhile"] if moving else []
    said += [f"{tables.large} are too large"] if tables.large else []
    if not differing and LEDGER in still:
        return True, "; ".join(said)
    said += [f"{name} has {there[name][0]:,} rows here, and {before[name][0]:,} there" for name in differing[:3]]
    damaged = LEDGER in differing and _newest(writer) == newest
    said += [] if damaged else [f"it may only be behind, after {WITHIN_S:g} s"]
    return (False if damaged else None), "; ".join(said)


def _sums(session: Session, tables: Tables) -> Sums:
    found = {}
    for name in tables.names:
        checksum = rows(session, f"CHECKSUM TABLE {name}")[0]["Checksum"]
        if checksum is None:
            raise Unusable(f"{name} cannot be read", "see the error log of its server")
        found[name] = int(rows(session, f"SELECT COUNT(*) AS n FROM {name}")[0]["n"]), int(checksum)
    return found


def _newest(session: Session) -> int:
    return int(rows(session, f"SELECT MAX(id) AS n FROM {LEDGER}")[0]["n"] or 0)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
