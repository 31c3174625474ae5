"""What can be known of restored data without having known the original: structure, counts, indexes, references.

A check that finds a flaw is a result, not an error; only what the caller must not go on after is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pymysql

from ftchaos.errors import Inconclusive, Unusable
from ftchaos.mysql import session as sessions
from ftchaos.mysql.foreign.load import Key, Loaded
from ftchaos.mysql.foreign.policy import SYSTEM_SCHEMAS
from ftchaos.mysql.session import Session

Outcome = Literal["passed", "failed", "unknown"]
_PASSED: Mapping[Outcome, bool | None] = {"passed": True, "failed": False, "unknown": None}
_NAMED = 5
_LOST = frozenset({2006, 2013, 2055})
_OTHERS = (
    "SELECT TRIGGER_SCHEMA AS s, TRIGGER_NAME AS n, 'trigger' AS k FROM information_schema.TRIGGERS",
    "SELECT EVENT_SCHEMA AS s, EVENT_NAME AS n, 'event' AS k FROM information_schema.EVENTS",
    "SELECT ROUTINE_SCHEMA AS s, ROUTINE_NAME AS n, LOWER(ROUTINE_TYPE) AS k FROM information_schema.ROUTINES",
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        detail: what was found, in words.
    """

    name: str
    result: Outcome
    detail: str

    def as_fact(self) -> dict[str, str | bool | None]:
        """As the evidence keeps it."""
        return {"name": self.name, "passed": _PASSED[self.result], "actual": self.detail}


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
    if loaded.accounts and not loaded.refused_count:
        what = ", ".join(f"{count:,} {words}" for words, count in loaded.accounts.items())
        checks.append(Check("accounts", "unknown", f"the dump's accounts are not restored here: {what}"))
    if loaded.warned:
        detail = f"{loaded.warned:,} values did not fit as they are: {_listed(loaded.warnings)}"
        checks.append(Check("values", "failed", detail))
    return checks


def rows(
    counted: Mapping[Key, int], unread: Sequence[str], loaded: Loaded | None, recorded: Mapping[Key, int]
) -> Check:
    """Whether each table has the rows that it should have.

    Args:
        counted: what a full count gave.
        unread: tables that could not be counted, and why.
        loaded: what a dump put in; None for data files.
        recorded: what the backup's maker counted; often nothing.
    """
    wrong = list(unread)
    if loaded is not None:
        # The statements say what was put in, the maker what should have been.
        for key, count in loaded.rows.items():
            if key not in loaded.uncounted and loaded.relations.get(key) == "table" and counted.get(key, 0) != count:
                wrong.append(f"{'.'.join(key)} has {counted.get(key, 0):,} rows after {count:,} were put in")
    for key, count in recorded.items():
        if counted.get(key, 0) != count:
            wrong.append(f"{'.'.join(key)} has {counted.get(key, 0):,} rows, the backup counted {count:,}")
    if wrong:
        return Check("rows", "failed", _listed(wrong))
    total = sum(counted.values())
    if counted and not total:
        return Check("rows", "failed", f"{len(counted):,} tables and not one row: the backup saved nothing")
    empty = sum(not count for count in counted.values())
    return Check("rows", "passed", f"{total:,} rows in {len(counted):,} tables, {empty:,} of them empty")


def counts(session: Session, found: Sequence[Table]) -> tuple[dict[Key, int], list[str]]:
    """Rows of every table that can be opened, by a full count, and the tables that cannot be read to their end.

    Raises:
        Unusable: the server died.
    """
    counted: dict[Key, int] = {}
    wrong = []
    for table in found:
        if table.problem:
            continue
        try:
            counted[table.schema, table.name] = int(sessions.value(session, f"SELECT COUNT(*) FROM {table.quoted}"))
        except pymysql.err.MySQLError as error:
            if error.args and error.args[0] in _LOST:
                raise Unusable(f"the server died while {table.schema}.{table.name} was read") from error
            wrong.append(f"{table.schema}.{table.name}: {error.args[-1]}")
    return counted, wrong


def sound(name: str, look: Callable[[], Sequence[str]], clean: str) -> Check:
    """A look at the data as a check; that the server died of it is what damaged data files do to a server.

    Args:
        name: of the check.
        look: gives what it finds wrong.
        clean: the detail when that is nothing.
    """
    try:
        wrong = look()
    except Inconclusive as error:
        return Check(name, "failed", error.fact)
    return Check(name, "failed", _listed(wrong)) if wrong else Check(name, "passed", clean)


def broken_views(session: Session) -> list[str]:
    """Views that do not find any more what they are made of."""
    found = sessions.rows(
        session,
        "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n FROM information_schema.TABLES"
        f" WHERE TABLE_TYPE = 'VIEW' AND {_foreign('TABLE_SCHEMA')}",
    )
    wrong = []
    for row in found:
        said = sessions.rows(session, f"CHECK TABLE {quoted(row['s'], row['n'])}")
        wrong += [f"{row['s']}.{row['n']}: {one['Msg_text']}" for one in said if one["Msg_type"] == "Error"]
    return wrong


def _foreign(column: str) -> str:
    names = ", ".join(f"'{name}'" for name in sorted(SYSTEM_SCHEMAS))
    return f"LOWER({column}) NOT IN ({names})"


def _listed(items: Sequence[str]) -> str:
    more = f", and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""
    return "; ".join(items[:_NAMED]) + more
