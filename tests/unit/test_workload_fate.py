"""What an error says about a statement: failed only where nothing of it can be there."""

from __future__ import annotations

import pytest
from pymysql.err import IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError

from ftchaos.ledger import Outcome
from ftchaos.workload.fate import of_answer, of_error


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError(1062, "Duplicate entry"),
        OperationalError(1290, "running with the --read-only option"),
        OperationalError(1792, "Cannot execute statement in a READ ONLY transaction"),
        OperationalError(1836, "Running in read-only mode"),
        OperationalError(1213, "Deadlock found"),
        OperationalError(1205, "Lock wait timeout exceeded"),
        ProgrammingError(1146, "Table doesn't exist"),
    ],
    ids=str,
)
def test_refused_statement_has_failed(error: Exception) -> None:
    assert Outcome.FAILED is of_error(error)


@pytest.mark.parametrize(
    "error",
    [
        OperationalError(2013, "Lost connection to MySQL server during query"),
        OperationalError(2006, "MySQL server has gone away"),
        OperationalError(1053, "Server shutdown in progress"),
        OperationalError(1927, "Connection was killed"),
        OperationalError(1317, "Query execution was interrupted"),
        InternalError(1180, "Got error during COMMIT"),
        OperationalError(3100, "Error on observer while running replication hook 'before_commit'"),
        InternalError("Packet sequence number wrong"),
        InterfaceError(0, ""),
        InterfaceError(),
        ConnectionResetError(104, "reset"),
        ValueError(1062),
    ],
    ids=repr,
)
def test_statement_whose_fate_is_unknown_is_indeterminate(error: Exception) -> None:
    assert Outcome.INDETERMINATE is of_error(error)


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"\xff", b'{"file_id": "5"}', b'{"file_id": null}'])
def test_success_that_names_no_file_is_indeterminate(body: bytes) -> None:
    assert Outcome.INDETERMINATE is of_answer(201, {}, body)


def test_refusal_outranks_the_words_around_it() -> None:
    assert Outcome.FAILED is of_answer(503, {"X-Outcome": "not-committed"}, b'{"file_id": 1}')
    assert Outcome.INDETERMINATE is of_answer(503, {"X-Outcome": "committed"}, b"")
    assert Outcome.INDETERMINATE is of_answer(502, {}, b"No server is available to handle this request")
