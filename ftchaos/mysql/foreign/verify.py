"""What can be known of restored data without having known the original: structure, counts, indexes, references.

A check that finds a flaw is a result, not an error; only what the caller must not go on after is raised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pymysql

from ftchaos.errors import Inconclusive
from ftchaos.mysql import session as sessions
from ftchaos.mysql.foreign.load import Key, Loaded
from ftchaos.mysql.foreign.policy import SYSTEM_SCHEMAS
from ftchaos.mysql.session import Session

Outcome = Literal["passed", "failed", "unknown"]
_THREADS = 2
_NAMED = 5
_FINE = frozenset({"OK", "Table is already up to date"})
_UNCHECKED = "The storage engine for the table doesn't support check"
_LOST = frozenset({2006, 2013, 2055})
_OTHERS = (
    "SELECT TRIGGER_SCHEMA AS s, TRIGGER_NAME AS n, 'trigger' AS k FROM information_schema.TRIGGERS",
    "SELECT EVENT_SCHEMA AS s, EVENT_NAME AS n, 'event' AS k FROM information_schema.EVENTS",
    "SELECT ROUTINE_SCHEMA AS s, ROUTINE_NAME AS n, LOWER(ROUTINE_TYPE) AS k FROM information_schema.ROUTINES",
)


class Died(Inconclusive):
    """The server died while it answered; nothing more can be asked."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        detail: what was found, in words.
    """

    name: str
    result: Outcome
    detail: str

    def as_fact(self) -> dict[str, str]:
        """As the evidence keeps it."""
        return {"name": self.name, "result": self.result, "detail": self.detail}


@dataclass(frozen=True)
class Table:
    """A table as the server knows it.

    Attributes:
        size_bytes: by the server's estimate.
        problem: why the server cannot open it; empty when it can.
    """

    schema: str
    name: str
    engine: str
    size_bytes: int
    problem: str

    @property
    def quoted(self) -> str:
        """Its name for SQL."""
        return quoted(self.schema, self.name)


def quoted(*names: str) -> str:
    """A name for SQL, of one or two parts."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def tables(session: Session) -> list[Table]:
    """All base tables outside of the system's own schemas, the biggest first."""
    found = sessions.rows(
        session,
        "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n, ENGINE AS e, DATA_LENGTH + INDEX_LENGTH AS b, TABLE_COMMENT AS c"
        f" FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND {_foreign('TABLE_SCHEMA')}",
    )
    all_of_them = [
        Table(row["s"], row["n"], str(row["e"] or "").lower(), int(row["b"] or 0), "" if row["e"] else str(row["c"]))
        for row in found
    ]
    return sorted(all_of_them, key=lambda table: -table.size_bytes)


def opened(found: Sequence[Table]) -> Check:
    """Whether the server can open every table, and there is at least one."""
    if not found:
        return Check("tables", "failed", "there is no table at all: the backup is of an empty server")
    broken = [f"{table.schema}.{table.name} ({table.problem})" for table in found if table.problem]
    if broken:
        return Check("tables", "failed", f"the server cannot open {_listed(broken)}")
    return Check("tables", "passed", f"all {len(found):,} open")


def made(session: Session, found: Sequence[Table], loaded: Loaded) -> Check:
    """Whether everything that a dump creates is there, as what and in which engine it says."""
    wrong = []
    relations = {
        (row["s"], row["n"]): str(row["k"]).lower()
        for row in sessions.rows(
            session,
            "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n, TABLE_TYPE AS k FROM information_schema.TABLES"
            f" WHERE {_foreign('TABLE_SCHEMA')}",
        )
    }
    engines = {(table.schema, table.name): table.engine for table in found}
    for key, kind in loaded.relations.items():
        there = relations.get(key, "")
        if not there:
            wrong.append(f"the {kind} {'.'.join(key)} is missing")
        elif (kind == "view") != ("view" in there):
            wrong.append(f"{'.'.join(key)} is a {there} instead of a {kind}")
        elif (engine := loaded.engines.get(key)) and engines.get(key) != engine:
            wrong.append(f"{'.'.join(key)} is in {engines.get(key)} instead of {engine}")
    others = {(row["s"], row["n"], row["k"]) for sql in _OTHERS for row in sessions.rows(session, sql)}
    for one in sorted(loaded.others, key=str):
        if (one.schema, one.name, one.kind) not in others:
            wrong.append(f"the {one.kind} {one.schema}.{one.name} is missing")
    if wrong:
        return Check("schema", "failed", _listed(wrong))
    return Check("schema", "passed", f"{len(loaded.relations):,} tables and views, {len(loaded.others):,} others")


