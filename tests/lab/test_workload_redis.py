"""Writers to a real Redis Cluster whose masters die, hang and forget: what they claim, and what is found of it."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from app_stack import Stack
from redis_clients import SHARDS, acknowledged, nodes_of, read, sent, served
from trio import until
from writers import Workload

from ftchaos.audit import Audit, Surviving, classify, self_test
from ftchaos.ledger import Ledger, Outcome, WriterLedger, content, write_id
from ftchaos.platforms.lab import redis
from ftchaos.recovery import operations, outages
from ftchaos.workload import book, cluster, fate
from ftchaos.workload.link import Link, Lost, NotSent
from ftchaos.workload.resp import command

A, F, I = Outcome.ACKNOWLEDGED, Outcome.FAILED, Outcome.INDETERMINATE  # noqa: E741


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("lab"))
    try:
        stack.begin(redis.prepare(stack.layout, stack.folder))
        redis.wait_ready(stack.layout)
        yield stack
    finally:
        stack.end()


@pytest.fixture
def stack(running: Stack) -> Stack:
    """The cluster, whole, with each shard at its first master."""
    for shard in "abc":
        master_of(running, shard)
    return running


def master_of(stack: Stack, shard: str) -> str:
    """The name of a shard's master of the moment, when its replica follows it."""
    zone = "abc"[("abc".index(shard) + 1) % 3]

    def found() -> str:
        pair = [f"redis-cluster-{shard}1", f"redis-cluster-{zone}2"]
        masters = [name for name in pair if "connected_slaves:1" in ask(stack, name, "INFO replication")]
        return masters[0] if len(masters) == 1 else ""

    return str(until(found, 15, f"shard {shard} is whole"))


def replica_of(stack: Stack, shard: str) -> str:
    zone = "abc"[("abc".index(shard) + 1) % 3]
    pair = {f"redis-cluster-{shard}1", f"redis-cluster-{zone}2"}
    return (pair - {master_of(stack, shard)}).pop()


def address(stack: Stack, name: str) -> tuple[str, int]:
    spec = stack.specs[name]
    assert spec.port is not None
    return stack.layout.address(spec.place), spec.port


def ask(stack: Stack, name: str, words: str) -> str:
    return redis.ask(*address(stack, name), words)


def redis_part(stack: Stack, **options: Any) -> dict[str, Any]:
    return {"nodes": nodes_of(stack.layout), "shards": SHARDS, **options}


def audit_of(stack: Stack, folder: Path, ledger: Ledger, fault_at: float | None = None) -> Audit:
    found = read(stack.layout, folder)
    assert self_test(ledger, found) == ""
    return classify(ledger, found, fault_at)


def there(stack: Stack, folder: Path, writer: WriterLedger) -> set[int]:
    """Which of a writer's keys a master has, asked one by one and apart from what reads survivors."""
    shard = writer.kind[-1]
    prefix = cluster.key_prefix(SHARDS[shard], book.identity(folder / "ledger"))
    (host, port) = address(stack, master_of(stack, shard))
    lines = "".join(f"EXISTS {prefix}{write_id(writer.writer, seq)}\n" for seq in range(1, writer.attempted + 1))
    said = subprocess.run(
        ["redis-cli", "-h", host, "-p", str(port)], input=lines, capture_output=True, text=True, check=True
    )
    return {seq for seq, line in enumerate(said.stdout.split(), 1) if line == "1"}


# What is written is there -------------------------------------------------------------------------------------


def test_every_acknowledged_key_is_there_and_gone_when_forgotten(stack: Stack, tmp_path: Path) -> None:
    workload = Workload(tmp_path, redis=redis_part(stack))
    workload.wait_attempted(600)
    ledger = workload.end()

    audit = audit_of(stack, tmp_path, ledger)
    assert [f"redis-{way}{shard}" for way in ("", "wait-") for shard in "abc"] == list(ledger.kinds())
    assert list(range(1, 7)) == [writer.writer for writer in ledger.writers]
    assert audit.total.attempted == audit.total.ok
    assert set(ledger.kinds()) == {line["kind"] for line in workload.progress() if line.get("ended")}
    read(stack.layout, tmp_path, forget=True)
    assert 0 == classify(ledger, read(stack.layout, tmp_path), None).total.ok


