"""Evidence of experiments that never happened, as realistic as can be; ``samples`` has that of drills."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ftchaos.clock import iso
from ftchaos.evidence import (
    Calls,
    Check,
    Component,
    Data,
    Definition,
    Evidence,
    Harm,
    Jobs,
    LostInterval,
    Mark,
    Objectives,
    Observation,
    Operation,
    Phase,
    Plan,
    Recovery,
    Series,
    Server,
    Service,
    Step,
    System,
    Target,
    Undo,
    Verification,
    Witness,
    buckets,
)
from ftchaos.promises import Promises

BEGAN = datetime(2026, 11, 23, 6, 14, 41, 204000, UTC)
FAULT = datetime(2026, 11, 23, 6, 15, 2, 118000, UTC)
END_S = 16.2
SUSTAIN_S = 3.0
PROMISED = Promises(recovery_time_s=60, lost={"mysql": 0, "uploads": 0, "redis-wait": 0}, jobs=True)


def at(seconds: float) -> str:
    """The instant so many seconds after the fault, as evidence writes it."""
    return iso(FAULT + timedelta(seconds=seconds))


def zone_outage() -> Evidence:
    """A zone with the MySQL primary and two Redis masters dies; all that was promised was kept."""
    return Evidence(
        run_id="20261123T061441Z-zone-outage-7f3a",
        kind="experiment",
        name="zone-outage",
        title="A zone is lost",
        environment="lab",
        platform="lab",
        began_at=iso(BEGAN),
        ended_at=at(31.4),
        verdict="passed",
        exit_code=0,
        objectives=Objectives(rto_s=14400, rpo_s=900, sustain_s=SUSTAIN_S),
        definition=_definition("zone-outage", "A zone is lost"),
        arguments={"zone": "primary", "durability": "configured"},
        plan=Plan(
            scenario="Loss of an availability zone",
            test_type="abrupt loss of power and network of a whole zone, under load",
            expected="Every component meets its objectives again within a minute from the two zones that remain.",
            preconditions=["the service meets its objectives under load", "the replicas apply what is committed"],
            targets=[
                Target(name="zone-a", kind="zone", zone="zone-a"),
                Target(name="mysql-a", kind="mysql", zone="zone-a"),
                Target(name="redis-cluster-a1", kind="redis-cluster", zone="zone-a"),
                Target(name="redis-cluster-b2", kind="redis-cluster", zone="zone-a"),
                Target(name="redis-queue-a", kind="redis-queue", zone="zone-a"),
                Target(name="api-a", kind="api", zone="zone-a"),
                Target(name="worker-a", kind="worker", zone="zone-a"),
            ],
            promises=PROMISED.words(),
        ),
        recovery=Recovery(
            fault="zone-a lost its power", fault_at=at(0), proven_at=at(0.012), detected_at=at(0.62),
            restored_at=at(3.214), recovery_time_s=3.214, resolution_s=0.02, watched_s=13.4,
            phases=[
                Phase(name="detect", began_at=at(0), duration_s=0.62),
                Phase(name="promote", began_at=at(0.62), duration_s=0.41),
                Phase(name="reconnect", began_at=at(1.03), duration_s=0.38),
                Phase(name="warm", began_at=at(1.41), duration_s=1.804),
            ],
        ),
        data=_data(1),
        service=Service(success_ratio=0.9612, p50_ms=6.4, p95_ms=22.0, p99_ms=1204.0, unavailable_s=1.41),
        series=[_series("uploads through the public address", 50, 0.02, 1.41, 3.2)],
        components=[
            _component(
                "database", 400, (0.004, 1.31, None, 1.36),
                marks=[("detected", 0.62, "mysql-a"), ("promoted", 1.03, "mysql-b")],
            ),
            _component("cache-a", 200, (0.006, 2.41, 4.87, 4.95), marks=[("promoted", 2.38, "redis-cluster-a2")]),
            _component("cache-b", 200, (0.005, 2.52, 2.9, 2.97), marks=[("promoted", 2.49, "redis-cluster-b1")]),
            _component("api", 50, (0.02, 1.41, None, 3.214)),
            _component("queue", 50, (0.021, 5.02, None, 5.31), marks=[("promoted", 4.6, "redis-queue-b")]),
            _component("websocket", 50, (0.021, 5.05, None, 5.33)),
            _component("cache-c", 200, None, hit=False),
        ],
        jobs=Jobs(
            acknowledged=1_512, completed=1_512, pending=0, orphaned=0, repeated=3, untold=11, drained_at=at(5.41)
        ),
        steps=_steps("let the zone lose its power", "zone-a is without power and network: 9 services died"),
        verification=_verification(),
        witness=Witness(
            proven=True,
            observations=[
                Observation(at=at(0.012), target="mysql-a", saw="connection closed, then unreachable"),
                Observation(at=at(0.013), target="redis-cluster-a1", saw="connection closed, then unreachable"),
                Observation(at=at(0.014), target="api-a", saw="connection closed, then unreachable"),
            ],
        ),
        undo=_undo(
            "zone-a lost its power",
            ["role of mysql-a: primary before, replica after", "role of mysql-b: replica before, primary after"],
        ),
        system=_system(),
    )  # fmt: skip


def zone_outage_failed() -> Evidence:
    """The same, but the queue never came back, and what was confirmed was lost."""
    evidence = zone_outage()
    evidence.run_id = "20261123T061441Z-zone-outage-91c0"
    evidence.verdict, evidence.exit_code = "failed", 1
    evidence.reasons = [
        "A promise was broken: the queue was not restored within the 60 s promised.",
        "A promise was broken: 212 acknowledged writes of redis-wait were lost, where none is promised.",
        "A promise was broken: the work of 437 acknowledged uploads was not done.",
        "The data is damaged: mysql-c holds what mysql-b holds: 48,211 rows differ.",
    ]
    evidence.recovery.watched_s = 60.4
    queue = next(one for one in evidence.components if one.name == "queue")
    queue.writable_at = queue.restored_at = queue.recovery_time_s = queue.resolution_s = None
    queue.unavailable_s, queue.success_ratio, queue.marks = 60.38, 0.24, []
    queue.series = _series("queue", 50, 0.021, 900.0, 900.0)
    evidence.data.lost, evidence.data.ok, evidence.data.data_loss_s = 1_519, 22_912 - 1_519, 0.94
    evidence.data.recovery_point_at = at(-0.94)
    for name, lost in (
        ("redis", 1_519), ("redis, not waiting for a replica", 1_307), ("redis, waiting for a replica", 212)
    ):  # fmt: skip
        found = evidence.data.stores[name]
        found["lost"], found["ok"] = lost, int(found["ok"] or 0) - lost
    evidence.data.lost_intervals = [
        LostInterval(writer="redis-a-5", first=4_010, last=5_316, count=1_307, began_at=at(-0.94), ended_at=at(0.01)),
        LostInterval(writer="redis-wait-a-8", first=811, last=1_022, count=212, began_at=at(-0.2), ended_at=at(0.01)),
    ]
    evidence.data.lost_intervals_total = 2
    assert evidence.jobs is not None
    evidence.jobs.completed, evidence.jobs.pending, evidence.jobs.drained_at = 1_075, 437, None
    evidence.verification.checks[0].passed = False
    evidence.verification.checks[0].actual = "48,211 rows differ"
    return evidence


def replica_loss() -> Evidence:
    """A replica dies and no client notices: only the database was to be hit, all others are the control group."""
    evidence = zone_outage()
    evidence.run_id = "20261123T061441Z-mysql-replica-loss-02be"
    evidence.name, evidence.title = "mysql-replica-loss", "A MySQL replica dies"
    evidence.definition = _definition(evidence.name, evidence.title)
    evidence.plan.scenario = "Loss of a read replica"
    evidence.plan.test_type = "abrupt death of a replica, under load"
    evidence.plan.targets = [Target(name="mysql-c", kind="mysql", zone="zone-c")]
    promised = Promises(lost={"mysql": 0, "uploads": 0, "redis-wait": 0}, success=0.995, jobs=True)
    evidence.plan.promises = promised.words()
    evidence.recovery = Recovery(
        fault="the MySQL replica mysql-c was killed", fault_at=at(0), proven_at=at(0.011), restored_at=at(0.018),
        recovery_time_s=0.018, resolution_s=0.02, watched_s=3.1,
    )  # fmt: skip
    evidence.data = _data(0)
    evidence.service = Service(success_ratio=1.0, p50_ms=6.1, p95_ms=14.0, p99_ms=31.0, unavailable_s=0.0)
    evidence.series = [_series("uploads through the public address", 50, None, None, None)]
    evidence.components = [
        _component("database", 400, None),
        *(_component(f"cache-{shard}", 200, None, hit=False) for shard in "abc"),
        *(_component(name, 50, None, hit=False) for name in ("api", "queue", "websocket")),
    ]
    evidence.jobs = Jobs(acknowledged=1_512, completed=1_512, pending=0, orphaned=0, repeated=0, untold=0)
    evidence.steps = _steps("take a replica", "mysql-c was killed")
    evidence.witness.observations = evidence.witness.observations[:1]
    evidence.witness.observations[0].target = "mysql-c"
    evidence.undo = _undo("the MySQL replica mysql-c was killed", [])
    return evidence


def in_a_cloud() -> Evidence:
    """A zone of a staging environment on AWS fails: the run made calls to its API, not all of which succeeded."""
    evidence = zone_outage()
    evidence.run_id = "20261123T061441Z-zone-outage-a405"
    evidence.environment, evidence.platform = "staging", "aws"
    evidence.calls = Calls(
        total=214, errors=3, throttled=2, retries=5, unrecorded=1, first_at=at(-19.2), last_at=at(21.4),
        operations=[
            Operation(name="ec2:DescribeNetworkAcls", calls=121, errors=2, throttled=2, retries=5),
            Operation(name="rds:DescribeDBInstances", calls=90),
            Operation(name="ec2:StopInstances", calls=2),
            Operation(name="elasticache:TestFailover", calls=1, errors=1),
        ],
    )  # fmt: skip
    return evidence


ALL: dict[str, Callable[[], Evidence]] = {
    "zone outage": zone_outage,
    "zone outage failed": zone_outage_failed,
    "replica loss": replica_loss,
    "in a cloud": in_a_cloud,
}


def _component(
    name: str,
    rate: float,
    outage: tuple[float, float, float | None, float] | None,
    *,
    hit: bool = True,
    marks: list[tuple[str, float, str]] | None = None,
) -> Component:
    """A component with the instants of its first failure, writable, durable and restored, or none of them."""
    failed_s, writable_s, durable_s, restored_s = outage or (None, None, None, 0.018)
    lost_share = 0.0 if writable_s is None else writable_s / 31
    return Component(
        name=name,
        hit=hit,
        failed_at=None if failed_s is None else at(failed_s),
        writable_at=None if writable_s is None else at(writable_s),
        durable_at=None if durable_s is None else at(durable_s),
        restored_at=at(restored_s),
        recovery_time_s=restored_s,
        resolution_s=0.02,
        unavailable_s=0.0 if writable_s is None or failed_s is None else writable_s - failed_s,
        success_ratio=1 - lost_share,
        p95_ms=14.0,
        marks=[Mark(name=mark, at=at(seconds), detail=detail) for mark, seconds, detail in marks or []],
        series=_series(name, rate, failed_s, writable_s, restored_s),
    )


def _series(
    name: str, rate: float, failed_s: float | None, writable_s: float | None, restored_s: float | None
) -> Series:
    dice = random.Random(name)
    found = []
    for number in range(int((5 + END_S) * rate)):
        sent = -5 + number / rate
        down = failed_s is not None and writable_s is not None and failed_s <= sent < writable_s
        warm = writable_s is not None and restored_s is not None and writable_s <= sent < restored_s
        fails = down or (warm and dice.random() < 0.06)
        found.append((sent, 1.1 if fails else dice.lognormvariate(-5.0, 0.4) * (6 if warm else 1), not fails))
    return buckets(name, found, origin_at=0.0, from_at=-5.0, to_at=END_S)


def _classes(acknowledged: int, failed: int, indeterminate: int) -> dict[str, int]:
    return {
        "attempted": acknowledged + failed + indeterminate, "acknowledged": acknowledged, "failed": failed,
        "indeterminate": indeterminate, "ok": acknowledged, "lost": 0, "recovered": min(indeterminate, 2),
        "unexpected": 0, "duplicate": 0, "corrupt": 0,
    }  # fmt: skip


def _data(trouble: int) -> Data:
    ways = {
        "mysql, uploaded over HTTP": _classes(1_512, 61 * trouble, 3 * trouble),
        "mysql, written directly": _classes(10_400, 812 * trouble, 4 * trouble),
        "redis, not waiting for a replica": _classes(7_200, 512 * trouble, 6 * trouble),
        "redis, waiting for a replica": _classes(3_800, 702 * trouble, 12 * trouble),
    }

    def whole(store: str) -> dict[str, int]:
        parts = [found for name, found in ways.items() if store in name]
        return {key: sum(part[key] for part in parts) for key in parts[0]}

    stores: dict[str, dict[str, Any]] = {"mysql": whole("mysql"), "redis": whole("redis"), **ways}
    total = {key: stores["mysql"][key] + stores["redis"][key] for key in stores["mysql"]}
    return Data(
        **total, recovery_point_at=at(29.0), data_loss_s=0.0, stores=stores, self_test="passed", source="ledger"
    )


def _definition(name: str, title: str) -> Definition:
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return Definition(path=f"experiments/{name}.yaml", sha256=sha256, title=title, tags=["experiment", "mysql"])


def _steps(fault: str, did: str) -> list[Step]:
    rows = [
        ("the service meets its objectives", "hypothesis before", -3.4, 3.1, "true"),
        ("a writer is in place", "hypothesis before", -0.3, 0.1, "true"),
        (fault, "method", 0, 0.05, did),
        ("watch how every component comes back", "method", 0.05, 13.3, "everything met its objectives again"),
        ("heal what was harmed", "rollback", 17.7, 2.4, "1 of 1 healed"),
        ("wait until all is well again", "rollback", 20.1, 4.2, "all components are well"),
        ("look for every acknowledged write and for the work of every upload", "rollback", 24.3, 1.1,
         "0 of 22,912 acknowledged writes were lost"),
        ("compare the copies of the data, and everything with how it stood before", "rollback", 25.4, 1.9,
         "2 of 2 replicas hold what mysql-b holds"),
    ]  # fmt: skip
    return [
        Step.model_validate(
            {"name": name, "part": part, "status": "succeeded", "began_at": at(began), "duration_s": took,
             "output": output}
        )
        for name, part, began, took, output in rows
    ]  # fmt: skip


def _verification() -> Verification:
    return Verification(
        checks=[
            Check(name=f"{server} holds what mysql-b holds", stage="after the heal", passed=True,
                  expected="6 tables equal", actual="6 tables equal", duration_s=0.9)
            for server in ("mysql-c", "mysql-a")
        ]
    )  # fmt: skip


def _undo(why: str, differences: list[str]) -> Undo:
    return Undo(
        recorded=1, healed=1, failed=0, differences=differences,
        harms=[
            Harm(why=why, recorded_at=at(-0.004), healed=True, healed_at=at(20.1), detail="all servers are back")
        ],
    )  # fmt: skip


def _system() -> System:
    return System(
        ftchaos="0.1.0", mysql="mariadb 10.11.14-MariaDB", redis="7.0.15", commit="2508e40", python="3.11.2",
        os="Debian GNU/Linux 12 (bookworm), Linux 6.1", cpus=2, memory_bytes=25_769_803_776, mode="root",
        zones=["zone-a", "zone-b", "zone-c"],
        servers=[Server(name=f"mysql-{zone}", place=f"zone-{zone}", version="10.11.14") for zone in "abc"],
        settings={"semi_sync": "AFTER_SYNC", "sync_binlog": 1},
    )  # fmt: skip
