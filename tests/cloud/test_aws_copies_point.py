"""Copies as of a point in time: they hold the rows of their instant, stand apart, and leave nothing behind."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from copy_account import RUN_ID, Deaths, Drill, Killed, ground, ids, mend, reach, settings, state, write
from fault_account import led_to
from standin import staging
from standin.server import Standin
from standin.staging import Staging

from ftchaos.clock import iso
from ftchaos.errors import FtchaosError, HealFailed, Invalid, Refused, StepFailed
from ftchaos.mysql import session
from ftchaos.platforms.aws import copies, heals
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.undo import UndoLog

QUICK = dict.fromkeys(("creating_s", "backing_up_s", "modifying_s", "deleting_s", "password_s"), 0)
NAME = "ftchaos-20261123t061500z-restore-7f3a"


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Staging]:
    with led_to(standin):
        standin.reset()
        made = staging.build(standin, replicas=0, caches=False)
        standin.settings(**QUICK)
        yield made


@pytest.fixture(scope="module")
def subnets(made: Staging) -> list[str]:
    return ground(made.standin)[1]


@pytest.fixture
def drill(made: Staging, subnets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    made.standin.clear()
    return Drill(made, tmp_path / "undo.jsonl", settings(made.standin, {"subnets": subnets}))


@pytest.fixture
def before(drill: Drill) -> dict[str, Any]:
    """How the account stands; each test leaves it so."""
    drill.made.await_available()
    return state(drill.standin)


def test_a_copy_holds_the_rows_of_its_instant_and_its_removal_leaves_the_account_as_before(
    drill: Drill, before: dict[str, Any]
) -> None:
    write(drill.made, 1)
    time.sleep(1.1)
    at = datetime.now(UTC).replace(microsecond=0)
    time.sleep(1.1)
    write(drill.made, 2)
    time.sleep(1.1)
    chosen = drill.choose(at)
    opened = drill.build(chosen)
    held = ids(opened)
    mode = stat.S_IMODE(opened.password.stat().st_mode)
    kept = drill.log.read_text()
    password = opened.password.read_text()
    group = next(one for one in state(drill.standin).values() if one.get("GroupName") == f"{NAME}-clients")
    drill.heal()

    assert at == chosen.taken_at
    assert [1] == held
    assert 0o600 == mode
    assert password not in kept
    assert not opened.password.exists()
    assert [] == group["IpPermissionsEgress"]
    assert [(chosen.port, chosen.port, ["127.0.0.1/32"])] == [
        (one["FromPort"], one["ToPort"], [each["CidrIp"] for each in one["IpRanges"]]) for one in group["IpPermissions"]
    ]
    assert before == state(drill.standin)
    assert [] == drill.standin.violations()


def test_every_parameter_of_the_restore_is_given(drill: Drill) -> None:
    drill.build(drill.choose())
    drill.heal()
    (call,) = drill.standin.calls("RestoreDBInstanceToPointInTime")
    given = call["params"]

    assert {
        "DBInstanceClass": "db.t3.medium", "DBSubnetGroupName": f"{NAME}-subnets", "MultiAZ": False,
        "DBParameterGroupName": f"{NAME}-parameters", "PubliclyAccessible": False, "DeletionProtection": False,
        "AutoMinorVersionUpgrade": False, "CopyTagsToSnapshot": False, "BackupRetentionPeriod": 0,
        "OptionGroupName": "default:mysql-8-0", "StorageType": "gp2",
    }.items() <= given.items()  # fmt: skip
    assert {OWNER: RUN_ID, "Name": f"{NAME}-db"}.items() <= {one["Key"]: one["Value"] for one in given["Tags"]}.items()


def test_events_that_are_scheduled_do_not_fire_in_a_copy_and_other_parameters_are_the_sources(drill: Drill) -> None:
    rds = drill.standin.client("rds")
    rds.modify_db_parameter_group(
        DBParameterGroupName="staging-mysql80",
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "immediate"}
            for name, value in {"max_connections": "77", "event_scheduler": "ON"}.items()
        ],
    )
    opened = drill.build(drill.choose())
    with session.reach(
        opened.host, opened.port, user=opened.user, password=opened.password.read_text(), ca=opened.ca
    ) as connection:
        seen = session.rows(connection, "SELECT @@event_scheduler AS events, @@max_connections AS connections")
    drill.heal()

    assert [{"events": "OFF", "connections": 77}] == seen


def test_the_last_restorable_instant_is_named_to_the_second(drill: Drill) -> None:
    earliest = datetime.now(UTC)
    chosen = drill.choose()
    latest = datetime.now(UTC)

    assert chosen.taken_at == chosen.restorable_at
    # It lies a second back, and is a whole one.
    assert earliest - timedelta(seconds=2) < chosen.taken_at <= latest - timedelta(seconds=1)


@pytest.mark.parametrize("off_s", [-365 * 86400, 60])
def test_a_time_outside_of_the_restorable_window_is_refused(drill: Drill, off_s: int) -> None:
    at = datetime.now(UTC) + timedelta(seconds=off_s)

    with pytest.raises(Refused, match=f"cannot be restored to {iso(at.replace(microsecond=0))}"):
        drill.choose(at)


def test_a_source_that_is_not_available_is_refused(drill: Drill) -> None:
    drill.standin.settings(rebooting_s=60)
    drill.standin.client("rds").reboot_db_instance(DBInstanceIdentifier=staging.INSTANCE)

    with pytest.raises(Refused, match="is rebooting, not available"):
        drill.choose()
    drill.standin.settings(rebooting_s=0.3)
    drill.made.await_available()


def test_a_source_without_backups_is_refused(drill: Drill) -> None:
    rds = drill.standin.client("rds")
    for days, wanted in ((0, "its retention is 0"), (30, "")):
        rds.modify_db_instance(DBInstanceIdentifier=staging.INSTANCE, BackupRetentionPeriod=days, ApplyImmediately=True)
        drill.made.await_available()
        try:
            drill.choose()
            said = ""
        except Refused as error:
            said = error.fact

        assert said.endswith(wanted)
        assert bool(said) == bool(wanted)


@pytest.mark.parametrize(
    ("place", "wrong", "words"),
    [
        ({}, Invalid, "does not say where"),
        ({"subnets": ["subnet-0123abcd", "subnet-4567cdef"]}, Refused, "there is no subnet-0123abcd, subnet-4567cdef"),
        ({"vpc": "vpc-0123abcd"}, Refused, "are in no zone"),
    ],
)
def test_a_place_that_is_none_is_refused(
    drill: Drill, place: dict[str, Any], wrong: type[FtchaosError], words: str
) -> None:
    drill.environment = settings(drill.standin, place)

    with pytest.raises(wrong, match=words):
        drill.choose()


def test_of_a_vpc_one_subnet_is_taken_in_each_zone(drill: Drill) -> None:
    drill.environment = settings(drill.standin, {"vpc": drill.made.vpc, "clients": ["10.20.0.0/16"]})
    chosen = drill.choose()

    assert sorted(drill.made.subnets.values()) == sorted(chosen.ground.subnets)
    assert ("10.20.0.0/16",) == chosen.ground.clients


def test_a_method_that_nobody_knows_is_named() -> None:
    with pytest.raises(Invalid, match="a copy cannot be made by 'telepathy'"):
        copies.find("telepathy")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("KMSKeyNotAccessibleFault", "kms:CreateGrant"),
        ("InstanceQuotaExceeded", "Service Quotas"),
        ("InsufficientDBInstanceCapacity", "another drill.class"),
    ],
)
def test_a_restore_that_is_refused_says_what_to_do_and_leaves_nothing(
    code: str, hint: str, drill: Drill, before: dict[str, Any]
) -> None:
    drill.standin.fail_next("RestoreDBInstanceToPointInTime", code)
    with pytest.raises(StepFailed, match=code) as refused:
        drill.build(drill.choose())
    drill.heal()

    assert hint in refused.value.hint
    assert before == state(drill.standin)


def test_a_copy_in_the_default_security_group_is_found_out(drill: Drill, before: dict[str, Any]) -> None:
    def forget(params: dict[str, Any], **_: Any) -> None:
        params.pop("VpcSecurityGroupIds", None)

    copy = drill.copy(drill.choose())
    copy.isolate()
    client = reach(drill.standin).client("rds", once=True)
    event = "provide-client-params.rds.RestoreDBInstanceToPointInTime"
    client.meta.events.register(event, forget)
    try:
        copy.create(lambda _: None)
    finally:
        client.meta.events.unregister(event, forget)
    with pytest.raises(StepFailed, match=rf"the copy {NAME}-db is in the security group sg-\w+, not in sg-"):
        copy.await_available(lambda _: None)
    drill.heal()

    assert before == state(drill.standin)


def test_whoever_dies_after_any_call_of_the_making_leaves_nothing_behind(drill: Drill, before: dict[str, Any]) -> None:
    chosen = drill.choose()
    died = 0
    while True:
        deaths = Deaths(after=died + 1)
        try:
            drill.build(chosen, deaths)
        except Killed:
            died += 1
            drill.heal()

            assert before == state(drill.standin), f"left behind by a death after {deaths.made}"
            assert [] == list((drill.log.parent / "state").rglob("*.password"))
            drill.log.unlink()
        else:
            drill.heal()
            break

    assert died >= 12
    assert before == state(drill.standin)


@pytest.mark.parametrize(
    "create",
    ["CreateSecurityGroup", "CreateDBSubnetGroup", "CreateDBParameterGroup", "RestoreDBInstanceToPointInTime"],
)
def test_what_was_announced_and_never_asked_for_is_not_missed(
    drill: Drill, before: dict[str, Any], create: str
) -> None:
    with pytest.raises(Killed):
        drill.build(drill.choose(), Deaths(before=create))
    said = drill.heal()

    assert said[0].startswith("there was no ")
    assert before == state(drill.standin)


def test_whoever_dies_after_any_call_of_a_removal_can_be_followed_by_another(
    drill: Drill, before: dict[str, Any]
) -> None:
    opened = drill.build(drill.choose())
    died = 0
    for record in reversed(drill.records()):
        until = 1
        while True:
            try:
                reach(drill.standin, Deaths(after=until))
                mend(record)
            except Killed:
                until += 1
                died += 1
            else:
                break

    assert died >= 10
    assert before == state(drill.standin)
    assert not opened.password.exists()
    assert ["there was no password", *[f"there was no {kind} {NAME}-{end}" for kind, end in (
        ("instance", "db"), ("parameter group", "parameters"), ("subnet group", "subnets"),
        ("security group", "clients"),
    )]] == drill.heal()  # fmt: skip


def test_a_copy_is_healed_from_its_log_alone_while_it_is_still_created_and_protected(
    drill: Drill, before: dict[str, Any]
) -> None:
    drill.standin.settings(creating_s=1, backing_up_s=1, modifying_s=0.3)
    copy = drill.copy(drill.choose())
    copy.isolate()
    copy.create(lambda _: None)
    copy.await_available(lambda _: None)
    drill.standin.client("rds").modify_db_instance(
        DBInstanceIdentifier=copy.name, DeletionProtection=True, ApplyImmediately=True
    )
    healing = UndoLog(drill.log).heal(heals.heal)
    drill.standin.settings(**QUICK)

    assert [] == healing.failed
    assert before == state(drill.standin)


def test_what_does_not_carry_the_tag_of_the_run_is_left_alone_and_named(drill: Drill, before: dict[str, Any]) -> None:
    drill.copy(drill.choose()).isolate()
    rds = drill.standin.client("rds")
    arn = next(one for one in state(drill.standin) if one.endswith(f":{NAME}-subnets"))
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=[OWNER])
    (record,) = [one for one in drill.records() if one.heal == "copy:subnet-group"]
    with pytest.raises(HealFailed, match=f"does not carry the tag {OWNER}={RUN_ID}, and is left alone"):
        mend(record)
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": OWNER, "Value": RUN_ID}])
    drill.heal()

    assert before == state(drill.standin)


def test_a_record_that_names_what_is_not_ours_harms_nothing(drill: Drill, before: dict[str, Any]) -> None:
    drill.copy(drill.choose()).isolate()
    for record in drill.records():
        kept = {**record.arguments, "name": staging.INSTANCE}
        with pytest.raises(HealFailed, match="is no name that ftchaos gives"):
            copies.removal.heal(reach(drill.standin), "instance", kept)
    drill.heal()

    assert before == state(drill.standin)
