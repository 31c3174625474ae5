"""One administrative connection to a MySQL or MariaDB server, and the three questions asked through it.

A server is reached through the unix socket in its data folder, which works across network namespaces, or by TCP as a
client in the network would. Connections commit each statement.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from ftchaos import encryption
from ftchaos.errors import Inconclusive

SOCKET = "mysql.sock"

if TYPE_CHECKING:
    Session = Connection[DictCursor]
else:
    Session = Connection  # generic in its type stubs only


class Unreachable(Inconclusive):
    """A server that gave no connection; a caller that polls catches this and tries again."""


def connect(
    datadir: Path | str,
    *,
    user: str = "root",
    database: str | None = None,
    timeout_s: float = 10,
    answer_timeout_s: float | None = None,
) -> Session:
    """A connection through the socket in a data folder, by default as the password-less root of that machine.

    Args:
        datadir: the data folder; its path may be longer than the 107 bytes that a socket's address may have.
        user: an account without a password.
        database: the schema to be in, or none.
        timeout_s: how long to wait for the connection itself.
        answer_timeout_s: how long to wait for each answer; forever when None.

    Raises:
        Unreachable: there is no socket, or nobody answers on it.
    """
    with socket_path(datadir) as path:
        return _open(f"{datadir}/{SOCKET}", timeout_s, answer_timeout_s, unix_socket=path, user=user, database=database)


def reach(
    address: str,
    port: int,
    *,
    user: str,
    password: str,
    database: str | None = None,
    ca: Path | None = None,
    timeout_s: float = 10,
    answer_timeout_s: float | None = None,
) -> Session:
    """A connection by TCP, as any client in the network makes it.

    Args:
        address: IP address of the server.
        port: its TCP port.
        user: the account.
        password: its password.
        database: the schema to be in, or none.
        ca: see :func:`ftchaos.encryption.of_mysql`.
        timeout_s: how long to wait for the connection, and for each step of the login.
        answer_timeout_s: how long to wait for each answer; forever when None.

    Raises:
        Unreachable: refused, unreachable, too slow, or the account is not let in.
    """
    how = {"host": address, "port": port, "user": user, "password": password, "database": database}
    return _open(f"{address}:{port}", timeout_s, answer_timeout_s, ca, **how)


def _open(place: str, timeout_s: float, answer_timeout_s: float | None, ca: Path | None = None, **how: Any) -> Session:
    try:
        session: Session = pymysql.connect(
            charset="utf8mb4",
            autocommit=True,
            cursorclass=DictCursor,
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            write_timeout=timeout_s,
            **encryption.of_mysql(ca),
            **how,
        )
        encryption.ensure_kept(session, ca)
        # PyMySQL waits for the greeting as for any answer, yet a stopped server never greets: so one limit for the
        # login, and from here on the other.
        session._read_timeout = session._write_timeout = answer_timeout_s  # type: ignore[attr-defined]
        return session
    except (pymysql.err.MySQLError, OSError) as error:
        raise Unreachable(
            f"no connection to {place} as {how['user']}: {_words(error)}", "is that server up?"
        ) from error


def _words(error: BaseException) -> str:
    return str(error.args[-1]) if error.args else type(error).__name__


@contextmanager
def socket_path(datadir: Path | str) -> Iterator[str]:
    """A short path of the socket in a data folder, good in this process while the block runs.

    Raises:
        Unreachable: the data folder is not there.
    """
    try:
        folder = os.open(datadir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unreachable(f"no data folder {datadir}: {error.strerror}") from error
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


def rows(
    session: Session, sql: str, arguments: Sequence[Any] | Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """All rows of a statement's result, each a mapping from column to value; none when it has no result."""
    with session.cursor() as cursor:
        cursor.execute(sql, arguments)
        return list(cursor.fetchall())


def value(session: Session, sql: str, arguments: Sequence[Any] | Mapping[str, Any] | None = None) -> Any:
    """The first column of the first row of a statement's result; None when there is no row."""
    for row in rows(session, sql, arguments):
        return next(iter(row.values()))
    return None


def execute(session: Session, statements: Iterable[str]) -> None:
    """Run statements one after the other; the first that fails ends it with PyMySQL's error."""
    with session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
