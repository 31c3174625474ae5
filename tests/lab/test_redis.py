"""The lab's real Redis servers: whole as they were written down, and whole again after each loses its master."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_stack import Stack, wait_until

from ftchaos.platforms.lab import redis
from ftchaos.platforms.lab.layout import QUEUE_REDIS_PORT, SENTINEL_PORT, ZONES


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("lab"))
    try:
        stack.begin(redis.prepare(stack.layout, stack.folder))
        redis.wait_ready(stack.layout)
        yield stack
    finally:
        stack.end()


def ask(stack: Stack, name: str, command: str) -> str:
    spec = stack.specs[name]
    assert spec.port is not None
    return redis.ask(stack.layout.address(spec.place), spec.port, command)


def test_redis_is_whole_as_it_was_written_down(stack: Stack) -> None:
    # Redis itself makes a cluster's master wait 2 s; a handshake by hand would double that.
    for node in redis.cluster_nodes(stack.layout):
        asked = set(re.findall(r"cmdstat_cluster\|(\w+)", ask(stack, node.name, "INFO commandstats")))
        assert asked <= {"info", "nodes"}
        assert asked


def test_no_replica_stands_in_its_masters_zone(stack: Stack) -> None:
    lines = [line.split() for line in ask(stack, "redis-cluster-a1", "CLUSTER NODES").splitlines() if line]
    zone = {line[0]: line[1].split(":")[0] for line in lines}

    pairs = [(zone[line[0]], zone[line[3]]) for line in lines if "slave" in line[2]]
    assert len(pairs) == 3
    assert all(replica != master for replica, master in pairs)


def test_the_queue_refuses_rather_than_forgets(stack: Stack) -> None:
    assert "noeviction" in ask(stack, "redis-queue-a", "CONFIG GET maxmemory-policy")
    assert "aof_enabled:1" in ask(stack, "redis-queue-b", "INFO persistence")


def test_a_dead_sentinel_is_missed_and_comes_back(stack: Stack) -> None:
    stack.kill("sentinel-c")
    assert any("sentinel-c" in fact for fact in redis.unready(stack.layout))

    stack.begin_again("sentinel-c")
    redis.wait_ready(stack.layout)


def test_a_dead_cluster_master_is_replaced_and_returns_as_a_replica(stack: Stack) -> None:
    assert ask(stack, "redis-cluster-a1", "SET f kept") == "+OK\r\n"  # slot 3168, of the first master
    assert ask(stack, "redis-cluster-a1", "WAIT 1 1000") == ":1\r\n"
    stack.kill("redis-cluster-a1")

    wait_until(lambda: ask(stack, "redis-cluster-b2", "SET g new").startswith(("+OK", "-MOVED")), 1, "it answers")
    wait_until(lambda: "role:master" in ask(stack, "redis-cluster-b2", "INFO replication"), 8, "the replica leads")
    wait_until(lambda: "kept" in ask(stack, "redis-cluster-b2", "GET f"), 5, "its slots are served")
    stack.begin_again("redis-cluster-a1")
    wait_until(lambda: "master_link_status:up" in ask(stack, "redis-cluster-a1", "INFO replication"), 5, "it follows")


def test_a_dead_queue_master_is_replaced(stack: Stack) -> None:
    assert ask(stack, "redis-queue-a", "SET job 1") == "+OK\r\n"
    assert ask(stack, "redis-queue-a", "WAIT 2 1000") == ":2\r\n"
    stack.kill("redis-queue-a")

    dead = stack.layout.address(ZONES[0])
    sentinel = stack.layout.address(ZONES[1])
    query = f"SENTINEL GET-MASTER-ADDR-BY-NAME {redis.QUEUE_MASTER}"
    wait_until(lambda: dead not in redis.ask(sentinel, SENTINEL_PORT, query), 6, "the Sentinels name another master")
    master = next(line for line in redis.ask(sentinel, SENTINEL_PORT, query).split() if line.startswith("127."))
    wait_until(lambda: "+OK" in redis.ask(master, QUEUE_REDIS_PORT, "SET job 2"), 3, "it takes writes")


def test_prepare_writes_nothing_outside_the_lab(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    specs = redis.prepare(stack.layout, tmp_path)

    assert len(specs) == 12
    assert {Path(spec.cwd).parent.parent for spec in specs} == {tmp_path}
