"""What is done with each statement of a foreign dump: run, left out because the bench has no use for it, or refused.

This is for honesty, not for safety. Safety is the account that runs the statements, which may do nothing outside of the
dump's own schemas, and the jail around its server. Here a statement that no dump needs is named instead of passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

SYSTEM_SCHEMAS = frozenset({"mysql", "sys", "information_schema", "performance_schema"})
Do = Literal["run", "leave out", "account", "refuse"]

_HEAD_BYTES = 4096
_QUOTED = rb"(?:`(?:[^`]|``)*`|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\")"
_NAME = rb"(?:`(?:[^`]|``)*`|[\w$\x80-\xff]+)"
_CONDITIONAL = re.compile(rb"/\*M?!\d*|\*/")  # the marks of a comment that is SQL to some versions
_COMMENT = re.compile(rb"/\*.*?\*/", re.S)
_WORDS = re.compile(rb"[\s(]*([A-Za-z]+)(?:\s+([A-Za-z]+))?")
_SCHEMA = re.compile(
    rb"\s*(?:USE|(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|SCHEMA)(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+(%b)"
    % _NAME,
    re.I,
)
_OBJECT = re.compile(
    rb"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?(?:ALGORITHM\s*=\s*\w+\s+)?(?:AGGREGATE\s+)?"
    rb"(?:SQL\s+SECURITY\s+\w+\s+)?(TABLE|VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|SEQUENCE|PACKAGE(?:\s+BODY)?)\s+"
    rb"(?:IF\s+NOT\s+EXISTS\s+)?(%b)(?:\s*\.\s*(%b))?" % (_NAME, _NAME),
    re.I,
)
_ROWS = re.compile(
    rb"\s*(INSERT|REPLACE)\s+(?:(?:IGNORE|DELAYED|LOW_PRIORITY|HIGH_PRIORITY)\s+)*(?:INTO\s+)?(%b)(?:\s*\.\s*(%b))?"
    % (_NAME, _NAME),
    re.I,
)
_DEFINER = re.compile(
    rb"^((?:\s|/\*M?!\d*|\*/|CREATE\b|OR\b|REPLACE\b|ALGORITHM\s*=\s*\w+)*)DEFINER\s*=\s*"
    rb"(?:CURRENT_USER(?:\s*\(\s*\))?|(?:%b|[\w.$-]+)(?:\s*@\s*(?:%b|[\w.%%:-]+))?)" % (_QUOTED, _QUOTED),
    re.I,
)
_FOLDER = re.compile(rb"(%b)|\b(?:DATA|INDEX)\s+DIRECTORY\s*=?\s*'(?:[^'\\]|\\.|'')*'" % _QUOTED, re.I | re.S)
_READS_FILE = re.compile(rb"LOAD_FILE\s*\(", re.I)
_STRINGS = re.compile(_QUOTED, re.S)
_SECRET = re.compile(rb"\b(?:IDENTIFIED|PASSWORD)\b", re.I)
_GLOBAL = re.compile(rb"\s*SET\s+(?:@@)?(?:GLOBAL|PERSIST(?:_ONLY)?)[\s.]+(\w+)", re.I)
_SQL_LOG_BIN = re.compile(rb"\s*SET\s+(?:@@)?(?:SESSION[\s.]+)?sql_log_bin\s*=", re.I)
_ACCOUNT = re.compile(
    rb"\s*(?:(?:CREATE|ALTER|DROP|RENAME)\s+(?:OR\s+REPLACE\s+)?(?:USER|ROLE)\b|GRANT\b|REVOKE\b"
    rb"|SET\s+(?:DEFAULT\s+)?ROLE\b|SET\s+PASSWORD\b"
    # How `mariadb-dump --system=users` keeps the role of whoever restores it.
    rb"|SELECT\s+COALESCE\(CURRENT_ROLE\(\),'NONE'\)\s+INTO\s+@current_role\s*$"
    rb"|EXECUTE\s+IMMEDIATE\s+CONCAT\('SET ROLE ', @current_role\)\s*$)",
    re.I,
)
_SEQUENCE = re.compile(rb"\s*(?:DO|SELECT)\s+SETVAL\s*\(\s*%b\s*,[\s\d,-]+\)\s*$" % _NAME, re.I)
_BENIGN_GLOBALS: Mapping[str, str] = {
    "gtid_purged": "the position is taken from it when a log is replayed",
    "gtid_slave_pos": "the position is taken from it when a log is replayed",
    "innodb_stats_auto_recalc": "a setting of the dump program for its own speed",
}
_ANY = frozenset({""})
_THINGS = frozenset(
    {"TABLE", "DATABASE", "SCHEMA", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "PACKAGE"}
)
_RUN: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("USE", "INSERT", "REPLACE", "UNLOCK", "BEGIN", "COMMIT", "SET"), _ANY),
    "LOCK": frozenset({"TABLES"}),
    "START": frozenset({"TRANSACTION"}),
    "ALTER": frozenset({"TABLE", "DATABASE", "SCHEMA", "SEQUENCE"}),
    "DROP": _THINGS,
    "CREATE": frozenset({"DATABASE", "SCHEMA"}),  # what else is created is known by its name
    "ANALYZE": frozenset({"TABLE"}),
}
_LEFT_OUT: Mapping[tuple[str, str], str] = {
    ("FLUSH", "PRIVILEGES"): "no accounts are restored",
    ("FLUSH", "TABLES"): "nothing is open",
    **dict.fromkeys(
        [("CHANGE", "MASTER"), ("CHANGE", "REPLICATION"), *product(("START", "STOP"), ("SLAVE", "REPLICA"))],
        "the bench replicates from nobody",
    ),
}


@dataclass(frozen=True)
class Named:
    """An object that a statement makes.

    Attributes:
        kind: ``table``, ``view``, ``trigger``, ``procedure``, ``function``, ``event``, ``sequence`` or ``package``.
    """

    kind: str
    schema: str
    name: str


@dataclass(frozen=True)
class Decision:
    """What is done with a statement.

    Attributes:
        do: ``account`` is a statement about accounts, which the bench does not restore.
        text: what is run; it may differ from what the dump says.
        why: why it is not run, or how it was changed.
        schema: the schema that it names, as ``USE`` and ``CREATE DATABASE`` do.
        enters: whether what follows is about that schema.
        needs_schema: whether it means nothing without a schema to be in.
        makes: the object that it makes.
        fills: schema and table that it puts rows into.
        counts: whether each of those rows is either new or an error.
    """

    do: Do
    text: bytes
    why: str = ""
    schema: str = ""
    enters: bool = False
    needs_schema: bool = True
    makes: Named | None = None
    fills: tuple[str, str] | None = None
    counts: bool = False


def decide(text: bytes, schema: str) -> Decision:
    """What to do with a statement.

    Args:
        text: the statement.
        schema: the schema that the dump is in.
    """
    head = _CONDITIONAL.sub(b" ", text[:_HEAD_BYTES])
    found = _SCHEMA.match(head)
    if found:
        named, enters = unquoted(found[1]), found[0].split()[0].upper() == b"USE"
        if is_system(named):
            return Decision("leave out", text, "system schemas are not restored", named, enters, needs_schema=False)
        return Decision("run", text, schema=named, enters=enters, needs_schema=False)
    first, second = _kind(head)
    made = _OBJECT.match(_DEFINER.sub(rb"\1", head))
    if _ACCOUNT.match(head):
        return Decision("account", text, "accounts are not restored")
    allowed = _RUN.get(first, frozenset())
    known = bool(made or _SEQUENCE.match(head)) or allowed is _ANY or second in allowed
    if (first, second) == ("SET", "STATEMENT"):
        known = False  # it may run anything
    if is_system(schema) and (known or (first, second) in _LEFT_OUT):
        return Decision("leave out", text, "system schemas are not restored")
    if (first, second) in _LEFT_OUT:
        return Decision("leave out", text, _LEFT_OUT[first, second])
    if not known:
        return Decision("refuse", text, "no dump needs such a statement")
    return _made(text, made, schema) if made else _other(text, head, first, schema)


def is_system(schema: str) -> bool:
    """Whether a schema belongs to the server itself."""
    return schema.lower() in SYSTEM_SCHEMAS


def unquoted(name: bytes) -> str:
    """A name without its quotes."""
    text = name.decode("utf-8", "surrogateescape")
    return text[1:-1].replace("``", "`") if text.startswith("`") else text


def shown(text: bytes) -> str:
    """The begin of a statement, for people; never a password."""
    head = _COMMENT.sub(b" ", _CONDITIONAL.sub(b" ", text[:400]))
    line = " ".join(_SECRET.split(head)[0].decode("utf-8", "replace").split())
    return line if len(line) <= 100 else line[:97] + "..."


def _kind(head: bytes) -> tuple[str, str]:
    words = _WORDS.match(head)
    return (words[1].upper().decode(), (words[2] or b"").upper().decode()) if words else ("", "")


def _made(text: bytes, made: re.Match[bytes], schema: str) -> Decision:
    kind = made[1].split()[0].lower().decode()
    owner, name = (unquoted(made[2]), unquoted(made[3])) if made[3] else (schema, unquoted(made[2]))
    named = Named(kind, owner, name)
    if kind == "function" and re.search(rb"\bSONAME\b", _STRINGS.sub(b"", text[made.end() :]), re.I):
        return Decision("refuse", text, "it loads a library into the server")
    if kind in ("table", "sequence"):
        free = _FOLDER.sub(lambda found: found[1] or b"", text)
        why = "its DATA DIRECTORY was ignored: all files stay on the bench" if free != text else ""
        return Decision("run", free, why, makes=named)
    free = _DEFINER.sub(rb"\1", text, count=1)
    return Decision("run", free, "its DEFINER is an account that is not restored" if free != text else "", makes=named)


def _other(text: bytes, head: bytes, verb: str, schema: str) -> Decision:
    if b"load_file" in text.lower() and _READS_FILE.search(_STRINGS.sub(b"''", text)):
        return Decision("refuse", text, "it reads a file of the server")
    if verb == "SET":
        if found := _GLOBAL.match(head):
            name = found[1].decode().lower()
            if name in _BENIGN_GLOBALS:
                return Decision("leave out", text, _BENIGN_GLOBALS[name])
            return Decision("refuse", text, "it changes a setting of the whole server")
        if _SQL_LOG_BIN.match(head):
            return Decision("leave out", text, "the bench writes no binary log")
    rows = _ROWS.match(head)
    if rows is None:
        return Decision("run", text, needs_schema=verb not in ("SET", "START", "BEGIN", "COMMIT", "UNLOCK"))
    fills = (unquoted(rows[2]), unquoted(rows[3])) if rows[3] else (schema, unquoted(rows[2]))
    return Decision("run", text, fills=fills, counts=verb == "INSERT" and b"IGNORE" not in rows[0].upper())
