"""The ledger's table in a database that is not ours: made once, and the only thing that ftchaos leaves there.

Its rows stay. The numbers of the next run's writers begin after them, so that a copy that lags behind, or one that is
restored to an earlier time, can hold no row of another run under the same id, which would pass for a survivor.
"""

from __future__ import annotations

import time

from pymysql.constants import ER
from pymysql.err import MySQLError

from ftchaos.clock import now
from ftchaos.errors import Refused, StepFailed
from ftchaos.mysql.session import Session, execute, value
from ftchaos.mysql.template import ledger_statements

NEWEST = "SELECT MAX(id) FROM ftchaos.ledger_writes"
# Asks for the right to write, and writes no row.
NOTHING = "INSERT INTO ftchaos.ledger_writes (id, content) SELECT id, content FROM ftchaos.ledger_writes WHERE FALSE"
CLAIM = "ftchaos"
FOLLOW_S = 30.0
AGAIN_S = 0.5


def claim(session: Session) -> None:
    """Have the database to ourselves as long as this connection lasts: the lock of a run is on its machine alone.

    A failover ends the connection, and so the claim; a run that is under way by then goes on.

    Raises:
        Refused: another run has it.
    """
    if value(session, f"SELECT GET_LOCK('{CLAIM}', 0)") != 1:
        raise Refused(
            "another run of ftchaos writes to this database, maybe from another machine",
            f"wait until it ends; SELECT IS_USED_LOCK('{CLAIM}') says which connection it has",
        )


def ensure(session: Session) -> bool:
    """Make schema and table where they are not there, and see that they can be written to; whether they were made.

    Raises:
        StepFailed: the account may not, or the server takes no writes.
    """
    made = _made(session)
    try:
        execute(session, [NOTHING])
    except MySQLError as error:
        raise StepFailed(
            f"the ledger's table cannot be written to: {error.args[-1]}",
            "grant SELECT and INSERT on ftchaos.* to the account, and name the address of the writer",
        ) from error
    return made


def _made(session: Session) -> bool:
    try:
        value(session, NEWEST)
        return False
    except MySQLError as error:
        if error.args[0] not in (ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR, ER.TABLEACCESS_DENIED_ERROR):
            raise StepFailed(
                f"the ledger's table cannot be read: {error.args[-1]}", "see the rights of the account"
            ) from error
    try:
        execute(session, ledger_statements())
    except MySQLError as error:
        raise StepFailed(
            f"the ledger's table ftchaos.ledger_writes is not there and cannot be made: {error.args[-1]}",
            "let the account create it, or somebody else: the statements are at the end of ftchaos/mysql/schema.sql",
        ) from error
    return True


def newest(session: Session) -> int:
    """The highest id in it; 0 without any row."""
    return int(value(session, NEWEST) or 0)


def await_row(session: Session, wanted: int, name: str) -> None:
    """Wait until a copy has a row.

    Raises:
        StepFailed: it has not in time.
    """
    deadline = now() + FOLLOW_S
    while True:
        try:
            if newest(session) >= wanted:
                return
            why = "does not have its newest row"
        except MySQLError as error:  # the table itself may still be on its way
            why = str(error.args[-1])
        if now() > deadline:
            raise StepFailed(f"{name} does not follow the writer within {FOLLOW_S:g} s: {why}", "see its lag")
        time.sleep(AGAIN_S)