def statements(loaded: Loaded) -> list[Check]:
    """Whether every statement of a dump was run, and took its values unchanged."""
    checks = []
    if loaded.refused_count:
        detail = f"{loaded.refused_count:,} were refused: {_listed(loaded.refused)}"
        checks.append(Check("statements", "failed", detail))
    else:
        left = "; ".join(f"{count:,} left out: {why}" for why, count in loaded.left_out.items())
        changed = "; ".join(f"{count:,} changed: {why}" for why, count in loaded.changed.items())
        checks.append(Check("statements", "passed", "; ".join(filter(None, (left, changed))) or "all were run"))
    if loaded.accounts:
        what = ", ".join(f"{count:,} {words}" for words, count in loaded.accounts.items())
        checks.append(Check("accounts", "unknown", f"the dump's accounts are not restored here: {what}"))
    if loaded.warned:
        detail = f"{loaded.warned:,} values did not fit as they are: {_listed(loaded.warnings)}"
        checks.append(Check("values", "failed", detail))
    return checks


def rows(counts: Mapping[Key, int], loaded: Loaded | None, recorded: Mapping[Key, int]) -> Check:
    """Whether each table has the rows that it should have.

    Args:
        counts: what a full count gave.
        loaded: what a dump put in; None for data files.
        recorded: what the backup's maker counted; often nothing.
    """
    wrong = []
    expected = dict(recorded)
    if loaded is not None:
        # The statements say what was put in, the maker what should have been.
        for key, count in loaded.rows.items():
            if key not in loaded.uncounted and loaded.relations.get(key) == "table" and counts.get(key, 0) != count:
                wrong.append(f"{'.'.join(key)} has {counts.get(key, 0):,} rows after {count:,} were put in")
    for key, count in expected.items():
        if counts.get(key, 0) != count:
            wrong.append(f"{'.'.join(key)} has {counts.get(key, 0):,} rows, the backup counted {count:,}")
    if wrong:
        return Check("rows", "failed", _listed(wrong))
    total = sum(counts.values())
    if counts and not total:
        return Check("rows", "failed", f"{len(counts):,} tables and not one row: the backup saved nothing")
    empty = sum(not count for count in counts.values())
    return Check("rows", "passed", f"{total:,} rows in {len(counts):,} tables, {empty:,} of them empty")


def counted_and_checked(
    connect: Callable[[], Session], found: Sequence[Table], progress: Callable[[int, int], None]
) -> tuple[dict[Key, int], Check]:
    """Rows of every table by a full count, and what the server's own check of it says.

    Args:
        connect: gives a connection; called once for each of two threads.
        progress: told how many tables are done, and of how many.
    """
    counts: dict[Key, int] = {}
    wrong: list[str] = []
    unchecked: list[str] = []
    todo = deque(found)

    def work() -> None:
        session = connect()
        try:
            while todo:
                try:
                    table = todo.popleft()
                except IndexError:  # the other thread was quicker
                    return
                _look_at(session, table, counts, wrong, unchecked)
                progress(len(found) - len(todo), len(found))
        finally:
            session.close()

    with ThreadPoolExecutor(_THREADS) as pool:
        for done in [pool.submit(work) for _ in range(min(_THREADS, len(found)))]:
            done.result()
    if wrong:
        return counts, Check("check table", "failed", _listed(wrong))
    note = f"; {len(unchecked):,} are of an engine that cannot" if unchecked else ""
    return counts, Check("check table", "passed", f"{len(found) - len(unchecked):,} tables{note}")


