"""The sweep of an environment: what a machine left that is gone itself goes when it has expired, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from copy_account import RUN_ID, Drill, ground, reach, settings, state
from fault_account import inject, led_to, look
from fault_account import state as fault_state
from standin import staging
from standin.processes import until
from standin.server import Standin
from standin.staging import Staging
from workplaces import Done, Workplace

from ftchaos.platforms.aws import copies, faults
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.copies import removal
from ftchaos.platforms.aws.copies.making import EXPIRES
from ftchaos.undo import UndoLog

CONFIGURATION = """\
environments:
  staging: {{platform: aws, account: "{account}", region: {region}, endpoint: "{endpoint}"}}
"""


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Staging]:
    with led_to(standin):
        standin.reset()
        yield staging.build(standin, replicas=0, caches=False)


@pytest.fixture(scope="module")
def subnets(made: Staging) -> list[str]:
    return ground(made.standin)[1]


@pytest.fixture
def place(made: Staging, tmp_path: Path) -> Workplace:
    """A folder of a machine that has no undo record of anything."""
    found = Workplace(tmp_path)
    configure(found, made.standin.account, made.standin)
    return found


def configure(place: Workplace, account: str, standin: Standin) -> None:
    text = CONFIGURATION.format(account=account, region=standin.region, endpoint=standin.endpoint)
    (place.folder / "ftchaos.yaml").write_text(text)


def sweep(place: Workplace, *options: str) -> Done:
    return place.run("recover", "--environment", "staging", "--json", *options)


def left(
    place: Workplace, made: Staging, subnets: list[str], expires_in: timedelta, monkeypatch: pytest.MonkeyPatch
) -> copies.Copy:
    """A whole copy, as a drill of another machine leaves it that died with that machine."""
    monkeypatch.setenv("FTCHAOS_STATE", str(place.folder / "elsewhere"))
    drill = Drill(made, place.folder / "undo.jsonl", settings(made.standin, {"subnets": subnets}))
    chosen = drill.choose()
    copy = copies.Copy(reach(made.standin), chosen, UndoLog(drill.log), RUN_ID, datetime.now(UTC) + expires_in)
    copy.isolate()
    copy.create(lambda _: None)
    copy.await_available(lambda _: None)
    return copy


def test_what_has_expired_goes_and_a_second_sweep_finds_nothing(
    made: Staging, place: Workplace, subnets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(made.standin)
    left(place, made, subnets, timedelta(seconds=-1), monkeypatch)
    looked = sweep(place, "--dry-run")
    during = state(made.standin)
    done = sweep(place)
    again = sweep(place)

    assert (0, 0, 0) == (looked.exit_code, done.exit_code, again.exit_code), done.stderr
    kinds = ["instance", "parameter-group", "subnet-group", "security-group"]
    assert kinds == [one["kind"] for one in looked.json["sweep"]["gone"]]
    assert kinds == [one["kind"] for one in done.json["sweep"]["gone"]]
    assert before != during
    assert before == state(made.standin)
    assert ([], []) == (again.json["sweep"]["gone"], again.json["sweep"]["left"])


def test_what_has_not_expired_stays_until_then(
    made: Staging, place: Workplace, subnets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = left(place, made, subnets, timedelta(hours=1), monkeypatch)
    during = state(made.standin)
    done = sweep(place)

    assert [] == done.json["sweep"]["gone"]
    assert {f"it expires at {copy._making.expires_at:%Y-%m-%dT%H:%M}"} == {
        one["why"][: len("it expires at 2026-11-28T20:00")] for one in done.json["sweep"]["left"]
    }
    assert during == state(made.standin)
    Drill(made, place.folder / "undo.jsonl", settings(made.standin, {})).heal()


def test_what_carries_but_one_of_tag_and_prefix_is_told_of_and_left_alone(made: Staging, place: Workplace) -> None:
    ec2 = made.standin.client("ec2")
    past = [{"Key": EXPIRES, "Value": "2026-01-01T00:00:00Z"}]
    groups = {
        "ftchaos-named": past,
        "stranger": [{"Key": OWNER, "Value": "20260101T000000Z-restore-0000"}, *past],
    }
    for name, tags in groups.items():
        ec2.create_security_group(
            GroupName=name, Description="planted", VpcId=made.vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )  # fmt: skip
    planted = state(made.standin)
    done = sweep(place)

    assert [] == done.json["sweep"]["gone"]
    assert set(groups) == {one["name"] for one in done.json["sweep"]["left"]}
    assert planted == state(made.standin)


def test_each_kind_goes_once_it_has_expired_and_what_has_not_stays_beside_it(made: Staging, place: Workplace) -> None:
    plant(made, "ftchaos-fresh", "2126-01-01T00:00:00Z")
    before = sorted(one["name"] for one in sweep(place, "--dry-run").json["sweep"]["left"])
    planted = plant(made, "ftchaos-old", "2026-01-01T00:00:00Z")
    done = sweep(place)
    again = sweep(place)

    assert (0, []) == (done.exit_code, done.json["sweep"]["failed"]), done.stderr
    assert planted == [one["kind"] for one in done.json["sweep"]["gone"]]
    assert {"ftchaos-old"} == {one["name"] for one in done.json["sweep"]["gone"]}
    assert before == sorted(one["name"] for one in done.json["sweep"]["left"])
    assert before.count("ftchaos-fresh") == len(planted)
    assert [] == again.json["sweep"]["gone"]


def plant(made: Staging, name: str, expires: str) -> list[str]:
    """One of each kind that is cheap to make, in the order in which they go."""
    rds, ec2 = made.standin.client("rds"), made.standin.client("ec2")
    tags = [{"Key": OWNER, "Value": RUN_ID}, {"Key": EXPIRES, "Value": expires}, {"Key": "Name", "Value": name}]

    def specified(kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tags}]

    makers: dict[str, Callable[[], object]] = {
        "cluster": lambda: rds.create_db_cluster(
            DBClusterIdentifier=name, Engine="aurora-mysql", MasterUsername="a", MasterUserPassword="not-a-secret",
            Tags=tags,
        ),
        "snapshot": lambda: rds.create_db_snapshot(
            DBSnapshotIdentifier=name, DBInstanceIdentifier=staging.INSTANCE, Tags=tags
        ),
        "parameter-group": lambda: rds.create_db_parameter_group(
            DBParameterGroupName=name, DBParameterGroupFamily="mysql8.0", Description="planted", Tags=tags
        ),
        "cluster-parameter-group": lambda: rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName=name, DBParameterGroupFamily="aurora-mysql8.0", Description="planted", Tags=tags
        ),
        "subnet-group": lambda: rds.create_db_subnet_group(
            DBSubnetGroupName=name, DBSubnetGroupDescription="planted", SubnetIds=list(made.subnets.values()), Tags=tags
        ),
        "security-group": lambda: ec2.create_security_group(
            GroupName=name, Description="planted", VpcId=made.vpc, TagSpecifications=specified("security-group")
        ),
        "network-acl": lambda: ec2.create_network_acl(VpcId=made.vpc, TagSpecifications=specified("network-acl")),
    }  # fmt: skip
    known = [kind for kind in makers if kind in (*removal.KINDS, "network-acl")]
    for kind in known:
        makers[kind]()
    return known


def test_subnets_that_a_lost_machine_cut_off_are_given_back_once_that_has_expired(
    made: Staging, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fault_state(made.standin)
    harm = faults.find("fail_zone").plan(look(made.standin), manner="partition")
    monkeypatch.setattr(faults.zone.blackhole, "KEPT", timedelta(seconds=-1))
    inject(made.standin, "fail_zone", harm)
    during = fault_state(made.standin)
    done = sweep(place)
    until(lambda: before == fault_state(made.standin), 30, "all is as it was")  # the writer's failover ends by itself

    assert 0 == done.exit_code, done.stderr
    assert ["network-acl"] == [one["kind"] for one in done.json["sweep"]["gone"]]
    assert before != during
    assert before == fault_state(made.standin)


def test_another_account_is_refused(made: Staging, place: Workplace) -> None:
    configure(place, "999999999999", made.standin)
    done = sweep(place)

    assert 5 == done.exit_code
    assert "these credentials are of the account" in done.stderr


def test_of_the_lab_nothing_outlives_its_undo(place: Workplace) -> None:
    done = place.run("recover", "--environment", "lab")

    assert 2 == done.exit_code
    assert "HINT: " in done.stderr