def test_writers_keep_their_rate(stack: Stack, tmp_path: Path) -> None:
    workload = Workload(tmp_path, redis=redis_part(stack, rate=100))
    workload.wait_attempted(900)

    for writer in workload.end().writers:
        sent = [writer.sent_at(seq) for seq in range(20, writer.attempted + 1)]
        assert 0.01 == pytest.approx((sent[-1] - sent[0]) / (len(sent) - 1), rel=0.1)


def test_key_that_was_changed_is_corrupt_and_one_more_is_a_stranger(stack: Stack, tmp_path: Path) -> None:
    workload = Workload(tmp_path, redis=redis_part(stack, wait=False))
    workload.wait_attempted(60)
    ledger = workload.end()
    (writer,) = ledger.of("redis-a")
    prefix = cluster.key_prefix(SHARDS["a"], book.identity(tmp_path / "ledger"))
    master = master_of(stack, "a")
    for words in (
        f"SET {prefix}{write_id(writer.writer, 3)} {content(write_id(writer.writer, 4))}",
        f"DEL {prefix}{write_id(writer.writer, 5)}",
        f"SET {prefix}{write_id(writer.writer, writer.attempted + 1)} x",
    ):
        assert ask(stack, master, words).startswith(("+OK", ":1"))

    found = next(one for one in read(stack.layout, tmp_path) if one.kind == "redis-a")

    assert Surviving(((1, 4), (6, writer.attempted)), ((3, 3),)) == found.writers[writer.writer]
    assert 1 == found.strangers


# What happens to a master -------------------------------------------------------------------------------------


def test_killed_master_is_an_outage_of_its_shard_alone_and_costs_nothing_that_was_waited_for(
    stack: Stack, tmp_path: Path
) -> None:
    master = master_of(stack, "a")
    workload = Workload(tmp_path, redis=redis_part(stack))
    workload.wait_attempted(600)
    stack.kill(master)
    killed_at = time.monotonic()
    until(lambda: any(end > killed_at for end in served(tmp_path, "redis-a")), 12, "the shard serves again")
    workload.wait_attempted(workload.attempted() + 300)
    stack.begin_again(master)
    begun_at = time.monotonic()
    until(lambda: any(end > begun_at for end in served(tmp_path, "redis-wait-a")), 12, "a replica confirms again")
    workload.wait_attempted(workload.attempted() + 300)
    ledger = workload.end()

    audit = audit_of(stack, tmp_path, ledger, killed_at)
    assert 0 == sum(audit.stores[f"redis-wait-{shard}"].classes.lost for shard in "abc")
    assert (0, 0) == (audit.total.unexpected, audit.total.corrupt)
    for kind in ("redis-a", "redis-wait-a"):
        (writer,) = ledger.of(kind)
        (outage, *_) = [one for one in outages(operations([writer])) if one.duration_s > 1]
        assert pytest.approx(killed_at, abs=0.3) == outage.began_at
        tries = [at for at in sent(writer) if killed_at + 0.1 < at < killed_at + 1.5]
        assert 0.02 == pytest.approx(statistics.median(after - one for one, after in pairwise(tries)), abs=0.005)
        assert 0.5 > max(after - one for one, after in pairwise(tries))
    for kind in ("redis-b", "redis-c", "redis-wait-b"):
        assert not [one for one in outages(operations(ledger.of(kind))) if one.duration_s > 0.5], kind
    # With the promoted master alone no write can be confirmed: only the plain writer sees it serve.
    assert writer.count(I) > 1


