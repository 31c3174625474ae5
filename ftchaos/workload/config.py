"""What the workload is to do: a JSON file, written by whoever begins it.

::

    {"folder": "/run/ledger", "first_writer": 1, "max_duration_s": 7200,
     "uploads": {"url": "http://10.77.0.10:8000", "rate": 50, "timeout_s": 2, "owners": 40},
     "mysql": {"host": "10.77.0.10", "port": 3306, "user": "ftchaos", "secret_file": "/run/secret",
               "writers": 4, "rate": 800, "timeout_s": 2}}

Without ``uploads`` or ``mysql`` that kind of writer does not exist. Secrets stand in files, never in here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from ftchaos.errors import Invalid
from ftchaos.ledger import MAX_DURATION_S, MAX_WRITER

HINT = "see ftchaos/workload/config.py for what it may say"
# The ledger's clock must last until the last write is answered.
LONGEST_S = int(MAX_DURATION_S) - 600


@dataclass(frozen=True)
class Uploads:
    """Uploads over HTTP, open loop: sent at a steady rate whether or not the service answers.

    Attributes:
        url: the public address, for example ``http://10.77.0.10:8000``.
        rate: uploads a second; their distance is the resolution of what is seen.
        timeout_s: when an answer is given up.
        owners: uploads belong to users 1 to this.
    """

    url: str
    rate: float = 50
    timeout_s: float = 2
    owners: int = 1


@dataclass(frozen=True)
class Mysql:
    """Inserts into ``ftchaos.ledger_writes``, each writer on a connection of its own, one at a time.

    Attributes:
        host, port: the address that leads to the writer of the moment.
        user: an account that may insert.
        secret_file: a file with its password.
        writers: how many at once.
        rate: inserts a second of all writers together; 0 for as many as they can.
        timeout_s: when an answer is given up.
        database: the schema of the table.
    """

    host: str
    port: int
    user: str
    secret_file: str
    writers: int = 4
    rate: float = 800
    timeout_s: float = 2
    database: str = "ftchaos"


@dataclass(frozen=True)
class Config:
    """One workload.

    Attributes:
        folder: the new ledger's.
        uploads, mysql: its kinds of writers.
        first_writer: number of the first; see :func:`ftchaos.survivors.next_writer`.
        max_duration_s: it ends by itself then.
        parent_pid: who begins it, as seen where that runs; where it is not the parent any more, nothing begins.
    """

    folder: str
    uploads: Uploads | None = None
    mysql: Mysql | None = None
    first_writer: int = 1
    max_duration_s: float = LONGEST_S
    parent_pid: int | None = None

    def writers(self) -> list[tuple[str, int]]:
        """Kind and number of every writer."""
        kinds = ["uploads"] * (self.uploads is not None) + ["mysql"] * (self.mysql.writers if self.mysql else 0)
        return [(kind, self.first_writer + index) for index, kind in enumerate(kinds)]


def load(path: Path) -> Config:
    """The configuration in a file.

    Raises:
        Invalid: it cannot be read, or says what cannot be done.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(f"the workload's configuration {path} cannot be read: {error}", HINT) from error
    return parse(data)


def parse(data: Any) -> Config:
    """The configuration from JSON values.

    Raises:
        Invalid: a key is missing or unknown, or a value cannot be used.
    """
    known = dict(_mapping(data, "configuration"))
    uploads, mysql = known.pop("uploads", None), known.pop("mysql", None)
    config = replace(
        _made(Config, "configuration", known),
        uploads=None if uploads is None else _made(Uploads, "uploads", uploads),
        mysql=None if mysql is None else _made(Mysql, "mysql", mysql),
    )
    if not config.writers():
        raise Invalid("the workload's configuration has no writers", HINT)
    _within("first_writer", config.first_writer, 1, MAX_WRITER - len(config.writers()))
    if config.max_duration_s > LONGEST_S:
        raise Invalid(
            f"max_duration_s is {config.max_duration_s:g}, but the ledger's clock of 32 bits ends after {LONGEST_S} s",
            "cut the run into several",
        )
    _within("max_duration_s", config.max_duration_s, 0.001, LONGEST_S)
    if config.uploads:
        _within("uploads.rate", config.uploads.rate, 0.01, 10_000)
        _within("uploads.timeout_s", config.uploads.timeout_s, 0.01, 600)
        _within("uploads.owners", config.uploads.owners, 1, 2**31)
    if config.mysql:
        _within("mysql.writers", config.mysql.writers, 1, 1000)
        _within("mysql.rate", config.mysql.rate, 0, 1_000_000)
        _within("mysql.timeout_s", config.mysql.timeout_s, 0.01, 600)
        _within("mysql.port", config.mysql.port, 1, 65535)
    return config


_T = TypeVar("_T", Config, Uploads, Mysql)
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "int | None": (int, type(None)),
}  # fmt: skip


def _made(kind: type[_T], where: str, data: Any) -> _T:
    values = _mapping(data, where)
    allowed = {one.name: one for one in fields(kind)}
    if unknown := sorted(values.keys() - allowed.keys()):
        raise Invalid(f"{where} has no key {unknown[0]!r}", HINT)
    for name, one in allowed.items():
        wanted = _TYPES.get(str(one.type))
        if name not in values and one.default is MISSING:
            raise Invalid(f"{where} lacks {name!r}", HINT)
        if name in values and wanted and (isinstance(values[name], bool) or not isinstance(values[name], wanted)):
            raise Invalid(f"{name!r} of {where} is {values[name]!r}, not of type {one.type}", HINT)
    return kind(**values)


def _mapping(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise Invalid(f"{where} of the workload is no JSON object", HINT)
    return data


def _within(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise Invalid(f"{name} is {value:g}, outside {lowest:g} to {highest:g}", HINT)
