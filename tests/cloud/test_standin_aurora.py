"""What the stand-in does with Aurora clusters: snapshots of their volume, restores of it, and what is refused."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from copy_account import ground
from standin import staging
from standin.processes import until
from standin.server import Standin
from standin.staging import Staging

from ftchaos.mysql import session

NAME = "aurora"
FAR = "us-west-2"
MASTER = {"MasterUsername": "admin", "MasterUserPassword": "secret-one"}


@dataclass(frozen=True)
class Aurora:
    """A staging with a cluster of one writer, which all these tests share."""

    made: Staging
    rds: Any

    def cluster(self, name: str = NAME, rds: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = (rds or self.rds).describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        return found

    def await_cluster(self, name: str = NAME, rds: Any = None) -> dict[str, Any]:
        until(lambda: self.cluster(name, rds)["Status"] == "available", 30, name)
        return self.cluster(name, rds)

    def reach(self, port: int) -> session.Session:
        return session.reach(
            "127.0.0.1", port, user="ftchaos", password=self.made.password, ca=self.made.ca, timeout_s=5
        )

    def write(self, write_id: int) -> None:
        with self.reach(self.cluster()["Port"]) as connection:
            session.execute(connection, [f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES ({write_id}, 'x')"])

    def ids(self, name: str, rds: Any = None) -> list[int]:
        """The rows of a restored cluster, read through the member that it needs for that."""
        client = rds or self.rds
        self.await_cluster(name, client)
        client.create_db_instance(
            DBInstanceIdentifier=f"{name}-0", DBClusterIdentifier=name, Engine="aurora-mysql",
            DBInstanceClass="db.t3.medium",
        )  # fmt: skip
        client.get_waiter("db_instance_available").wait(
            DBInstanceIdentifier=f"{name}-0", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )
        with self.reach(self.cluster(name, client)["Port"]) as connection:
            rows = session.rows(connection, "SELECT id FROM ftchaos.ledger_writes ORDER BY id")
        return [row["id"] for row in rows]


@pytest.fixture(scope="module")
def aurora(standin: Standin) -> Iterator[Aurora]:
    standin.reset()
    made = staging.build(standin, caches=False, replicas=0)
    found = Aurora(made, standin.client("rds"))
    standin.settings(lag_s=0)
    found.rds.create_db_cluster(
        DBClusterIdentifier=NAME, Engine="aurora-mysql", EngineVersion="8.0.mysql_aurora.3.05.2", **MASTER,
        DBSubnetGroupName="staging", VpcSecurityGroupIds=[made.group],
    )  # fmt: skip
    assert [] == found.ids(NAME)
    yield found
    standin.reset()


def test_cluster_snapshot_is_copied_to_another_region_and_restored_there_with_its_rows(aurora: Aurora) -> None:
    far = aurora.made.standin.client("rds", FAR)
    vpc, subnets = ground(aurora.made.standin, FAR)
    group = aurora.made.standin.client("ec2", FAR).create_security_group(
        GroupName="copy", Description="of a copy", VpcId=vpc
    )["GroupId"]
    far.create_db_subnet_group(DBSubnetGroupName="copy", DBSubnetGroupDescription="of a copy", SubnetIds=subnets)
    aurora.write(1)
    made = aurora.rds.create_db_cluster_snapshot(DBClusterIdentifier=NAME, DBClusterSnapshotIdentifier="first")
    aurora.write(2)
    restored = {"Engine": "aurora-mysql", "DBSubnetGroupName": "copy", "VpcSecurityGroupIds": [group]}
    arn = made["DBClusterSnapshot"]["DBClusterSnapshotArn"]
    until(lambda: _snapshot(aurora.rds)["Status"] == "available", 20, "the snapshot")
    aurora.made.standin.settings(copy_s=60)
    far.copy_db_cluster_snapshot(SourceDBClusterSnapshotIdentifier=arn, TargetDBClusterSnapshotIdentifier="second")
    too_early = _code(
        far.restore_db_cluster_from_snapshot, DBClusterIdentifier="far", SnapshotIdentifier="second", **restored
    )
    aurora.made.standin.settings(copy_s=0.3)
    until(lambda: _snapshot(far)["Status"] == "available", 20, "the copy")
    wrong_region = _code(
        far.restore_db_cluster_from_snapshot, DBClusterIdentifier="far", SnapshotIdentifier="second",
        **restored | {"VpcSecurityGroupIds": [aurora.made.group]},
    )  # fmt: skip
    far.restore_db_cluster_from_snapshot(DBClusterIdentifier="far", SnapshotIdentifier="second", **restored)
    ids = aurora.ids("far", far)
    far.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="second")

    assert [1] == ids
    assert ("InvalidDBClusterSnapshotStateFault", "InvalidParameterValue") == (too_early, wrong_region)
    assert [] == far.describe_db_cluster_snapshots()["DBClusterSnapshots"]
    assert [group] == [one["VpcSecurityGroupId"] for one in aurora.cluster("far", far)["VpcSecurityGroups"]]
    assert FAR == far.describe_db_instances()["DBInstances"][0]["AvailabilityZone"][:-1]


def test_restored_cluster_falls_to_the_defaults_of_what_is_left_out(aurora: Aurora) -> None:
    aurora.rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="plain", SourceDBClusterIdentifier=NAME, UseLatestRestorableTime=True
    )
    found = aurora.await_cluster("plain")
    group = aurora.made.standin.client("ec2").describe_security_groups(
        GroupIds=[one["VpcSecurityGroupId"] for one in found["VpcSecurityGroups"]]
    )["SecurityGroups"][0]["GroupName"]
    aurora.rds.delete_db_cluster(DBClusterIdentifier="plain", SkipFinalSnapshot=True)

    assert ("default", "default", "default.aurora-mysql8.0", False, []) == (
        found["DBSubnetGroup"], group, found["DBClusterParameterGroup"], found["DeletionProtection"],
        found["DBClusterMembers"],
    )  # fmt: skip


def test_restorable_window_of_a_cluster_lags_behind(aurora: Aurora) -> None:
    standin, now = aurora.made.standin, datetime.datetime.now(datetime.UTC)
    restore = {"DBClusterIdentifier": "late", "SourceDBClusterIdentifier": NAME, "RestoreType": "full-copy"}
    standin.command("age", instance=NAME, by_s=86400)
    standin.settings(lag_s=300)
    found = aurora.cluster()
    codes = [
        _code(aurora.rds.restore_db_cluster_to_point_in_time, **restore, RestoreToTime=now - by)
        for by in (datetime.timedelta(minutes=4), datetime.timedelta(days=2))
    ]
    standin.settings(lag_s=0)

    assert 290 < (now - found["LatestRestorableTime"]).total_seconds() <= 302
    assert 86300 < (now - found["EarliestRestorableTime"]).total_seconds() < 86500
    assert ["InvalidRestoreFault"] * 2 == codes


def test_teardown_of_a_cluster_is_refused_out_of_order(aurora: Aurora) -> None:
    standin, rds = aurora.made.standin, aurora.rds
    ec2 = standin.client("ec2")
    delete = {"DBClusterIdentifier": NAME, "SkipFinalSnapshot": True}
    standin.settings(modifying_s=60)
    rds.modify_db_cluster(DBClusterIdentifier=NAME, DeletionProtection=True, ApplyImmediately=True)
    codes = [_code(rds.create_db_cluster_snapshot, DBClusterIdentifier=NAME, DBClusterSnapshotIdentifier="busy")]
    standin.settings(modifying_s=0.3, rebooting_s=60)
    aurora.await_cluster()
    codes.append(_code(rds.delete_db_cluster, **delete))
    rds.modify_db_cluster(DBClusterIdentifier=NAME, DeletionProtection=False, ApplyImmediately=True)
    aurora.await_cluster()
    codes.append(_code(rds.delete_db_cluster, **delete))
    codes.append(_code(ec2.delete_security_group, GroupId=aurora.made.group))
    rds.reboot_db_instance(DBInstanceIdentifier=f"{NAME}-0")
    codes.append(_code(rds.delete_db_instance, DBInstanceIdentifier=f"{NAME}-0"))
    standin.settings(rebooting_s=0.3)
    aurora.made.await_available(f"{NAME}-0")

    assert [
        "InvalidDBClusterStateFault", "InvalidParameterCombination", "InvalidDBClusterStateFault",
        "DependencyViolation", "InvalidDBInstanceState",
    ] == codes  # fmt: skip


def _snapshot(rds: Any) -> dict[str, Any]:
    found: dict[str, Any] = rds.describe_db_cluster_snapshots()["DBClusterSnapshots"][0]
    return found


def _code(work: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        work(**arguments)
    return str(refusal.value.response["Error"]["Code"])