def test_stale_replica_that_takes_over_loses_what_nobody_waited_for_and_exactly_that_is_found(
    stack: Stack, tmp_path: Path
) -> None:
    master, replica = master_of(stack, "a"), replica_of(stack, "a")
    workload = Workload(tmp_path, redis=redis_part(stack))
    workload.wait_attempted(600)
    # The replica cannot log in again, so its link stays down while the master goes on.
    assert ask(stack, replica, "CONFIG SET masterauth wrong").startswith("+OK")
    assert ask(stack, master, "CLIENT KILL TYPE replica").startswith(":")
    cut_at = time.monotonic()
    until(lambda: time.monotonic() > cut_at + 0.5)
    stack.kill(master)
    killed_at = time.monotonic()
    until(lambda: any(end > killed_at for end in served(tmp_path, "redis-a")), 12, "the shard serves again")
    assert ask(stack, replica, "CONFIG SET masterauth ''").startswith("+OK")
    stack.begin_again(master)
    ledger = workload.end()

    audit = audit_of(stack, tmp_path, ledger, killed_at)
    (plain,), (waited,) = ledger.of("redis-a"), ledger.of("redis-wait-a")
    lost = {seq for one in audit.lost_intervals for seq in range(one.first, one.last + 1)}
    assert {"redis-a"} == {one.kind for one in audit.lost_intervals}
    assert acknowledged(plain) - there(stack, tmp_path, plain) == lost
    assert len(lost) > 20
    assert all(cut_at - 0.3 < plain.known_at(seq) < killed_at + 0.1 for seq in lost)
    assert acknowledged(waited) <= there(stack, tmp_path, waited)
    assert audit.data_loss_s == pytest.approx(0.5, abs=0.3)


def test_master_that_hangs_is_left_and_what_it_was_sent_is_indeterminate(stack: Stack, tmp_path: Path) -> None:
    master = master_of(stack, "b")
    workload = Workload(tmp_path, redis=redis_part(stack, timeout_s=0.4))
    workload.wait_attempted(600)
    stack.pause(master)
    paused_at = time.monotonic()
    try:
        until(lambda: any(end > paused_at + 1 for end in served(tmp_path, "redis-b")), 15, "another one serves")
    finally:
        stack.resume(master)
    workload.wait_attempted(workload.attempted() + 300)
    ledger = workload.end()

    audit = audit_of(stack, tmp_path, ledger, paused_at)
    assert (0, 0) == (audit.stores["redis-wait-b"].classes.lost, audit.total.unexpected)
    (writer,) = ledger.of("redis-b")
    hung = [seq for seq in range(1, writer.attempted + 1) if writer.outcome(seq) is I]
    assert 0 < len(hung) <= 3
    assert 0.4 == pytest.approx(writer.known_at(hung[0]) - writer.sent_at(hung[0]), abs=0.2)


def test_client_inside_stays_with_its_own_nodes(stack: Stack, tmp_path: Path) -> None:
    master = master_of(stack, "c")
    part = {"nodes": [list(address(stack, master))], "shards": {"c": SHARDS["c"]}, "wait": False}
    workload = Workload(tmp_path, redis={**part, "kind": "redis-inside"})
    workload.wait_attempted(50)
    stack.kill(master)
    until(lambda: "role:master" in ask(stack, replica_name(master), "INFO replication"), 12, "another one leads")
    stack.begin_again(master)
    until(lambda: "role:slave" in ask(stack, master, "INFO replication"), 12, "it follows")
    begun_at = time.monotonic()
    until(lambda: time.monotonic() > begun_at + 0.3)
    (writer,) = workload.end().writers

    assert "redis-inside-c" == writer.kind
    after = [writer.outcome(seq) for seq in range(1, writer.attempted + 1) if writer.sent_at(seq) > begun_at]
    assert {F} == set(after)
    master_of(stack, "c")


def replica_name(master: str) -> str:
    return {"redis-cluster-c1": "redis-cluster-a2", "redis-cluster-a2": "redis-cluster-c1"}[master]


# What an answer says ------------------------------------------------------------------------------------------


def tell(stack: Stack, name: str, *requests: bytes) -> list[Any]:
    async def asked() -> list[Any]:
        link = await Link.to(address(stack, name), 1)
        try:
            return await link.ask(b"".join(requests), len(requests), 2)
        finally:
            link.close()

    return asyncio.run(asked())


def key(shard: str) -> str:
    return f"probe{{{SHARDS[shard]}}}"


