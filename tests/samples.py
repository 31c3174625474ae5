"""Evidence of runs that never happened, as realistic as can be, for the tests of what is made from evidence."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sample_experiments

from ftchaos.clock import iso
from ftchaos.evidence import (
    Action,
    Backup,
    Calls,
    Candidate,
    Check,
    Component,
    Data,
    Definition,
    Evidence,
    FollowUp,
    Harm,
    LostInterval,
    Mark,
    Objectives,
    Observation,
    Operation,
    Phase,
    Plan,
    Recovery,
    Replay,
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

BEGAN = datetime(2026, 11, 23, 6, 14, 41, 204000, UTC)
FAULT = datetime(2026, 11, 23, 6, 15, 2, 118000, UTC)
RESTORED_S = 14.214
GTID = "0-1-88213"
PHASES = [
    ("detect", 0.62, 0, "three probes of the writer failed"),
    ("decide", 0.11, 0, "the newest backup is damaged, the one before it is taken"),
    ("provision", 0.42, 0, "mysql-r in zone-b"),
    ("restore", 3.37, 1_181_116_006, "copied and checked with 2 threads"),
    ("verify", 1.92, 0, "19 tables equal to the backup's own record"),
    ("replay", 4.88, 71_303_168, "56,762 transactions to 0-1-88213"),
    ("verify", 1.14, 0, "the GTID wanted, foreign keys whole"),
    ("cut over", 0.09, 0, "the writer's address points to mysql-r"),
    ("warm", 1.664, 0, "pools reconnect, the backlog drains"),
]


def at(seconds: float) -> str:
    """The instant so many seconds after the fault, as evidence writes it."""
    return iso(FAULT + timedelta(seconds=seconds))


def passed() -> Evidence:
    """A restore drill that kept every promise."""
    return Evidence(
        run_id="20261123T061441Z-restore-7f3a",
        kind="drill",
        name="restore",
        title="The database tier is lost with its volumes; the service comes back from the newest usable backup",
        environment="lab",
        platform="lab",
        began_at=iso(BEGAN),
        ended_at=at(24.9),
        verdict="passed",
        exit_code=0,
        objectives=Objectives(rto_s=14400, rpo_s=900, success=0.995, p95_s=0.5, sustain_s=3),
        definition=Definition(
            path="dr_drills/restore.yaml",
            sha256=hashlib.sha256(b"restore").hexdigest(),
            title="The database tier is lost with its volumes; the service comes back from the newest usable backup",
            tags=["drill", "mysql", "backup"],
        ),
        arguments={"method": "physical", "size": "1GiB", "to": "last"},
        plan=_plan(),
        follow_up=_follow_up(),
        recovery=_recovery(),
        data=_data(),
        service=Service(success_ratio=0.8123, p50_ms=6.4, p95_ms=2000.0, p99_ms=2000.0, unavailable_s=14.18),
        series=_series(),
        steps=_steps(),
        backup=_backup(),
        replay=Replay(
            target="the last archived event", until_gtid=GTID, reached_gtid=GTID,
            transactions=56_762, bytes=71_303_168, files=3,
        ),
        verification=_verification(),
        witness=_witness(),
        undo=_undo(),
        system=_system(),
    )  # fmt: skip


def failed() -> Evidence:
    """A drill that lost acknowledged writes of more than the RPO."""
    evidence = passed()
    evidence.run_id = "20261123T061441Z-restore-91c0"
    evidence.verdict, evidence.exit_code = "failed", 1
    evidence.reasons = [
        "The data loss is 16 min 42 s, more than the RPO of 15 min.",
        "The restored data is damaged: filetransfer.files has 48,211 rows, the backup's record says 48,214.",
    ]
    evidence.data.lost, evidence.data.ok = 13_107, 61_204 - 13_107
    evidence.data.data_loss_s, evidence.data.recovery_point_at = 1002.0, at(-1002)
    evidence.data.lost_intervals = [
        LostInterval(writer="db-1", first=40_112, last=53_210, count=13_099, began_at=at(-1002), ended_at=at(-0.02)),
        LostInterval(writer="db-2", first=9_001, last=9_008, count=8, began_at=at(-9.1), ended_at=at(-9.0)),
    ]
    evidence.data.lost_intervals_total = 2
    evidence.verification.checks[3].passed = False
    evidence.verification.checks[3].actual = "48,211 rows"
    return evidence


def inconclusive() -> Evidence:
    """A drill whose restore step failed, so that little was measured."""
    evidence = passed()
    evidence.run_id = "20261123T061441Z-restore-02be"
    evidence.verdict, evidence.exit_code = "inconclusive", 3
    evidence.reasons = [
        "A step failed: restore the backup: no space left on the device below zone-b/mysql-r.",
        "A step failed: replay the archived log: not done, because 'restore' did not succeed.",
    ]
    evidence.recovery.restored_at = evidence.recovery.recovery_time_s = None
    evidence.recovery.phases = evidence.recovery.phases[:4]
    evidence.recovery.watched_s = 22.4
    evidence.data = Data(attempted=75_412, acknowledged=61_204, failed=14_201, indeterminate=7)
    evidence.verification = Verification()
    evidence.replay = None
    for step in evidence.steps[7:]:
        step.status, step.duration_s, step.output = "not run", None, ""
        step.error = "not done, because 'restore' did not succeed"
    evidence.steps[6].status = "failed"
    evidence.steps[6].error = "no space left on the device below zone-b/mysql-r\nHINT: free 1.1 GiB or choose --size"
    evidence.undo.healed, evidence.undo.failed = 1, 0
    return evidence


def heal_failed() -> Evidence:
    """A drill that left the system harmed."""
    evidence = passed()
    evidence.run_id = "20261123T061441Z-restore-dead"
    evidence.verdict, evidence.exit_code = "failed", 4
    evidence.reasons = ["A heal failed and the system is left harmed: mysql-a in zone-a: port 3306 is taken."]
    evidence.undo.failed, evidence.undo.healed = 1, 0
    evidence.undo.harms[0].healed = False
    evidence.undo.harms[0].healed_at = None
    evidence.undo.harms[0].detail = "port 3306 is taken"
    evidence.undo.harms[0].repair = "ftchaos lab down --name lab-7f3a"
    return evidence


def refused() -> Evidence:
    """A run that the guard did not allow."""
    return Evidence(
        run_id="20261123T061441Z-restore-0000", kind="drill", name="restore", environment="production",
        platform="aws", began_at=iso(BEGAN), ended_at=iso(BEGAN), verdict="inconclusive", exit_code=5,
        reasons=["The guard refused the run: the environment 'production' is protected."],
        objectives=Objectives(rto_s=14400, rpo_s=900), system=System(ftchaos="0.1.0"),
    )  # fmt: skip


def rehearsal() -> Evidence:
    """A restore of a foreign dump: no fault, no ledger, only the backup's age."""
    evidence = passed()
    evidence.run_id = "20261123T061441Z-restore-f0e1"
    evidence.injects_fault = False
    evidence.title = "A backup of your own is restored into an isolated server and verified"
    evidence.verdict, evidence.exit_code = "inconclusive", 3
    evidence.reasons = ["The data loss is unknown."]
    evidence.recovery.proven_at = evidence.recovery.detected_at = evidence.recovery.restored_at = None
    evidence.recovery.fault = ""
    evidence.recovery.phases = evidence.recovery.phases[2:7]
    evidence.recovery.fault_at = evidence.recovery.phases[0].began_at  # where the rehearsal's time begins
    evidence.steps = [
        step for step in evidence.steps if step.name not in {"lose the database tier", "detect the disaster"}
    ]
    evidence.recovery.recovery_time_s = 11.73
    evidence.data = Data(backup_age_s=30_121.0, source="none")
    evidence.series = []
    evidence.witness = Witness()
    evidence.service = Service()
    evidence.undo = Undo()
    return evidence


