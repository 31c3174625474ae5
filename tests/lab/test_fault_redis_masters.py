"""Masters of the Redis Cluster die or are cut off: seen from outside, and healed with what their replicas have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_bench import (
    bites_and_heals,
    ensure_all_run,
    heal,
    heals_after_a_crash,
    heals_what_was_never_done,
    plan,
    sees_nothing,
)
from small_labs import bring_up, wait_until

from ftchaos.errors import Invalid, StepFailed
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import faults, standing
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.redis import cluster_nodes, slot_range
from ftchaos.workload import cluster

FAULT = "fail_redis_masters"


@pytest.fixture(scope="module")
def lab(state: Path) -> Iterator[Lab]:
    made = bring_up("redis-masters", "mariadb")
    yield made
    made.down()


def cli(lab: Lab, server: str, *command: str) -> str:
    node = next(node for node in cluster_nodes(lab.layout) if node.name == server)
    argv = ["redis-cli", "-c", "-h", node.address, "-p", str(node.port), *command]
    return subprocess.run(lab.client_argv(argv), capture_output=True, text=True, check=False, timeout=10).stdout.strip()


def test_without_injection_nothing_is_seen(lab: Lab, tmp_path: Path) -> None:
    sees_nothing(lab, tmp_path, FAULT, which="one")
    sees_nothing(lab, tmp_path, FAULT, which="one", manner="partition")


def test_healing_what_was_never_done_is_harmless(lab: Lab) -> None:
    heals_what_was_never_done(lab, FAULT, manner="lag")


@pytest.mark.parametrize("manner", ["kill", "lag", "partition"])
def test_one_master_falls_and_is_healed(lab: Lab, tmp_path: Path, manner: str) -> None:
    harm = bites_and_heals(lab, tmp_path, FAULT, which="one", manner=manner)

    assert "" == harm.quorum_lost
    assert "cache-a" in harm.hits
    assert ("" != harm.inside) == (manner == "partition")


def test_the_other_shards_are_written_while_one_has_no_master(lab: Lab) -> None:
    harm = plan(lab, FAULT, which="one")
    others = [name for shard, name in standing.of(lab).masters.items() if shard != "a"]
    faults.FAULTS[FAULT].inject(lab, harm)
    node = next(node for node in cluster_nodes(lab.layout) if node.name == others[0])
    said = set()

    def lost_or_replaced() -> bool:
        argv = ["redis-cli", "-h", node.address, "-p", str(node.port), "CLUSTER", "INFO"]
        info = subprocess.run(lab.client_argv(argv), capture_output=True, text=True, check=True).stdout
        said.add(next(line.strip() for line in info.splitlines() if line.startswith("cluster_state")))
        return standing_masters(lab).get("a") not in (None, harm.undo["servers"][0])

    assert wait_until(lost_or_replaced, 60)
    heal(lab, FAULT, harm)

    assert {"cluster_state:ok"} == said


def test_a_partition_that_outlasts_the_failover_is_healed(lab: Lab) -> None:
    shard, before, harm = one_within_the_quorum(lab, "partition")
    faults.FAULTS[FAULT].inject(lab, harm)
    assert wait_until(lambda: standing_masters(lab).get(shard) not in (None, before), 60)

    heal(lab, FAULT, harm)
    ensure_all_run(lab)

    assert before == standing_masters(lab)[shard]  # led home: else its zone's next outage would take the quorum


def one_within_the_quorum(lab: Lab, manner: str) -> tuple[str, str, Harm]:
    """A shard, its master, and the fault of it; after some failovers a zone may have two masters."""
    for shard, master in standing_masters(lab).items():
        harm = plan(lab, FAULT, which=master, manner=manner)
        if not harm.quorum_lost:
            return shard, master, harm
    raise AssertionError("all masters stand in one zone")


def standing_masters(lab: Lab) -> dict[str, str]:
    try:
        return dict(standing.of(lab).masters)
    except StepFailed:  # none at this moment
        return {}


def test_without_a_quorum_the_heal_keeps_what_the_replicas_have(lab: Lab, tmp_path: Path) -> None:
    written = {f"kept-{number}": str(number) for number in range(50)}
    for key, value in written.items():
        assert "OK" == cli(lab, "redis-cluster-a1", "SET", key, value)
    harm = bites_and_heals(lab, tmp_path, FAULT, which="every-second")

    assert "the Redis Cluster" == harm.quorum_lost
    assert {"cache-a", "cache-b", "cache-c"} <= set(harm.hits)
    assert written == {key: cli(lab, "redis-cluster-b1", "GET", key) for key in written}


# Writes one key after the other to one server until that is gone or told to stop, and says how many were acknowledged.
_WRITER = """
import socket, sys, time
server = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)
tag = sys.argv[3].encode()
server.sendall(b"SET {%s}kept x\\r\\nWAIT 1 1000\\r\\n" % tag)
answer = b""
while answer.count(b"\\n") < 2:
    answer += server.recv(100)
