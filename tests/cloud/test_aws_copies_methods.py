"""Copies from snapshots, here and in another region, and from recovery points of AWS Backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from copy_account import RUN_ID, Deaths, Drill, Killed, ground, ids, settings, state, write
from fault_account import led_to
from standin import staging
from standin.processes import until
from standin.server import Standin
from standin.staging import Staging

from ftchaos.errors import Invalid, Refused, StepFailed
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.undo import UndoLog

QUICK = dict.fromkeys(
    (
        "creating_s", "backing_up_s", "modifying_s", "deleting_s", "password_s", "snapshot_s", "copy_s",
        "restore_job_s",
    ),
    0,
)  # fmt: skip
NAME = "ftchaos-20261123t061500z-restore-7f3a"
FAR = "us-west-2"
BOTH = (staging.REGION, FAR)


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Staging]:
    """A staging whose snapshot holds the first row, and no later one."""
    with led_to(standin):
        standin.reset()
        made = staging.build(standin, replicas=0, caches=False)
        standin.settings(**QUICK)
        write(made, 1)
        _snapshot(made, "by-hand")
        write(made, 2)
        yield made


def _snapshot(made: Staging, name: str) -> None:
    rds = made.standin.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=staging.INSTANCE, DBSnapshotIdentifier=name)
    until(lambda: _status(rds, name) == "available", 20, f"the snapshot {name}")


def _status(rds: Any, name: str) -> str:
    return str(rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]["Status"])


@pytest.fixture(scope="module")
def far(made: Staging) -> dict[str, Any]:
    """The part of the configuration that says where copies in the other region are built."""
    key = made.standin.client("kms", FAR).create_key()["KeyMetadata"]["Arn"]
    return {"region": FAR, "kms_key": key, "subnets": ground(made.standin, FAR)[1]}


@pytest.fixture
def drill(made: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    made.await_available()
    made.standin.clear()
    where = {"subnets": list(made.subnets.values())[:2]}
    return Drill(made, tmp_path / "undo.jsonl", settings(made.standin, where), method="snapshot")


@pytest.fixture
def before(drill: Drill) -> dict[str, Any]:
    return state(drill.standin, BOTH)


def test_a_copy_of_the_newest_snapshot_holds_its_rows(drill: Drill, before: dict[str, Any]) -> None:
    chosen = drill.choose()
    held = ids(drill.build(chosen))
    drill.heal()

    assert [1] == held
    assert chosen.pick.origin.endswith(":snapshot:by-hand")
    assert before == state(drill.standin, BOTH)
    assert [] == drill.standin.violations()


def test_a_snapshot_from_before_all_of_them_is_refused(drill: Drill) -> None:
    with pytest.raises(Refused, match="has no available snapshot from before"):
        drill.choose(datetime.now(UTC) - timedelta(days=1))


def test_snapshots_that_are_not_available_or_not_its_own_are_passed_over(drill: Drill) -> None:
    rds = drill.standin.client("rds")
    drill.standin.settings(snapshot_s=60)
    rds.create_db_snapshot(DBInstanceIdentifier=staging.INSTANCE, DBSnapshotIdentifier="unfinished")
    chosen = drill.choose()
    drill.standin.settings(**QUICK)
    until(lambda: _status(rds, "unfinished") == "available", 20, "the snapshot")
    rds.delete_db_snapshot(DBSnapshotIdentifier="unfinished")

    assert chosen.pick.origin.endswith(":snapshot:by-hand")


def test_a_snapshot_is_copied_to_the_other_region_and_restored_there(
    drill: Drill, far: dict[str, Any], before: dict[str, Any]
) -> None:
    drill.method, drill.environment = "other-region", settings(drill.standin, far)
    chosen = drill.choose()
    held = ids(drill.build(chosen))
    during = state(drill.standin, BOTH)
    said = drill.heal()

    assert [1] == held
    assert FAR == chosen.region
    assert {f"arn:aws:rds:{FAR}:{drill.standin.account}:{kind}:{NAME}-{end}" for kind, end in (
        ("db", "db"), ("pg", "parameters"), ("snapshot", "snapshot"), ("subgrp", "subnets"),
    )} == {name for name in set(during) - set(before) if name.startswith("arn:")}  # fmt: skip
    assert f"the snapshot {NAME}-snapshot is gone" in said
    assert before == state(drill.standin, BOTH)
    assert [] == drill.standin.violations()


def test_whoever_dies_around_the_copy_of_a_snapshot_leaves_none(
    drill: Drill, far: dict[str, Any], before: dict[str, Any]
) -> None:
    drill.method, drill.environment = "other-region", settings(drill.standin, far)
    drill.standin.settings(copy_s=0.3)
    chosen = drill.choose()
    for deaths in (Deaths(before="CopyDBSnapshot"), Deaths(answered="CopyDBSnapshot")):
        with pytest.raises(Killed):
            drill.build(chosen, deaths)
        drill.heal()
        drill.log.unlink()

        assert before == state(drill.standin, BOTH)
    drill.standin.settings(**QUICK)


@pytest.mark.parametrize(
    ("lacking", "words"),
    [("region", "names no other region"), ("kms_key", "is encrypted, and no key is named")],
)
def test_what_another_region_needs_is_named(drill: Drill, far: dict[str, Any], lacking: str, words: str) -> None:
    without = {key: value for key, value in far.items() if key != lacking}
    drill.method, drill.environment = "other-region", settings(drill.standin, without)

    with pytest.raises(Invalid, match=words):
        drill.choose()


def test_a_recovery_point_is_restored_by_its_job_and_tagged(drill: Drill, before: dict[str, Any]) -> None:
    drill.method = "recovery-point"
    chosen = drill.choose()
    held = ids(drill.build(chosen))
    tags = next(one for name, one in state(drill.standin).items() if name.endswith(f":db:{NAME}-db"))["TagList"]
    drill.heal()

    assert [] == held
    assert ":snapshot:awsbackup:" in chosen.pick.origin
    assert {"Key": OWNER, "Value": RUN_ID} in tags
    assert before == state(drill.standin, BOTH)
    assert [] == drill.standin.violations()


@pytest.mark.parametrize(
    "deaths",
    [
        Deaths(before="StartRestoreJob"), Deaths(answered="StartRestoreJob"), Deaths(answered="DescribeRestoreJob"),
        Deaths(before="AddTagsToResource"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_restore_job_makes_is_removed_although_nobody_tagged_it(
    drill: Drill, before: dict[str, Any], deaths: Deaths
) -> None:
    drill.method = "recovery-point"
    drill.standin.settings(restore_job_s=0.5)
    with pytest.raises(Killed):
        drill.build(drill.choose(), deaths)
    drill.standin.clear()
    drill.heal()
    drill.standin.settings(**QUICK)
    made = [one["operation"] for one in drill.standin.calls()]

    # Whoever drills may delete only what carries the tag.
    assert "DeleteDBInstance" not in made or "AddTagsToResource" in made[: made.index("DeleteDBInstance")]
    assert before == state(drill.standin, BOTH)


def test_a_copy_that_its_job_makes_between_two_looks_of_the_heal_is_removed(
    drill: Drill, before: dict[str, Any]
) -> None:
    drill.method = "recovery-point"
    drill.standin.settings(restore_job_s=2)
    with pytest.raises(Killed):
        drill.build(drill.choose(), Deaths(answered="StartRestoreJob"))
    backup = drill.standin.client("backup")

    def none_is_silent(_: str) -> None:
        until(lambda: all(one.get("CreatedResourceArn") for one in _running(backup)), 20, "the job names its copy")

    looks = iter([none_is_silent])  # after the heal's first call, whichever that is
    drill.heal(Deaths(look=lambda operation: next(looks, str)(operation)))
    drill.standin.settings(**QUICK)

    assert before == state(drill.standin, BOTH)


def _running(backup: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = backup.list_restore_jobs()["RestoreJobs"]
    return [one for one in found if one["Status"] in ("PENDING", "RUNNING")]


def test_a_restore_job_that_fails_says_why(drill: Drill, before: dict[str, Any]) -> None:
    drill.method = "recovery-point"
    copy = drill.copy(drill.choose())
    copy.isolate()
    rds = drill.standin.client("rds")
    rds.delete_db_subnet_group(DBSubnetGroupName=f"{NAME}-subnets")
    with pytest.raises(StepFailed, match=f"is FAILED: .*{NAME}-subnets"):
        copy.create(lambda _: None)
    drill.heal()

    assert before == state(drill.standin, BOTH)


def test_a_vault_without_a_complete_point_is_refused(drill: Drill) -> None:
    drill.method = "recovery-point"
    drill.standin.client("backup").create_backup_vault(BackupVaultName="empty")
    drill.environment = settings(drill.standin, {"vpc": drill.made.vpc}, backup={"vault": "empty"})

    with pytest.raises(Refused, match="the vault empty has no complete recovery point"):
        drill.choose()


def test_the_undo_of_each_part_is_written_before_it_is_asked_for(drill: Drill) -> None:
    """The names in the log are known before AWS is; that order is what makes a death at any call harmless."""
    drill.method = "snapshot"
    with pytest.raises(Killed):
        drill.build(drill.choose(), Deaths(before="RestoreDBInstanceFromDBSnapshot"))
    announced = [one.heal for one in UndoLog(drill.log).records()]
    drill.heal()

    assert ["copy:security-group", "copy:subnet-group", "copy:parameter-group", "copy:instance"] == announced
