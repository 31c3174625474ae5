"""The workload's configuration: mistakes are told before anything is written or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftchaos.errors import Invalid
from ftchaos.workload.config import LONGEST_S, Config, load, parse

UPLOADS = {"url": "http://10.77.0.10:8000"}
MYSQL = {"host": "10.77.0.10", "port": 3306, "user": "ftchaos", "secret_file": "/secret"}
REDIS = {"nodes": [["10.77.0.11", 6401]], "shards": {"a": "9", "b": "1"}}
EVENTS = {"url": "http://10.77.0.10:8000", "file": "/heard"}


def config(**values: Any) -> Config:
    return parse({"folder": "ledger", "uploads": UPLOADS, "mysql": MYSQL, **values})


def test_defaults_are_those_of_the_lab() -> None:
    parsed = config()

    assert parsed.uploads is not None
    assert parsed.mysql is not None
    assert (50, 4, 800) == (parsed.uploads.rate, parsed.mysql.writers, parsed.mysql.rate)


def test_writers_are_numbered_from_the_first() -> None:
    parsed = config(first_writer=7, mysql={**MYSQL, "writers": 2})

    assert [("uploads", 7), ("mysql", 8), ("mysql", 9)] == parsed.writers()


def test_writers_to_redis_come_first_so_that_numbers_never_repeat() -> None:
    parsed = config(first_writer=7, mysql={**MYSQL, "writers": 1}, redis=REDIS, events=EVENTS)

    kinds = ["redis-a", "redis-b", "redis-wait-a", "redis-wait-b", "uploads", "mysql"]
    assert list(zip(kinds, range(7, 13), strict=True)) == parsed.writers()
    assert parsed.redis is not None
    assert (("10.77.0.11", 6401),) == parsed.redis.nodes
    assert parsed.events is not None
    assert 5 == parsed.events.users


def test_clients_inside_a_zone_have_kinds_of_their_own() -> None:
    inside = {"nodes": REDIS["nodes"], "shards": {"a": "9"}, "wait": False, "kind": "redis-inside"}
    parsed = config(uploads=None, mysql={**MYSQL, "writers": 1, "kind": "mysql-inside"}, redis=inside)

    assert [("redis-inside-a", 1), ("mysql-inside", 2)] == parsed.writers()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"redis": {**REDIS, "nodes": []}}, "redis.nodes is \\[\\]"),
        ({"redis": {**REDIS, "nodes": [["10.77.0.11"]]}}, "redis.nodes is"),
        ({"redis": {**REDIS, "nodes": [["10.77.0.11", True]]}}, "redis.nodes is"),
        ({"redis": {**REDIS, "nodes": [["10.77.0.11", 0]]}}, "redis.nodes is 0"),
        ({"redis": {**REDIS, "shards": {}}}, "redis.shards is"),
        ({"redis": {**REDIS, "shards": {"a-b": "1"}}}, "redis.shards is"),
        ({"redis": {**REDIS, "shards": {"a": "}"}}}, "a tag that is empty or has a brace"),
        ({"redis": {**REDIS, "wait": 1}}, "'wait' of redis is 1"),
        ({"redis": {**REDIS, "rate": -1}}, "redis.rate is -1"),
        ({"redis": {**REDIS, "timeout_s": 0.1}}, "redis.timeout_s is 0.1"),
        ({"redis": {**REDIS, "kind": "cache"}}, "redis.kind is 'cache'"),
        ({"redis": {**REDIS, "kind": "redis-inside"}}, "'redis-inside-wait-a' is no kind"),
        ({"redis": {**REDIS, "shards": {"a": "1"}, "wait": False, "kind": "redis-Ä"}}, "'redis-Ä-a' is no kind"),
        ({"mysql": {**MYSQL, "kind": "postgres"}}, "mysql.kind is 'postgres'"),
        ({"events": {**EVENTS, "users": 0}}, "events.users is 0"),
        ({"events": {"url": "x"}}, "events lacks 'file'"),
        ({"colour": "red"}, "configuration has no key 'colour'"),
        ({"uploads": {**UPLOADS, "speed": 1}}, "uploads has no key 'speed'"),
        ({"uploads": {}}, "uploads lacks 'url'"),
        ({"mysql": {**MYSQL, "port": "3306"}}, "'port' of mysql is '3306'"),
        ({"mysql": {**MYSQL, "writers": True}}, "'writers' of mysql is True"),
        ({"mysql": {**MYSQL, "writers": 0}}, "mysql.writers is 0"),
        ({"mysql": 5}, "mysql of the workload is no JSON object"),
        ({"uploads": {**UPLOADS, "rate": 0}}, "uploads.rate is 0"),
        ({"uploads": {**UPLOADS, "rate": float("nan")}}, "uploads.rate is nan"),
        ({"uploads": None, "mysql": None}, "no writers"),
        ({"first_writer": 0}, "first_writer is 0"),
        ({"first_writer": 2**24}, "first_writer is 1.67772e"),
        ({"max_duration_s": 0}, "max_duration_s is 0"),
        ({"max_duration_s": LONGEST_S + 1}, "the ledger's clock of 32 bits ends"),
    ],
)
def test_configuration_that_cannot_be_used_is_an_error(values: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        config(**values)

    assert caught.value.hint


@pytest.mark.parametrize("content", [None, b"nonsense", b"[]", b"\xff"])
def test_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)

    with pytest.raises(Invalid):
        load(tmp_path / "config.json")