REFUSALS: list[tuple[str, Callable[[Stack], str], tuple[str, str]]] = [
    ("MOVED", lambda stack: replica_of(stack, "a"), ("", "")),
    ("MOVED", lambda stack: master_of(stack, "b"), ("", "")),
    ("READONLY", lambda stack: "redis-queue-b", ("", "")),
    ("OOM", lambda stack: "redis-queue-a", ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 256mb")),
    (
        "NOREPLICAS",
        lambda stack: master_of(stack, "a"),
        ("CONFIG SET min-replicas-to-write 3", "CONFIG SET min-replicas-to-write 0"),
    ),
    (
        "CLUSTERDOWN",
        lambda stack: master_of(stack, "a"),
        (f"CLUSTER DELSLOTS {cluster.slot_of(key('a'))}", f"CLUSTER ADDSLOTS {cluster.slot_of(key('a'))}"),
    ),
]


@pytest.mark.parametrize(("kind", "where", "switch"), REFUSALS, ids=[f"{one[0]}-{i}" for i, one in enumerate(REFUSALS)])
def test_refused_key_has_failed_and_is_not_there(
    stack: Stack, kind: str, where: Callable[[Stack], str], switch: tuple[str, str]
) -> None:
    name = where(stack)
    on, off = switch
    assert not on or ask(stack, name, on).startswith("+OK")
    try:
        replies = tell(stack, name, command("SET", key("a"), kind), command("WAIT", 1, 100))
    finally:
        assert not off or ask(stack, name, off).startswith("+OK")

    assert kind == replies[0].kind
    assert F is fate.of_replies(replies[:1]) is fate.of_replies(replies)
    assert kind not in ask(stack, master_of(stack, "a"), f"GET {key('a')}")


def test_key_that_a_replica_has_is_acknowledged_and_one_that_none_has_is_not(stack: Stack) -> None:
    master, replica = master_of(stack, "a"), replica_of(stack, "a")

    held = tell(stack, master, command("SET", key("a"), 1), command("WAIT", 1, 500))
    asked_too_much = tell(stack, master, command("SET", key("a"), 2), command("WAIT", 2, 100))

    assert (A, A) == (fate.of_replies(held), fate.of_replies(held[:1]))
    assert ["OK", 1] == asked_too_much
    assert ask(stack, replica, "CONFIG SET masterauth wrong").startswith("+OK")
    assert ask(stack, master, "CLIENT KILL TYPE replica").startswith(":")
    try:
        alone = tell(stack, master, command("SET", key("a"), 3), command("WAIT", 1, 100))
    finally:
        assert ask(stack, replica, "CONFIG SET masterauth ''").startswith("+OK")
    assert ["OK", 0] == alone
    assert (I, A) == (fate.of_replies(alone), fate.of_replies(alone[:1]))


def test_request_that_never_left_is_told_from_one_that_may_have(stack: Stack) -> None:
    async def both() -> None:
        link = await Link.to(address(stack, "redis-queue-a"), 1)
        with pytest.raises(Lost):
            await link.ask(command("BLPOP", "nothing", 10), 1, 0.1)
        with pytest.raises(NotSent):
            await link.ask(command("PING"), 1, 1)

    asyncio.run(both())


# Reading when it cannot be done -------------------------------------------------------------------------------


def test_survivors_are_awaited_until_the_cluster_is_whole(stack: Stack, tmp_path: Path) -> None:
    master = master_of(stack, "a")
    workload = Workload(tmp_path, redis=redis_part(stack))
    workload.wait_attempted(300)
    ledger = workload.end()
    stack.kill(master)
    try:
        audit = audit_of(stack, tmp_path, ledger)
    finally:
        stack.begin_again(master)

    assert 0 == audit.stores["redis-wait-a"].classes.lost
    assert 0 == audit.stores["redis-b"].classes.lost
    master_of(stack, "a")


def test_survivors_of_a_cluster_that_does_not_become_whole_are_none(stack: Stack, tmp_path: Path) -> None:
    workload = Workload(tmp_path, redis=redis_part(stack))
    workload.wait_attempted(60)
    workload.end()
    names = [f"redis-cluster-{zone}{number}" for zone in "abc" for number in (1, 2)]
    for name in names:
        stack.pause(name)
    try:
        with pytest.raises(subprocess.CalledProcessError) as caught:
            read(stack.layout, tmp_path, timeout_s=1)
    finally:
        for name in names:
            stack.resume(name)

    assert 3 == caught.value.returncode
    assert not (tmp_path / "survivors.json").exists()