def _look_at(session: Session, table: Table, counts: dict[Key, int], wrong: list[str], unchecked: list[str]) -> None:
    shown = f"{table.schema}.{table.name}"
    if table.problem:
        return
    with _alive(f"{shown} was checked"):
        try:
            counts[table.schema, table.name] = int(sessions.value(session, f"SELECT COUNT(*) FROM {table.quoted}"))
            said = sessions.rows(session, f"CHECK TABLE {table.quoted}")
        except pymysql.err.MySQLError as error:
            if error.args and error.args[0] in _LOST:
                raise
            wrong.append(f"{shown}: {error.args[-1]}")
            return
    texts = [str(row["Msg_text"]) for row in said if row["Msg_type"] in ("error", "warning", "status")]
    bad = [text for text in texts if text not in _FINE]
    if any(row["Msg_text"] == _UNCHECKED for row in said):
        unchecked.append(shown)
    elif bad or not texts:
        wrong.append(f"{shown}: {'; '.join(bad[:3]) or 'the server said nothing'}")


def views(session: Session) -> Check:
    """Whether every view still finds what it is made of."""
    found = sessions.rows(
        session,
        "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n FROM information_schema.TABLES"
        f" WHERE TABLE_TYPE = 'VIEW' AND {_foreign('TABLE_SCHEMA')}",
    )
    wrong = []
    for row in found:
        said = sessions.rows(session, f"CHECK TABLE {quoted(row['s'], row['n'])}")
        wrong += [f"{row['s']}.{row['n']}: {one['Msg_text']}" for one in said if one["Msg_type"] == "Error"]
    if wrong:
        return Check("views", "failed", _listed(wrong))
    return Check("views", "passed", f"{len(found):,} views")


def foreign_keys(session: Session) -> Check:
    """Whether every row that refers to another finds it; a restore switches the server's own look at that off."""
    keys: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in sessions.rows(
        session,
        "SELECT CONSTRAINT_SCHEMA AS cs, CONSTRAINT_NAME AS cn, TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c,"
        " REFERENCED_TABLE_SCHEMA AS ps, REFERENCED_TABLE_NAME AS pt, REFERENCED_COLUMN_NAME AS pc"
        " FROM information_schema.KEY_COLUMN_USAGE"
        f" WHERE REFERENCED_TABLE_NAME IS NOT NULL AND {_foreign('TABLE_SCHEMA')} ORDER BY ORDINAL_POSITION",
    ):
        keys.setdefault((row["s"], row["t"], row["cn"]), []).append(row)
    wrong = []
    for (schema, table, name), columns in keys.items():
        child, parent = quoted(schema, table), quoted(columns[0]["ps"], columns[0]["pt"])
        on = " AND ".join(f"c.{quoted(column['c'])} = p.{quoted(column['pc'])}" for column in columns)
        given = " AND ".join(f"c.{quoted(column['c'])} IS NOT NULL" for column in columns)
        sql = (
            f"SELECT COUNT(*) FROM {child} c LEFT JOIN {parent} p ON {on}"
            f" WHERE {given} AND p.{quoted(columns[0]['pc'])} IS NULL"
        )
        with _alive(f"the foreign key {name} was followed"):
            try:
                orphans = int(sessions.value(session, sql))
            except pymysql.err.MySQLError as error:
                if error.args and error.args[0] in _LOST:
                    raise
                wrong.append(f"{schema}.{table} ({name}): {error.args[-1]}")
                continue
        if orphans:
            wrong.append(f"{orphans:,} rows of {schema}.{table} refer to none in {columns[0]['pt']} ({name})")
    if wrong:
        return Check("foreign keys", "failed", _listed(wrong))
    return Check("foreign keys", "passed", f"{len(keys):,} keys")


@contextmanager
def _alive(what: str) -> Iterator[None]:
    try:
        yield
    except pymysql.err.MySQLError as error:
        raise Died(f"the server died while {what}: {error.args[-1]}", "the backup's data files are damaged") from error


def _foreign(column: str) -> str:
    names = ", ".join(f"'{name}'" for name in sorted(SYSTEM_SCHEMAS))
    return f"LOWER({column}) NOT IN ({names})"


def _listed(items: Sequence[str]) -> str:
    more = f", and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""
    return "; ".join(items[:_NAMED]) + more
