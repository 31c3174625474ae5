"""What the workload is to do: a JSON file, written by whoever begins it.

::

    {"folder": "/run/ledger", "first_writer": 1, "max_duration_s": 7200,
     "uploads": {"url": "http://10.77.0.10:8000", "rate": 50, "timeout_s": 2, "owners": 40},
     "mysql": {"host": "10.77.0.10", "port": 3306, "user": "ftchaos", "secret_file": "/run/secret",
               "writers": 4, "rate": 800, "timeout_s": 2},
     "redis": {"nodes": [["10.77.0.11", 6401]], "shards": {"a": "9", "b": "1", "c": "0"}, "rate": 100},
     "events": {"url": "http://10.77.0.10:8000", "users": 5, "file": "/run/events.jsonl"}}

Without ``uploads``, ``mysql`` or ``redis`` that kind of writer does not exist, without ``events`` nobody listens.
Secrets stand in files, never in here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from ftchaos.errors import Invalid
from ftchaos.ledger import KIND_BYTES, MAX_DURATION_S, MAX_WRITER
from ftchaos.workload.cluster import lies_in_redis
from ftchaos.workload.link import Manner, manner

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
        kind: what its writers are called in the ledger: ``mysql``, or ``mysql-`` and another word.
        ca: a file of the authority whose certificate the server must show; empty for a connection in the clear.
    """

    host: str
    port: int
    user: str
    secret_file: str
    writers: int = 4
    rate: float = 800
    timeout_s: float = 2
    database: str = "ftchaos"
    kind: str = "mysql"
    ca: str = ""


@dataclass(frozen=True)
class Redis:
    """Keys set in a Redis Cluster, by one writer for each shard and way, one at a time.

    Attributes:
        nodes: host and port of its nodes.
        shards: for each shard's name a hash tag whose slot lies in it; see :func:`ftchaos.workload.cluster.tag`.
        rate: keys a second of each writer; 0 for as many as it can.
        timeout_s: when an answer is given up.
        wait: whether each shard gets a second writer, which waits for a replica after each SET.
        wait_timeout_s: how long that one waits; without a replica by then the write counts as indeterminate.
        kind: what its writers are called in the ledger, before the shard: ``redis`` makes ``redis-a`` and
            ``redis-wait-a``.
        follow: whether nodes that these name are used too; else clients inside a zone never leave it.
        tls, ca, user, secret_file, server_name, reach_s, clustered: how they want to be spoken to; see
            :func:`ftchaos.workload.link.manner`.
    """

    nodes: tuple[tuple[str, int], ...]
    shards: Mapping[str, str]
    rate: float = 100
    timeout_s: float = 0.5
    wait: bool = True
    wait_timeout_s: float = 0.1
    kind: str = "redis"
    follow: bool = False
    tls: bool = False
    ca: str = ""
    user: str = ""
    secret_file: str = ""
    server_name: str = ""
    reach_s: float = 0.0
    clustered: bool = True

    def manner(self) -> Manner:
        """How its nodes want to be spoken to."""
        return manner(self.tls, self.ca, self.user, self.secret_file, self.server_name, self.reach_s, self.clustered)

    def plain_kinds(self) -> list[str]:
        """The kinds of the writers that only set, by shard."""
        return [f"{self.kind}-{shard}" for shard in self.shards]

    def waiting_kinds(self) -> list[str]:
        """The kinds of the writers that wait for a replica, by shard."""
        return [f"{self.kind}-wait-{shard}" for shard in self.shards] if self.wait else []

    def kinds(self) -> list[str]:
        return [*self.plain_kinds(), *self.waiting_kinds()]


@dataclass(frozen=True)
class Events:
    """Subscribers who write down what they hear; see :mod:`ftchaos.workload.events`.

    Attributes:
        url: the public address.
        file: where they write; it is appended to.
        users: there is one for each user from 1 to this.
        linger_s: how long they go on listening after they were told to end, for the last events to arrive.
    """

    url: str
    file: str
    users: int = 5
    linger_s: float = 1.0


@dataclass(frozen=True)
class Config:
    """One workload.

    Attributes:
        folder: the new ledger's.
        uploads, mysql, redis: its kinds of writers.
        events: its subscribers.
        first_writer: number of the first; see :func:`ftchaos.survivors.next_writer`.
        max_duration_s: it ends by itself then.
        parent_pid: who begins it, as seen where that runs; where it is not the parent any more, nothing begins.
    """

    folder: str
    uploads: Uploads | None = None
    mysql: Mysql | None = None
    redis: Redis | None = None
    events: Events | None = None
    first_writer: int = 1
    max_duration_s: float = LONGEST_S
    parent_pid: int | None = None

    def writers(self) -> list[tuple[str, int]]:
        """Kind and number of every writer.

        Those of Redis come first: the next run's numbers begin after the last one that left a row in the database.
        """
        kinds = self.redis.kinds() if self.redis else []
        kinds += ["uploads"] * (self.uploads is not None)
        kinds += [self.mysql.kind] * self.mysql.writers if self.mysql else []
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
    parts: dict[str, Any] = {name: known.pop(name, None) for name in _PARTS}
    parts |= {name: _made(_PARTS[name], name, values) for name, values in parts.items() if values is not None}
    if parts["redis"]:
        parts["redis"] = _with_nodes(parts["redis"])
    config = replace(_made(Config, "configuration", known), **parts)
    if not config.writers():
        raise Invalid("the workload's configuration has no writers", HINT)
    _within("first_writer", config.first_writer, 1, MAX_WRITER - len(config.writers()))
    if config.max_duration_s > LONGEST_S:
        raise Invalid(
            f"max_duration_s is {config.max_duration_s:g}, but the ledger's clock of 32 bits ends after {LONGEST_S} s",
            "cut the run into several",
        )
    _within("max_duration_s", config.max_duration_s, 0.001, LONGEST_S)
    _ensure_parts(config)
    for kind, _ in config.writers():
        if len(kind.encode()) > KIND_BYTES or not _KIND.fullmatch(kind):
            raise Invalid(f"{kind!r} is no kind of writer for a ledger", f"use at most {KIND_BYTES} of a-z, 0-9 and -")
    return config