ALL = {
    "passed": passed,
    "failed": failed,
    "inconclusive": inconclusive,
    "heal failed": heal_failed,
    "refused": refused,
    "rehearsal": rehearsal,
    **sample_experiments.ALL,
}


def hostile() -> Evidence:
    """The longest evidence that fits the bounds, each text made to break out of HTML, Markdown or a terminal."""
    text = "<script>alert(1)</script>\"'&|`*_[x](javascript:1)\x1b[31m\x00" * 60
    evidence = passed()
    evidence.title = evidence.summary = text
    evidence.verdict, evidence.exit_code, evidence.reasons = "failed", 1, [text] * 100
    evidence.steps = [Step(name=text, status="failed", output=text, error=text)] * 200
    evidence.verification.checks = [
        Check(name=text, stage="after the replay", passed=False, expected=text, actual=text)
    ] * 200
    evidence.backup = Backup(id=text, considered=[Candidate(id=text, chosen=False, why=text)] * 100)
    evidence.data.lost_intervals = [LostInterval(writer=text, first=1, last=2, count=2)] * 100
    evidence.witness.observations = [Observation(at=at(0), target=text, saw=text)] * 100
    evidence.undo.harms = [Harm(why=text, healed=False, detail=text, repair=text)] * 100
    evidence.system.servers = [Server(name=text, place=text, version=text)] * 100
    evidence.system.settings = {f"{text[:40]}{number}": text for number in range(100)}
    evidence.series = [
        buckets(text, [(step / 10, 0.004 * (step % 500), step % 3 > 0) for step in range(9000)],
                origin_at=0, from_at=0, to_at=900, points=590)
    ] * 20  # fmt: skip
    evidence.kind, evidence.plan.promises = "experiment", [text] * 20
    evidence.plan.targets = [Target(name=text, kind=text, zone=text)] * 100
    evidence.undo.differences = [text] * 100
    evidence.calls = Calls(total=9, operations=[Operation(name=text, calls=1, errors=1)] * 200)
    evidence.data.stores = {f"{text[:40]}{number}": {"acknowledged": 3, "lost": 3, "ok": text} for number in range(100)}
    evidence.components = [
        Component(name=text, hit=number % 2 == 0, failed_at=at(number), success_ratio=0.5, series=evidence.series[0],
                  marks=[Mark(name=text, at=at(number), detail=text)] * 20)
        for number in range(20)
    ]  # fmt: skip
    return Evidence.model_validate(evidence.model_dump())


