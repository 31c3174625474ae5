"""What Redis, the Sentinels and HAProxy write, read as events on the run's clock."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from ftchaos.clock import Clock
from ftchaos.platforms.base import Event
from ftchaos.platforms.lab import events
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import Layout
from ftchaos.platforms.lab.redis import cluster_nodes

LAYOUT = Layout.of("root", "")
NODES = {node.name: node for node in cluster_nodes(LAYOUT)}
WRITTEN = datetime(2026, 11, 23, 19, 27, 19, 115000)  # Redis writes local time
CLOCK = Clock(100.0, WRITTEN.astimezone().timestamp())  # so that this instant is 100
AT = "23 Nov 2026 19:27:19.115"


def cluster(node: str, *lines: str) -> list[Event]:
    return list(events.cluster("\n".join(lines), NODES[node], list(NODES.values()), CLOCK))


def sentinel(*lines: str) -> list[Event]:
    return list(events.sentinel("\n".join(lines), "zone-b", Lab("x", Path("x"), "root", LAYOUT), CLOCK))


def test_node_that_a_majority_calls_dead_is_detected() -> None:
    dead = NODES["redis-cluster-a1"]

    found = cluster("redis-cluster-b1", f"3:M {AT} * Marking node {dead.node_id} as failing (quorum reached).")

    assert [Event(pytest.approx(100.0), "cache-a", "detected", "redis-cluster-a1, by redis-cluster-b1")] == found


def test_replica_that_wins_an_election_is_promoted() -> None:
    found = cluster(
        "redis-cluster-b2",
        f"3:S {AT} # Start of election delayed for 630 milliseconds (rank #0, offset 0).",
        "3:S 23 Nov 2026 19:27:19.931 # Starting a failover election for epoch 4.",
        "3:S 23 Nov 2026 19:27:19.932 # Failover election won: I'm the new master.",
    )

    assert [("cache-a", "elected"), ("cache-a", "promoted")] == [(one.component, one.name) for one in found]
    assert [100.816, 100.817] == [pytest.approx(one.at) for one in found]


def test_what_a_sentinel_says_of_the_master_is_told_and_nothing_else() -> None:
    found = sentinel(
        f"13:X {AT} # +sdown master queue 10.77.0.11 7101",
        f"13:X {AT} # +sdown sentinel ecfedfc8de0db6919f26678e83051e3296ca7a3d 10.77.0.11 7201 @ queue 10.77.0.11 7101",
        f"13:X {AT} # +odown master queue 10.77.0.11 7101 #quorum 2/2",
        f"13:X {AT} # +switch-master queue 10.77.0.11 7101 10.77.0.12 7101",
        f"13:X {AT} # +sdown slave 10.77.0.11:7101 10.77.0.11 7101 @ queue 10.77.0.12 7101",
        f"13:X {AT} * +convert-to-slave slave 10.77.0.11:7101 10.77.0.11 7101 @ queue 10.77.0.12 7101",
    )

    assert {"queue"} == {one.component for one in found}
    assert [
        ("suspected", "redis-queue-a, by sentinel-b"),
        ("detected", "redis-queue-a, by sentinel-b"),
        ("promoted", "redis-queue-b, by sentinel-b"),
        ("rejoined", "redis-queue-a, by sentinel-b"),
    ] == [(one.name, one.detail) for one in found]


def test_balancer_that_misses_a_server_says_so_once() -> None:
    log = (
        "[WARNING]  (2) : Server api/api-a is DOWN, reason: Layer4 timeout, check duration: 801ms.\n"
        "2026-11-23T19:27:20.030742+00:00 Server api/api-a is DOWN, reason: Layer4 timeout, check duration: 801ms.\n"
        "2026-11-23T19:27:20.030742+00:00 Server mysql_reader/mysql-a is DOWN, reason: Layer4 timeout.\n"
    )
    clock = Clock(5.0, datetime.fromisoformat("2026-11-23T19:27:20.030742+00:00").timestamp())

    assert [Event(pytest.approx(5.0), "api", "server down", "api-a")] == list(events.api(log, clock))