def _ensure_parts(config: Config) -> None:
    if config.uploads:
        _within("uploads.rate", config.uploads.rate, 0.01, 10_000)
        _within("uploads.timeout_s", config.uploads.timeout_s, 0.01, 600)
        _within("uploads.owners", config.uploads.owners, 1, 2**31)
    if config.mysql:
        _within("mysql.writers", config.mysql.writers, 1, 1000)
        _within("mysql.rate", config.mysql.rate, 0, 1_000_000)
        _within("mysql.timeout_s", config.mysql.timeout_s, 0.01, 600)
        _within("mysql.port", config.mysql.port, 1, 65535)
        if config.mysql.kind.partition("-")[0] != "mysql":
            raise Invalid(f"mysql.kind is {config.mysql.kind!r}", "begin it with mysql, as its writes lie there")
    if config.redis:
        _within("redis.rate", config.redis.rate, 0, 1_000_000)
        _within("redis.wait_timeout_s", config.redis.wait_timeout_s, 0.001, 60)
        _within("redis.reach_s", config.redis.reach_s, 0, 60)
        # A WAIT that ends without a replica must have been answered by then.
        _within("redis.timeout_s", config.redis.timeout_s, config.redis.wait_timeout_s + 0.1, 600)
        if not lies_in_redis(config.redis.kind):
            raise Invalid(f"redis.kind is {config.redis.kind!r}", "begin it with redis, as its writes lie there")
    if config.events:
        _within("events.users", config.events.users, 1, 10_000)
        _within("events.linger_s", config.events.linger_s, 0, 60)


def _with_nodes(redis: Redis) -> Redis:
    """The same, its nodes and shards checked, which a type's name cannot tell."""
    return replace(redis, nodes=nodes(redis.nodes, "redis.nodes"), shards=shards(redis.shards, "redis.shards"))


def nodes(value: Any, where: str) -> tuple[tuple[str, int], ...]:
    """Addresses from JSON: pairs of host and port, at least one.

    Raises:
        Invalid: they are not.
    """
    well_formed = isinstance(value, list) and value and all(isinstance(one, list) and len(one) == 2 for one in value)
    if not well_formed or not all(isinstance(host, str) and type(port) is int for host, port in value):
        raise Invalid(f"{where} is {value!r}, not a list of [host, port]", HINT)
    for _, port in value:
        _within(where, port, 1, 65535)
    return tuple((host, port) for host, port in value)


def shards(value: Any, where: str) -> dict[str, str]:
    """Hash tags by the names of shards, from JSON, at least one.

    Raises:
        Invalid: they are not.
    """
    well_formed = isinstance(value, dict) and value and all(isinstance(one, str) for one in value.values())
    if not well_formed or any(not _SHARD.fullmatch(one) for one in value):
        raise Invalid(f"{where} is {value!r}, not names of shards with a tag each", HINT)
    if not all(_TAG.fullmatch(one) for one in value.values()):
        raise Invalid(f"{where} has a tag that is empty or has a brace: {value!r}", HINT)
    return dict(value)


_PARTS: dict[str, Any] = {"uploads": Uploads, "mysql": Mysql, "redis": Redis, "events": Events}
_KIND = re.compile("[a-z0-9-]+")
_SHARD = re.compile("[a-z0-9]+")
_TAG = re.compile(r"[^{}\s]+")
_T = TypeVar("_T")
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "int | None": (int, type(None)), "bool": (bool,),
}  # fmt: skip


def _made(kind: type[_T], where: str, data: Any) -> _T:
    values = _mapping(data, where)
    allowed = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - allowed.keys()):
        raise Invalid(f"{where} has no key {unknown[0]!r}", HINT)
    for name, one in allowed.items():
        wanted = _TYPES.get(str(one.type))
        if name not in values and one.default is MISSING:
            raise Invalid(f"{where} lacks {name!r}", HINT)
        if name in values and wanted and not _is(values[name], wanted):
            raise Invalid(f"{name!r} of {where} is {values[name]!r}, not of type {one.type}", HINT)
    return kind(**values)


def _is(value: Any, wanted: tuple[type, ...]) -> bool:
    """Whether a value is of a type; Python would let true pass for 1."""
    return isinstance(value, wanted) and (isinstance(value, bool) == (wanted == (bool,)))


def _mapping(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise Invalid(f"{where} of the workload is no JSON object", HINT)
    return data


def _within(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise Invalid(f"{name} is {value:g}, outside {lowest:g} to {highest:g}", HINT)