def folder(evidence: Evidence, below: Path) -> Path:
    """A run's folder with raw data, before evidence and reports are written into it."""
    run = below / evidence.run_id
    for name, content in {
        "journal.json": json.dumps({"status": "completed"}).encode(),
        "undo.jsonl": b'{"op": "record", "id": 1}\n{"op": "healed", "id": 1}\n',
        "ledger/ledger.json": b'{"tick_s": 0.00005}',
        "ledger/db-1.outcomes": bytes([2]) * 4096,
        "ledger/db-1.times": bytes(32768),
        "observations/witness.jsonl": b'{"at": 1.0, "target": "mysql-a", "up": false}\n',
    }.items():
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return run


def _plan() -> Plan:
    return Plan(
        scenario="Loss of the database tier with all its volumes",
        test_type="full restore with point-in-time recovery, on real servers",
        expected="The service meets its objectives again within the recovery time objective, and no acknowledged "
        "write from before the recovery point objective is lost.",
        preconditions=["the service meets its objectives under load", "at least one backup is complete"],
        assumptions=["the backups and the archive of the binary log lie outside the zones that are lost"],
        participants=["on-call engineer, platform team"],
        third_parties=["none: the drill ran on one machine"],
    )


def _follow_up() -> FollowUp:
    return FollowUp(
        deviations=["the newest backup was damaged, so the one before it was restored"],
        lessons=["a backup is only known to be usable once its checksums have been read back"],
        actions=[Action(what="alert on a backup whose checksum differs", owner="platform team", due="2026-12-14")],
    )