count, until = 0, time.monotonic() + float(sys.argv[4])
print("begun", flush=True)
try:
    while time.monotonic() < until:
        server.sendall(b"SET {%s}%d x\\r\\n" % (tag, count))
        if server.recv(100) != b"+OK\\r\\n":
            break
        count += 1
except OSError:
    pass
print(count)
"""


@pytest.mark.parametrize(("manner", "inside"), [("lag", False), ("partition", True)])
def test_what_only_the_old_master_acknowledged_is_lost(lab: Lab, manner: str, inside: bool) -> None:
    shard, master, harm = one_within_the_quorum(lab, manner)
    node = next(node for node in cluster_nodes(lab.layout) if node.name == master)
    tag = cluster.tag(*slot_range(standing.SHARDS.index(shard)))
    argv = [sys.executable, "-c", _WRITER, node.address, str(node.port), tag, "4"]
    with subprocess.Popen(
        lab.client_argv(argv, harm.inside) if inside else lab.client_argv(argv), stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert "begun" == writer.stdout.readline().strip()
        faults.FAULTS[FAULT].inject(lab, harm)
        acknowledged = int(writer.stdout.readline())
    assert wait_until(lambda: standing_masters(lab).get(shard) not in (None, master), 60)
    heal(lab, FAULT, harm)
    leader = standing_masters(lab)[shard]

    last = [number for number in range(acknowledged) if number >= acknowledged - 10]
    kept = [number for number in last if "x" == cli(lab, leader, "GET", f"{{{tag}}}{number}")]
    assert acknowledged > 50
    assert [] == kept
    assert "x" == cli(lab, leader, "GET", f"{{{tag}}}kept")


@pytest.mark.parametrize(("manner", "after"), [("kill", 0), ("lag", 1), ("lag", 9), ("partition", 0)])
def test_a_crash_half_way_is_healed(lab: Lab, manner: str, after: int) -> None:
    heals_after_a_crash(lab, FAULT, after, manner=manner)


def test_no_replica_ends_in_its_masters_zone(lab: Lab) -> None:
    lines = [line.split() for line in cli(lab, "redis-cluster-b1", "CLUSTER", "NODES").splitlines()]
    zones = {words[0]: words[1].split(":")[0] for words in lines}

    assert 3 == sum("slave" in words[2] for words in lines)
    assert [] == [words for words in lines if "slave" in words[2] and zones[words[0]] == zones[words[3]]]


@pytest.mark.parametrize(
    "arguments", [{"which": "nobody"}, {"manner": "gently"}, {"which": "every-second", "manner": "partition"}]
)
def test_arguments_that_name_nothing_are_refused(lab: Lab, arguments: dict[str, str]) -> None:
    here = standing.fresh(lab.layout)

    with pytest.raises(Invalid):
        faults.FAULTS[FAULT].plan(here, **arguments)
