"""Runs the statements of a foreign dump as an account that may do nothing outside of the dump's own schemas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock

import pymysql

from ftchaos.errors import StepFailed, Unusable
from ftchaos.mysql import session as sessions
from ftchaos.mysql.foreign import policy
from ftchaos.mysql.foreign.statements import Statement
from ftchaos.mysql.session import Session

ACCOUNT = "restore"
NO_SCHEMA = "restored"  # for a dump that names no schema at all

# As every dump program sets them at its begin, for the dumps that leave them out.
_SESSION = (
    "SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'"
)
_DENIED = frozenset({1044, 1045, 1142, 1143, 1148, 1227, 1290, 1370, 1410, 1419, 3948})
_LOST = frozenset({2006, 2013, 2055})
_FULL = frozenset({1021, 1026, 1041, 1114, 1878})
_ENGINE = re.compile(rb"\bENGINE\s*=\s*(\w+)", re.I)
_QUOTED = re.compile(rb"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`", re.S)
_SAMPLES = 20

Key = tuple[str, str]


@dataclass
class Loaded:
    """What became of a dump's statements.

    Attributes:
        relations: schema and name of each table, view and sequence, and which of them it is in the end.
        others: each trigger, routine and event.
        engines: the storage engine that a table's definition asks for, lowercase.
        rows: rows that the server says it took, by table.
        uncounted: tables filled in a way that does not say how many rows were new.
        refused: statements that were not run, and why; the first of them.
        refused_count: all of them.
        accounts: statements about accounts, by their first words.
        left_out: why statements were left out, and how many.
        changed: how statements were changed, and how many.
        warnings: the first warnings about rows.
        warned: all warnings about rows.
    """

    relations: dict[Key, str] = field(default_factory=dict)
    others: set[policy.Named] = field(default_factory=set)
    engines: dict[Key, str] = field(default_factory=dict)
    rows: Counter[Key] = field(default_factory=Counter)
    uncounted: set[Key] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    refused_count: int = 0
    accounts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    warned: int = 0
    lock: Lock = field(default_factory=Lock, repr=False)

    def refuse(self, statement: Statement, why: str) -> None:
        """Keep a statement that was not run."""
        with self.lock:
            self.refused_count += 1
            if len(self.refused) < _SAMPLES:
                self.refused.append(f"{policy.shown(statement.text)}: {why}")


def make_account(admin: Session) -> None:
    """The account that runs a dump's statements; it begins without any right."""
    sessions.execute(admin, [f"CREATE USER {ACCOUNT}@localhost"])


def allow(admin: Session, schema: str) -> None:
    """Let the account do everything within one schema: no right there reaches a file, an account or the server."""
    escaped = schema.replace("`", "``").replace("\\", "\\\\").replace("_", r"\_").replace("%", r"\%")
    sessions.execute(admin, [f"GRANT ALL PRIVILEGES ON `{escaped}`.* TO {ACCOUNT}@localhost"])