def _recovery() -> Recovery:
    phases, begin = [], 0.0
    for name, duration_s, size, detail in PHASES:
        phases.append(Phase(name=name, began_at=at(begin), duration_s=duration_s, bytes=size, detail=detail))
        begin += duration_s
    return Recovery(
        fault="the MySQL primary, its replicas and their volumes were destroyed",
        fault_at=at(0), proven_at=at(0.012), detected_at=at(0.62), restored_at=at(RESTORED_S),
        recovery_time_s=RESTORED_S, resolution_s=0.02, watched_s=17.3, phases=phases,
    )  # fmt: skip


def _data() -> Data:
    return Data(
        attempted=75_412, acknowledged=61_204, failed=14_201, indeterminate=7,
        ok=61_204, lost=0, recovered=4, unexpected=0, duplicate=0, corrupt=0,
        recovery_point_at=at(0), data_loss_s=0.0, backup_age_s=72.4, log_gap_s=0.003, self_test="passed",
        stores={"mysql": {"ok": 61_204, "lost": 0}, "redis": {"jobs": 1_240, "lost": 0}},
    )  # fmt: skip


def _series() -> list[Any]:
    dice = random.Random(7)

    def operations(rate: float, slowest_s: float) -> list[tuple[float, float, bool]]:
        found = []
        for number in range(int(38 * rate)):
            sent = -18 + number / rate
            if 0 <= sent < RESTORED_S - 0.2:
                refused = sent > 0.4
                found.append((sent, dice.uniform(0.004, 0.02) if refused else slowest_s, False))
            else:
                warm = max(0.0, 1 - (sent - RESTORED_S) / 2) if sent > 0 else 0
                found.append((sent, dice.lognormvariate(-5.2, 0.45) * (1 + 20 * warm), True))
        return found

    window = {"origin_at": 0.0, "from_at": -18.0, "to_at": 19.5}
    return [
        buckets("uploads over HTTP", operations(50, 2.0), **window),
        buckets("database writes", operations(400, 1.1), **window),
    ]


def _steps() -> list[Step]:
    rows: list[tuple[str, str, float, float, str]] = [
        ("the service meets its objectives", "hypothesis before", -3.4, 3.1, "true"),
        ("a backup is complete", "hypothesis before", -0.3, 0.1, "true"),
        ("lose the database tier", "method", 0, 0.05, "3 servers and their volumes destroyed"),
        ("detect the disaster", "method", 0.05, 0.57, "three probes of the writer failed"),
        ("decide what to restore", "method", 0.62, 0.11, "backup 20261123T061349Z-physical, log to 0-1-88213"),
        ("provision a fresh server", "method", 0.73, 0.42, "mysql-r in zone-b"),
        ("restore the backup", "method", 1.15, 3.37, "1.1 GiB, checked against its manifest while it was copied"),
        ("verify the restored data against the backup", "method", 4.52, 1.92, "19 tables are equal"),
        ("replay the archived log", "method", 6.44, 4.88, "56,762 transactions to 0-1-88213"),
        ("verify the replayed data", "method", 11.32, 1.14, "12 checks passed"),
        ("cut over to the restored server", "method", 12.46, 0.09, "the writer's address points to mysql-r"),
        ("wait until the service meets its objectives again", "method", 12.55, 4.66, "sustained for 3 s"),
        ("audit every acknowledged write", "audit", 17.3, 0.31, "61,204 acknowledged, 0 lost"),
        ("heal what was harmed", "rollback", 17.7, 2.4, "1 of 1 healed"),
    ]
    return [
        Step.model_validate(
            {"name": name, "part": part, "status": "succeeded", "began_at": at(began), "duration_s": took,
             "output": output}
        )
        for name, part, began, took, output in rows
    ]  # fmt: skip


