"""What an answer, or its absence, says about a write. Pure, and conservative: what is not sure is indeterminate.

A write that is wrongly called failed shows up as *unexpected* and breaks the verdict; one that is wrongly called
acknowledged shows up as *lost*. Indeterminate is never wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pymysql.constants import ER
from pymysql.err import MySQLError

from ftchaos.ledger import Outcome
from ftchaos.workload.resp import Refusal, Reply

# The statement was refused or undone as a whole, so that in autocommit nothing of it can be there.
READ_ONLY = frozenset({1290, 1792, 1836})
REFUSED = READ_ONLY | {
    ER.DUP_ENTRY,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.NO_SUCH_TABLE,
    ER.LOCK_WAIT_TIMEOUT,
    ER.LOCK_DEADLOCK,
    ER.RECORD_FILE_FULL,
}
# Refused for what the request is. Not 408, 409, 425: they may speak of another attempt of the same request.
REJECTED = frozenset({400, 401, 403, 404, 405, 411, 413, 414, 415, 422, 429, 431})
# Redis looks at all of these before it carries a command out.
NOT_SET = frozenset(
    {
        "ASK", "BUSY", "CLUSTERDOWN", "CROSSSLOT", "ERR", "LOADING", "MASTERDOWN", "MISCONF", "MOVED", "NOAUTH",
        "NOPERM", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN",
    }
)  # fmt: skip
NO_SERVER = b"No server is available to handle this request"


def of_error(error: Exception) -> Outcome:
    """The outcome of a statement that was sent and ended in an error.

    Source: error numbers of MySQL and MariaDB; 1290, 1792 and 1836 are read-only, 1062 a duplicate key.
    """
    code = error.args[0] if isinstance(error, MySQLError) and error.args else None
    return Outcome.FAILED if code in REFUSED else Outcome.INDETERMINATE


def of_answer(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """The outcome of an upload that was answered.

    Acknowledged is only what names the stored file: a success page of something in between is not.
    """
    if status in (200, 201):
        return Outcome.ACKNOWLEDGED if _names_file(body) else Outcome.INDETERMINATE
    if status in REJECTED or headers.get("X-Outcome") == "not-committed":
        return Outcome.FAILED
    # A balancer says so when it had no server to give the request to.
    return Outcome.FAILED if status == 503 and NO_SERVER in body else Outcome.INDETERMINATE


def of_replies(replies: Sequence[Reply]) -> Outcome:
    """The outcome of a SET that was answered; with a second reply, of one that a WAIT for a replica followed.

    Without a replica that has it, such a write may be lost with its master, so it was not acknowledged.
    """
    said, *waited = replies
    if isinstance(said, Refusal):
        return Outcome.FAILED if said.kind in NOT_SET else Outcome.INDETERMINATE
    held = all(isinstance(one, int) and one >= 1 for one in waited)
    return Outcome.ACKNOWLEDGED if said == "OK" and held else Outcome.INDETERMINATE


def _names_file(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("file_id"), int)
