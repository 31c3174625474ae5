"""Whether data is what it was: schema, row counts and checksums recorded once and compared later, inside the server.

Only numbers leave the server, so that the cost is that of reading the tables once, by two connections.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pymysql

from ftchaos.errors import Unusable
from ftchaos.mysql.gtidset import GtidSet
from ftchaos.mysql.session import Session, rows, value

Connect = Callable[[], Session]
Progress = Callable[[int, int], None]  # bytes done, bytes in all

CONNECTIONS = 2
SYSTEM_SCHEMAS = ("mysql", "information_schema", "performance_schema", "sys")
_OURS = f"NOT IN ({', '.join(repr(name) for name in SYSTEM_SCHEMAS)})"
# Counters; and the character set before a collation that implies it, which MySQL now writes and now leaves out.
_NOISE = re.compile(r" AUTO_INCREMENT=\d+| CHARACTER SET \w+(?= COLLATE )")
_LOST = frozenset({2006, 2013, 2055})
_VARIABLE = frozenset({"varchar", "varbinary", "json", "bit", "geometry"}) | {
    size + kind for size in ("tiny", "", "medium", "long") for kind in ("text", "blob")
}
# Not their status: a replica says of the same event that it is disabled here. And MariaDB gives its information_schema
# only where its scheduler could run.
_EVENTS = {
    True: "SELECT db a, name b, body c, execute_at d, interval_value e, interval_field f"
    " FROM mysql.event ORDER BY 1, 2",
    False: "SELECT EVENT_SCHEMA a, EVENT_NAME b, EVENT_DEFINITION c, EXECUTE_AT d, INTERVAL_VALUE e, INTERVAL_FIELD f"
    f" FROM information_schema.EVENTS WHERE EVENT_SCHEMA {_OURS} ORDER BY 1, 2",
}
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TableRecord:
    """The content of one table as numbers.

    Attributes:
        rows: how many.
        checksum: equal for equal rows in any order; comparable within one flavour and version.
    """

    rows: int
    checksum: str


@dataclass(frozen=True)
class Record:
    """The content of a server as numbers.

    Attributes:
        schema: fingerprint of everything that is defined, without counters.
        tables: by ``schema.table``.
    """

    schema: str
    tables: Mapping[str, TableRecord]


@dataclass(frozen=True)
class _Table:
    schema: str
    name: str
    size_bytes: int
    plain: bool  # in one piece, in InnoDB

    @property
    def key(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{_quoted(self.schema)}.{_quoted(self.name)}"


def record(connect: Connect, progress: Progress | None = None) -> Record:
    """The content of all tables outside of the system's own schemas; nothing may write meanwhile.

    CHECKSUM TABLE adds up one CRC32 a row, so the order of rows does not matter, but a value that two rows have
    exchanged does (the XOR of CRC32 that others use cannot see that). It runs the columns of a row together, so that
    a character moved from one text column to the next would be invisible: hence the sums of lengths beside it.

    Args:
        connect: gives a connection; called once for each of two threads.
        progress: told how many bytes of tables are done, and of how many.

    Raises:
        Unusable: a table cannot be read, or the server died of reading it.
    """
    with connect() as session:
        tables = _tables(session)
        schema = schema_fingerprint(session)
        lengths = _lengths(session)

    def work(session: Session, table: _Table) -> tuple[_Table, int, list[int]]:
        checksum, seen = _summed(session, table)
        texts = lengths.get(table.key, ())
        if not texts and table.plain:
            return table, seen, [checksum]
        sums = "".join(f", SUM(LENGTH({_quoted(text)})) AS s{number}" for number, text in enumerate(texts))
        found = rows(session, f"SELECT COUNT(*) AS n{sums} FROM {table.sql}")[0]
        count, *more = (int(number or 0) for number in found.values())
        return table, count, [checksum, *more]

    done = _each(connect, tables, work, _told(progress, tables))
    counted = {table.key: count for table, count, _ in done}
    counted |= _recounted(connect, [(table, count) for table, count, _ in done if table.plain and count])
    records = {table.key: TableRecord(counted[table.key], ":".join(map(str, sums))) for table, _, sums in done}
    return Record(schema, dict(sorted(records.items())))


def differences(wanted: Record, found: Record) -> list[str]:
    """What differs, one sentence each; empty when the data is what it was."""
    flaws = [] if wanted.schema == found.schema else ["the schema differs from the one recorded"]
    flaws += [f"{name} is missing" for name in wanted.tables if name not in found.tables]
    flaws += [f"{name} should not be there" for name in found.tables if name not in wanted.tables]
    for name, expected in wanted.tables.items():
        actual = found.tables.get(name, expected)
        if actual.rows != expected.rows:
            flaws.append(f"{name} has {actual.rows:,} rows, {expected.rows:,} were recorded")
        elif actual.checksum != expected.checksum:
            flaws.append(f"{name} has the checksum {actual.checksum}, {expected.checksum} was recorded")
    return flaws


def foreign_keys_whole(connect: Connect) -> list[str]:
    """Rows that refer to what is not there, one sentence for each foreign key; empty when all are whole."""
    with connect() as session:
        keys = _foreign_keys(session)

    def work(session: Session, key: _ForeignKey) -> str:
        count = int(value(session, key.sql))
        return f"{count:,} rows of {key.child} refer by {key.name} to what is not in {key.parent}" if count else ""

    return sorted(filter(None, _each(connect, keys, work)))


def check_tables(connect: Connect, progress: Progress | None = None) -> list[str]:
    """What the server's own check of tables and indexes finds, one sentence each; empty when they are sound.

    Raises:
        Unusable: the server died of checking.
    """
    with connect() as session:
        tables = _tables(session)

    def work(session: Session, table: _Table) -> list[str]:
        answers = rows(session, f"CHECK TABLE {table.sql}")
        return [f"{table.key}: {answer['Msg_text']}" for answer in answers if _complains(answer)]

    return sorted(flaw for flaws in _each(connect, tables, work, _told(progress, tables)) for flaw in flaws)


def gtid_reached(executed: str, wanted: GtidSet) -> list[str]:
    """How the position that a server is at differs from the one wanted; empty when it is exactly that one.

    Args:
        executed: what the server says that it has.
        wanted: what it should have, no more and no less.
    """
    have = GtidSet.parse(executed)
    flaws = []
    if lacking := wanted.without(have).ranges:
        flaws.append(f"the server lacks {GtidSet(lacking)}")
    if beyond := have.without(wanted).ranges:
        flaws.append(f"the server also has {GtidSet(beyond)}, which lies beyond the point wanted")
    return flaws


def schema_fingerprint(session: Session) -> str:
    """A fingerprint of all tables, views, triggers, routines and events, without the counters of AUTO_INCREMENT."""
    digest = hashlib.sha256()
    for line in _definitions(session):
        digest.update(line.encode() + b"\0")
    return digest.hexdigest()


def _definitions(session: Session) -> Iterator[str]:
    for table in sorted(_tables(session), key=lambda table: table.key):
        made = str(rows(session, f"SHOW CREATE TABLE {table.sql}")[0]["Create Table"])
        yield table.key + _NOISE.sub("", made)
    for sql in (
        f"SELECT TABLE_SCHEMA a, TABLE_NAME b, VIEW_DEFINITION c, SECURITY_TYPE d, CHECK_OPTION e"
        f" FROM information_schema.VIEWS WHERE TABLE_SCHEMA {_OURS} ORDER BY 1, 2",
        "SELECT TRIGGER_SCHEMA a, TRIGGER_NAME b, EVENT_OBJECT_TABLE c, ACTION_TIMING d, EVENT_MANIPULATION e,"
        " ACTION_ORDER f, ACTION_STATEMENT g"
        f" FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA {_OURS} ORDER BY 1, 2",
        f"SELECT ROUTINE_SCHEMA a, ROUTINE_NAME b, ROUTINE_TYPE c, DTD_IDENTIFIER d, ROUTINE_DEFINITION e,"
        f" IS_DETERMINISTIC f, SQL_DATA_ACCESS g, SECURITY_TYPE h FROM information_schema.ROUTINES"
        f" WHERE ROUTINE_SCHEMA {_OURS} ORDER BY 1, 2, 3",
        f"SELECT SPECIFIC_SCHEMA a, SPECIFIC_NAME b, ORDINAL_POSITION c, PARAMETER_MODE d, PARAMETER_NAME e,"
        f" DTD_IDENTIFIER f FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA {_OURS} ORDER BY 1, 2, 3",
        _EVENTS["MariaDB" in str(value(session, "SELECT VERSION()"))],
    ):
        for row in rows(session, sql):
            yield "\x1f".join(map(str, row.values()))


def _tables(session: Session) -> list[_Table]:
    """All tables that are ours, the biggest first."""
    found = rows(
        session,
        "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n, DATA_LENGTH + INDEX_LENGTH AS b, ENGINE AS e, CREATE_OPTIONS AS o"
        f" FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA {_OURS}",
    )
    tables = [_Table(row["s"], row["n"], int(row["b"] or 0), _plain(row)) for row in found]
    return sorted(tables, key=lambda table: (-table.size_bytes, table.key))


def _plain(row: Mapping[str, str | None]) -> bool:
    return row["e"] == "InnoDB" and "partitioned" not in (row["o"] or "")


def _lengths(session: Session) -> dict[str, list[str]]:
    """The columns whose lengths must be summed, by table: the texts that follow another text with nothing between."""
    found = rows(
        session,
        "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n, COLUMN_NAME AS c, DATA_TYPE AS t, IS_NULLABLE AS o"
        f" FROM information_schema.COLUMNS WHERE TABLE_SCHEMA {_OURS} ORDER BY 1, 2, ORDINAL_POSITION",
    )
    columns: dict[str, list[str]] = {}
    before = ""  # the table in which the column before was a text, with at most absent values since
    for row in found:
        table = f"{row['s']}.{row['n']}"
        if str(row["t"]).lower() in _VARIABLE:
            if before == table:
                columns.setdefault(table, []).append(str(row["c"]))
            before = table
        elif row["o"] == "NO":
            before = ""
    return columns


def _summed(session: Session, table: _Table) -> tuple[int, int]:
    """The checksum of a table, and how many rows the server went through for it."""
    before = _rows_read(session)
    answer = rows(session, f"CHECKSUM TABLE {table.sql} EXTENDED")[0]
    if answer["Checksum"] is None:
        reason = "; ".join(str(warning["Message"]) for warning in rows(session, "SHOW WARNINGS"))
        raise Unusable(f"{table.key} cannot be read: {reason or 'the server gives no checksum'}")
    return int(answer["Checksum"]), _rows_read(session) - before - 1  # it also asked for the row after the last


def _rows_read(session: Session) -> int:
    return int(rows(session, "SHOW SESSION STATUS LIKE 'Handler_read_rnd_next'")[0]["Value"])


def _recounted(connect: Connect, seen: Sequence[tuple[_Table, int]]) -> dict[str, int]:
    """The rows of tables by a count of their own, should the server's account of what it read not be one.

    It saves a third of all reading, but nobody promises it: so the smallest table is counted, and if need be all.
    """
    if not seen:
        return {}
    smallest, expected = min(seen, key=lambda entry: entry[1])

    def count(session: Session, table: _Table) -> tuple[str, int]:
        return table.key, int(value(session, f"SELECT COUNT(*) FROM {table.sql}"))

    found = dict(_each(connect, [smallest], count))
    return found if found[smallest.key] == expected else dict(_each(connect, [table for table, _ in seen], count))


@dataclass(frozen=True)
class _ForeignKey:
    name: str
    child: str
    parent: str
    sql: str


def _foreign_keys(session: Session) -> list[_ForeignKey]:
    found = rows(
        session,
        "SELECT CONSTRAINT_SCHEMA AS s, CONSTRAINT_NAME AS n, TABLE_NAME AS t, COLUMN_NAME AS c,"
        " REFERENCED_TABLE_SCHEMA AS rs, REFERENCED_TABLE_NAME AS rt, REFERENCED_COLUMN_NAME AS rc"
        " FROM information_schema.KEY_COLUMN_USAGE"
        f" WHERE REFERENCED_TABLE_NAME IS NOT NULL AND CONSTRAINT_SCHEMA {_OURS} ORDER BY 1, 3, 2, ORDINAL_POSITION",
    )
    parts: dict[tuple[str, str, str], list[Mapping[str, str]]] = {}
    for row in found:
        parts.setdefault((row["s"], row["t"], row["n"]), []).append(row)
    return [_foreign_key(columns) for columns in parts.values()]


def _foreign_key(columns: Sequence[Mapping[str, str]]) -> _ForeignKey:
    first = columns[0]
    child = f"{_quoted(first['s'])}.{_quoted(first['t'])}"
    parent = f"{_quoted(first['rs'])}.{_quoted(first['rt'])}"
    same = " AND ".join(f"p.{_quoted(column['rc'])} = c.{_quoted(column['c'])}" for column in columns)
    given = " AND ".join(f"c.{_quoted(column['c'])} IS NOT NULL" for column in columns)
    sql = (
        f"SELECT COUNT(*) FROM {child} AS c LEFT JOIN {parent} AS p ON {same}"
        f" WHERE {given} AND p.{_quoted(first['rc'])} IS NULL"
    )
    return _ForeignKey(first["n"], f"{first['s']}.{first['t']}", f"{first['rs']}.{first['rt']}", sql)


def _complains(answer: Mapping[str, str]) -> bool:
    if answer["Msg_type"] == "note":
        return "doesn't support check" not in answer["Msg_text"]
    return answer["Msg_text"] not in ("OK", "Table is already up to date")


def _each(
    connect: Connect,
    tasks: Sequence[_Task],
    work: Callable[[Session, _Task], _Result],
    done: Callable[[_Task], None] | None = None,
) -> list[_Result]:
    """The results of all tasks, which two connections take one after the other."""
    waiting = deque(tasks)
    results: list[_Result] = []

    def run() -> None:
        with _alive(connect) as session:
            while True:
                try:
                    task = waiting.popleft()
                except IndexError:
                    return
                results.append(work(session, task))
                if done:
                    done(task)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for future in [pool.submit(run) for _ in range(min(CONNECTIONS, len(tasks)))]:
            try:
                future.result()
            except BaseException:
                waiting.clear()
                raise
    return results


@contextmanager
def _alive(connect: Connect) -> Iterator[Session]:
    try:
        with connect() as session:
            yield session
    except pymysql.err.MySQLError as error:
        code = error.args[0] if error.args else 0
        if code in _LOST:
            raise Unusable(
                f"the server died while its tables were read: {error.args[-1]}", "read its error log"
            ) from error
        raise Unusable(f"a table cannot be read: {error.args[-1]} ({code})", "read the server's error log") from error


def _told(progress: Progress | None, tables: Sequence[_Table]) -> Callable[[_Table], None] | None:
    if progress is None:
        return None
    total, done = sum(table.size_bytes for table in tables), 0

    def tell(table: _Table) -> None:
        nonlocal done
        done += table.size_bytes
        progress(done, total)

    return tell


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