def _backup() -> Backup:
    return Backup(
        id="20261123T061349Z-physical", method="physical", flavour="mariadb", server_version="10.11.14-MariaDB",
        taken_at=at(-72.4), gtid="0-1-31451", bytes=1_181_116_006,
        considered=[
            Candidate(
                id="20261123T061431Z-physical", chosen=False, method="physical", taken_at=at(-31), bytes=1_181_116_006,
                why="damaged: filetransfer/files.ibd differs from its checksum in the manifest",
            ),
            Candidate(
                id="20261123T061349Z-physical", chosen=True, method="physical", taken_at=at(-72.4),
                bytes=1_181_116_006, why="the newest usable one",
            ),
            Candidate(
                id="20261123T060211Z-logical", chosen=False, method="logical", taken_at=at(-771), bytes=612_368_384,
                why="older",
            ),
        ],
    )  # fmt: skip


def _verification() -> Verification:
    rows = [
        ("schema equals the backup's record", "before the replay", "a91f03c2", "a91f03c2", 0.04),
        ("GTID equals the backup's record", "before the replay", "0-1-31451", "0-1-31451", 0.01),
        ("filetransfer.users: rows and checksum", "before the replay", "20,000 rows", "20,000 rows", 0.11),
        ("filetransfer.files: rows and checksum", "before the replay", "48,214 rows", "48,214 rows", 0.62),
        ("filetransfer.transfers: rows and checksum", "before the replay", "48,214 rows", "48,214 rows", 0.58),
        ("filetransfer.thumbnails: rows and checksum", "before the replay", "12,288 rows", "12,288 rows", 0.51),
        ("the GTID reached is the one wanted", "after the replay", GTID, GTID, 0.01),
        ("foreign keys are whole", "after the replay", "0 orphans", "0 orphans", 0.41),
        ("CHECK TABLE is clean", "after the replay", "OK for 6 tables", "OK for 6 tables", 0.66),
        ("an application query answers: files of a user", "after the replay", "rows", "24 rows", 0.01),
    ]
    return Verification(
        tables=6, rows=212_940, bytes=1_181_116_006, duration_s=3.06,
        checks=[
            Check.model_validate(
                {"name": name, "stage": stage, "passed": True, "expected": expected, "actual": actual,
                 "duration_s": took}
            )
            for name, stage, expected, actual, took in rows
        ],
    )  # fmt: skip


def _witness() -> Witness:
    return Witness(
        proven=True,
        observations=[
            Observation(at=at(0.012), target="mysql-a", saw="connection closed, then refused"),
            Observation(at=at(0.013), target="mysql-b", saw="connection closed, then refused"),
            Observation(at=at(0.013), target="mysql-c", saw="connection closed, then refused"),
            Observation(at=at(12.55), target="the writer's address", saw="a server greets"),
        ],
    )


def _undo() -> Undo:
    return Undo(
        recorded=1, healed=1, failed=0,
        harms=[
            Harm(
                why="destroy mysql-a, mysql-b and mysql-c with their volumes", recorded_at=at(-0.004), healed=True,
                healed_at=at(20.1), detail="the ephemeral lab is down",
            )
        ],
    )  # fmt: skip


def _system() -> System:
    version = "10.11.14-MariaDB"
    return System(
        ftchaos="0.1.0", mysql=version, redis="7.0.15", commit="2508e40", python="3.11.2",
        definition_sha256=hashlib.sha256(b"restore").hexdigest(),
        os="Debian GNU/Linux 12 (bookworm), Linux 6.1", cpus=2, memory_bytes=25_769_803_776, mode="root",
        zones=["zone-a", "zone-b", "zone-c"],
        servers=[Server(name=f"mysql-{zone}", place=f"zone-{zone}", version=version) for zone in "abc"]
        + [Server(name=f"api-{zone}", place=f"zone-{zone}", version="0.1.0") for zone in "abc"],
        settings={
            "sync_binlog": 1, "innodb_flush_log_at_trx_commit": 1, "semi_sync": True, "binlog_format": "ROW",
        },
    )  # fmt: skip