class Loader:
    """One connection that loads; several may share one :class:`Loaded`."""

    def __init__(
        self, connect: Callable[[str], Session], loaded: Loaded, allowed: set[str], default: str = NO_SCHEMA
    ) -> None:
        """
        Args:
            connect: gives a connection of the account of that name.
            loaded: what becomes of the statements.
            allowed: schemas that the account may use already; grows.
            default: the schema of statements before any that names one.
        """
        self._connect = connect
        self._session = connect(ACCOUNT)
        self._cursor = self._session.cursor()
        self._cursor.execute(_SESSION)
        self._loaded = loaded
        self._allowed = allowed
        self._default = default or NO_SCHEMA
        self._schema = ""

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def use(self, schema: str) -> None:
        """Be in a schema, made if it is not there, or in none; statements in a system schema are left out.

        Raises:
            Unusable: the server takes no such name.
        """
        self._schema = schema
        if not schema or policy.is_system(schema):
            return
        quoted = schema.replace("`", "``")
        try:
            self._allow(schema)
            self._cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{quoted}`")
            self._cursor.execute(f"USE `{quoted}`")
        except pymysql.err.MySQLError as error:
            raise Unusable(f"the server takes no schema {schema!r}: {error.args[-1]}", "the dump is damaged") from error

    def run(self, statements: Iterable[Statement], progress: Callable[[], None]) -> None:
        """Run statements in their order.

        Args:
            statements: of one file.
            progress: called after each.

        Raises:
            Unusable: the server does not take a statement.
            StepFailed: the server died, or its disk is full.
        """
        for statement in statements:
            self._one(statement)
            progress()

    def _one(self, statement: Statement) -> None:
        decision = policy.decide(statement.text, self._schema)
        if not self._schema and decision.needs_schema and decision.do == "run":
            self.use(self._default)
            decision = policy.decide(statement.text, self._schema)
        if decision.do == "refuse":
            self._loaded.refuse(statement, decision.why)
        elif decision.do == "account":
            with self._loaded.lock:
                self._loaded.accounts[" ".join(policy.shown(statement.text).split()[:2])] += 1
        if decision.enters:
            self._schema = decision.schema
        if decision.do == "leave out":
            self._loaded.left_out[decision.why] += 1
        if decision.do != "run":
            return
        if decision.schema:
            self._allow(decision.schema)
        if decision.why:
            self._loaded.changed[decision.why] += 1
        if self._execute(statement, decision):
            self._note(decision)

    def _execute(self, statement: Statement, decision: policy.Decision) -> bool:
        """Whether the server took the statement; False where it refused it to this account."""
        try:
            taken: int = self._cursor.execute(decision.text)  # type: ignore[call-overload]  # bytes go to the server as they are
            self._drain()
        except pymysql.err.MySQLError as error:
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            words = str(error.args[-1]) if error.args else type(error).__name__
            if code in _DENIED:
                self._loaded.refuse(statement, f"the server refuses it: {words}")
                return False
            raise _failed(statement, code, words) from error
        if decision.fills:
            with self._loaded.lock:
                if decision.counts:
                    self._loaded.rows[decision.fills] += taken
                else:
                    self._loaded.uncounted.add(decision.fills)
            self._keep_warnings(decision.fills)
        return True

    def _drain(self) -> None:
        while self._cursor.nextset():
            pass

    def _keep_warnings(self, table: Key) -> None:
        """A server in a forgiving mode changes values that do not fit, and only warns."""
        count = self._cursor.warning_count
        if not count:
            return
        found = sessions.rows(self._session, "SHOW WARNINGS LIMIT 5")
        with self._loaded.lock:
            self._loaded.warned += count
            room = max(0, 5 - len(self._loaded.warnings))
            self._loaded.warnings += [f"{'.'.join(table)}: {row['Message']}" for row in found[:room]]

    def _note(self, decision: policy.Decision) -> None:
        made = decision.makes
        if made is None:
            return
        with self._loaded.lock:
            key = (made.schema, made.name)
            if made.kind in ("table", "view", "sequence"):
                self._loaded.relations[key] = made.kind
                self._loaded.engines.pop(key, None)
                self._loaded.rows[key] = 0
                if made.kind == "table" and (engine := _ENGINE.search(_QUOTED.sub(b"''", decision.text))):
                    self._loaded.engines[key] = engine[1].decode().lower()
            else:
                self._loaded.others.add(made)

    def _allow(self, schema: str) -> None:
        with self._loaded.lock:
            if schema in self._allowed:
                return
            with self._connect("root") as admin:
                allow(admin, schema)
            self._allowed.add(schema)


def _failed(statement: Statement, code: int, words: str) -> StepFailed | Unusable:
    where = f"the statement at byte {statement.begin:,} ({policy.shown(statement.text)})"
    if code in _LOST:
        return StepFailed(
            f"the server died at {where}", "its error log is in the bench's folder; is there enough memory?"
        )
    if code in _FULL or "No space left" in words or "errno: 28" in words or "Got error 28" in words:
        return StepFailed(
            f"no disk space was left at {where}: {words}", "free some, or set FTCHAOS_STATE to another disk"
        )
    if code == 1153:
        return Unusable(f"{where} is longer than the server takes", "make the dump with smaller statements")
    return Unusable(
        f"the server does not take {where}: {words}", "the dump is damaged, or from another kind or version of server"
    )
