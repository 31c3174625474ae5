"""The stand-in for AWS itself, held to what was measured and what the service documents, with real SQL and Redis."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis
from botocore.exceptions import ClientError
from standin import staging
from standin.processes import until
from standin.server import Standin
from standin.staging import GROUP, INSTANCE, REPLICAS, Staging

from ftchaos.errors import FtchaosError
from ftchaos.mysql import session

PATIENCE_S = 20.0


def _reach(made: Staging, name: str = INSTANCE, timeout_s: float = PATIENCE_S) -> session.Session:
    return _connect(made, made.database(name)["Endpoint"]["Port"], timeout_s)


def _connect(made: Staging, port: int, timeout_s: float = PATIENCE_S) -> session.Session:
    return session.reach(
        "127.0.0.1", port, user="ftchaos", password=made.password, timeout_s=timeout_s, answer_timeout_s=timeout_s
    )


def _write(made: Staging, write_id: int, timeout_s: float = PATIENCE_S) -> bool:
    return _insert(made, made.database()["Endpoint"]["Port"], write_id, timeout_s)


def _ids(made: Staging, name: str) -> list[int]:
    with _reach(made, name) as connection:
        return [row["id"] for row in session.rows(connection, "SELECT id FROM ftchaos.ledger_writes ORDER BY id")]


@pytest.fixture
def small(aws: Standin) -> Staging:
    """A staging without replicas and caches, which is up sooner."""
    return staging.build(aws, caches=False, replicas=0)


def _code(work: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        work(**arguments)
    return str(refusal.value.response["Error"]["Code"])


def test_replicas_have_what_was_written_to_the_database(staged: Staging) -> None:
    assert _write(staged, 1)

    for name in REPLICAS:
        assert until(lambda name=name: _ids(staged, name) == [1], 10, name)


def test_point_in_time_restore_holds_the_rows_of_its_second_and_no_later_ones(small: Staging) -> None:
    small.standin.settings(lag_s=0)
    assert _write(small, 1)
    time.sleep(1.1)
    at = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    time.sleep(1.1)
    assert _write(small, 2)
    small.standin.client("rds").restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=INSTANCE, TargetDBInstanceIdentifier="copy", RestoreTime=at
    )
    restored = small.await_available("copy")

    assert [1] == _ids(small, "copy")
    assert [1, 2] == _ids(small, INSTANCE)
    assert (False, False, "default") == (
        restored["MultiAZ"], restored["DeletionProtection"], restored["DBSubnetGroup"]["DBSubnetGroupName"],
    )  # fmt: skip


def test_restore_outside_of_its_window_is_refused(aws: Standin) -> None:
    staged = staging.build(aws, caches=False, replicas=1)
    restore = staged.standin.client("rds").restore_db_instance_to_point_in_time
    names = {"SourceDBInstanceIdentifier": INSTANCE, "TargetDBInstanceIdentifier": "copy"}
    now = datetime.datetime.now(datetime.UTC)

    assert "InvalidParameterValue" == _code(restore, **names, RestoreTime=now + datetime.timedelta(minutes=1))
    assert "InvalidParameterValue" == _code(restore, **names, RestoreTime=now - datetime.timedelta(days=99))
    assert "PointInTimeRestoreNotEnabled" == _code(
        restore, **{**names, "SourceDBInstanceIdentifier": REPLICAS[0]}, UseLatestRestorableTime=True
    )


def test_failover_breaks_connections_flips_the_zone_and_takes_writes_again(small: Staging) -> None:
    before = small.database()
    rds = small.standin.client("rds")
    with _reach(small) as connection:
        rds.reboot_db_instance(DBInstanceIdentifier=INSTANCE, ForceFailover=True)
        with pytest.raises(pymysql.err.OperationalError):
            until(lambda: not session.rows(connection, "SELECT 1"), 60, "a broken connection")
    until(lambda: _write(small, 1), 60, "a write after the failover")
    after = small.await_available()

    assert (before["AvailabilityZone"], before["SecondaryAvailabilityZone"]) == (
        after["SecondaryAvailabilityZone"], after["AvailabilityZone"],
    )  # fmt: skip
    assert before["Endpoint"] == after["Endpoint"]
    messages = [one["Message"] for one in rds.describe_events(SourceType="db-instance")["Events"]]
    assert "Multi-AZ instance failover completed" in messages


def test_failover_of_a_single_az_database_is_refused(aws: Standin) -> None:
    staging.build(aws, staging.Weaknesses(single_az=True), caches=False, replicas=0)

    assert "InvalidParameterCombination" == _code(
        aws.client("rds").reboot_db_instance, DBInstanceIdentifier=INSTANCE, ForceFailover=True
    )


def test_writer_in_a_cut_subnet_is_unreachable_until_the_standby_takes_over(small: Staging) -> None:
    ec2 = small.standin.client("ec2")
    small.standin.settings(detect_s=60)
    assert _write(small, 1)
    hole = ec2.create_network_acl(VpcId=small.vpc)["NetworkAcl"]["NetworkAclId"]
    acls = ec2.describe_network_acls(NetworkAclIds=[small.acl])["NetworkAcls"]
    writers = next(one for one in acls[0]["Associations"] if one["SubnetId"] == small.subnets["us-east-1a"])
    ec2.replace_network_acl_association(AssociationId=writers["NetworkAclAssociationId"], NetworkAclId=hole)

    assert not _write(small, 2, timeout_s=2)
    small.standin.settings(detect_s=1)
    until(lambda: _write(small, 3), 60, "a write after the standby took over")
    assert "us-east-1b" == small.await_available()["AvailabilityZone"]


def test_a_call_that_the_models_do_not_allow_is_refused_and_kept(aws: Standin) -> None:
    sts = aws.client("rds")

    assert "ValidationError" == _code(sts.describe_events, SourceType="db-castle")
    assert ["DescribeEvents: DescribeEventsMessage.SourceType: 'db-castle' is none of"] == [
        one[: one.index(" none of") + 8] for one in aws.violations()
    ]


def test_next_call_fails_as_demanded_and_only_that(aws: Standin) -> None:
    rds = aws.client("rds")
    aws.throttle("DescribeDBInstances")

    assert "Throttling" == _code(rds.describe_db_instances)
    assert [] == rds.describe_db_instances()["DBInstances"]


def test_test_failover_promotes_a_replica_for_real_one_shard_at_a_time(staged: Staging) -> None:
    caches = staged.standin.client("elasticache")
    port = staged.cache()["ConfigurationEndpoint"]["Port"]
    with redis.RedisCluster(host="127.0.0.1", port=port, socket_timeout=2) as client:
        client.set("kept", "value")
    before = _masters(staged)
    staged.standin.settings(test_failover_s=60)
    caches.test_failover(ReplicationGroupId=GROUP, NodeGroupId="0002")

    assert "InvalidReplicationGroupState" == _code(caches.test_failover, ReplicationGroupId=GROUP, NodeGroupId="0001")
    staged.standin.settings(test_failover_s=0.5)
    staged.await_cache()
    assert [GROUP + "-0002-001"] == sorted(before - _masters(staged))
    assert [GROUP + "-0002-002"] == sorted(_masters(staged) - before)
    messages = [one["Message"] for one in caches.describe_events(SourceType="cache-cluster")["Events"]]
    assert f"Finished recovery for cache nodes {GROUP}-0002-001" in messages
    with redis.RedisCluster(host="127.0.0.1", port=port, socket_timeout=2) as client:
        assert b"value" == client.get("kept")


def _masters(made: Staging) -> set[str]:
    found = set()
    nodes = made.standin.client("elasticache").describe_cache_clusters(ShowCacheNodeInfo=True)["CacheClusters"]
    for one in nodes:
        with redis.Redis(port=one["CacheNodes"][0]["Endpoint"]["Port"], socket_timeout=2) as client:
            if client.role()[0] == b"master":
                found.add(one["CacheClusterId"])
    return found


def test_backup_job_restores_the_rows_of_its_recovery_point(aws: Standin) -> None:
    made = staging.build(aws, staging.Weaknesses(backup_age_days=3), caches=False, replicas=0)
    backup = aws.client("backup")
    point = backup.list_recovery_points_by_backup_vault(BackupVaultName="staging")["RecoveryPoints"][0]
    age = datetime.datetime.now(datetime.UTC) - point["CreationDate"]
    arn = point["RecoveryPointArn"]
    assert _write(made, 1)
    said = backup.get_recovery_point_restore_metadata(BackupVaultName="staging", RecoveryPointArn=arn)
    job = backup.start_restore_job(
        RecoveryPointArn=arn,
        IamRoleArn=staging.BACKUP_ROLE,
        Metadata={**said["RestoreMetadata"], "DBInstanceIdentifier": "copy", "MultiAZ": "false"},
    )["RestoreJobId"]
    until(lambda: backup.describe_restore_job(RestoreJobId=job)["Status"] in ("COMPLETED", "FAILED"), 30, "the job")
    done = backup.describe_restore_job(RestoreJobId=job)

    assert 3 == age.days
    assert ("COMPLETED", "copy") == (done["Status"], done["CreatedResourceArn"].rpartition(":")[2])
    assert [] == _ids(made, "copy")


def test_snapshot_copied_to_another_region_takes_its_time_and_holds_the_rows(aws: Standin, small: Staging) -> None:
    made = small
    assert _write(made, 1)
    here, there = aws.client("rds"), aws.client("rds", "us-west-2")
    key = aws.client("kms", "us-west-2").create_key()["KeyMetadata"]["Arn"]
    snapshot = here.create_db_snapshot(DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier="one")["DBSnapshot"]
    copied = {"SourceDBSnapshotIdentifier": snapshot["DBSnapshotArn"], "TargetDBSnapshotIdentifier": "two"}
    until(lambda: _status(here) == "available", 60, "the snapshot")

    assert "InvalidParameterCombination" == _code(there.copy_db_snapshot, **copied)
    aws.settings(copy_s=60)
    there.copy_db_snapshot(**copied, KmsKeyId=key)
    assert "creating" == _status(there)
    aws.settings(copy_s=0.3)
    until(lambda: _status(there) == "available", 60, "the copy")
    there.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="west", DBSnapshotIdentifier="two")
    there.get_waiter("db_instance_available").wait(DBInstanceIdentifier="west", WaiterConfig={"Delay": 1})
    endpoint = there.describe_db_instances()["DBInstances"][0]["Endpoint"]
    with session.reach(endpoint["Address"], endpoint["Port"], user="ftchaos", password=made.password) as connection:
        assert [{"id": 1}] == session.rows(connection, "SELECT id FROM ftchaos.ledger_writes")


def _status(client: Any) -> str:
    return str(client.describe_db_snapshots()["DBSnapshots"][0]["Status"])


def test_teardown_is_refused_out_of_order(aws: Standin, small: Staging) -> None:
    made = small
    rds, ec2 = aws.client("rds"), aws.client("ec2")
    delete = {"DBInstanceIdentifier": INSTANCE, "SkipFinalSnapshot": True}

    assert "InvalidParameterCombination" == _code(rds.delete_db_instance, **delete)
    assert "DependencyViolation" == _code(ec2.delete_security_group, GroupId=made.group)
    assert "InvalidDBSubnetGroupStateFault" == _code(rds.delete_db_subnet_group, DBSubnetGroupName="staging")
    aws.settings(modifying_s=60)
    rds.modify_db_instance(DBInstanceIdentifier=INSTANCE, DeletionProtection=False, ApplyImmediately=True)
    assert "InvalidDBInstanceState" == _code(rds.delete_db_instance, **delete)
    aws.settings(modifying_s=0.3)
    made.await_available()
    rds.delete_db_instance(**delete)
    until(lambda: not rds.describe_db_instances()["DBInstances"], 60, "the database is gone")
    ec2.delete_security_group(GroupId=made.group)
    rds.delete_db_subnet_group(DBSubnetGroupName="staging")


def test_new_master_password_works_after_a_while(aws: Standin, small: Staging) -> None:
    made = small
    endpoint = made.database()["Endpoint"]
    aws.settings(password_s=60)
    aws.client("rds").modify_db_instance(
        DBInstanceIdentifier=INSTANCE, MasterUserPassword="another-one", ApplyImmediately=True
    )
    let_in = []
    for _ in range(2):
        try:
            with session.reach(endpoint["Address"], endpoint["Port"], user="admin", password="another-one"):
                let_in.append(True)
        except FtchaosError:
            let_in.append(False)
        aws.settings(password_s=0)
        made.await_available()

    assert [False, True] == let_in


def test_aurora_failover_to_a_named_reader_keeps_every_write_and_its_copy_is_of_its_second(
    aws: Standin, small: Staging
) -> None:
    made = small
    aws.settings(lag_s=0)
    rds = aws.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="aurora", Engine="aurora-mysql", MasterUsername="admin", MasterUserPassword="secret-one",
        DBSubnetGroupName="staging", VpcSecurityGroupIds=[made.group],
    )  # fmt: skip
    until(lambda: _cluster(rds, "aurora")["Status"] == "available", 60, "the cluster")
    for number in (0, 1):
        _member(rds, "aurora", number)
    for number in (0, 1):
        made.await_available(f"aurora-{number}")
    port = _cluster(rds, "aurora")["Port"]
    assert _insert(made, port, 1)
    rds.failover_db_cluster(DBClusterIdentifier="aurora", TargetDBInstanceIdentifier="aurora-1")
    until(lambda: _cluster(rds, "aurora")["Status"] == "available", 60, "the cluster after its failover")
    assert _insert(made, port, 2)
    time.sleep(1.1)
    at = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    time.sleep(1.1)
    assert _insert(made, port, 3)
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="copy", SourceDBClusterIdentifier="aurora", RestoreType="full-copy", RestoreToTime=at
    )
    until(lambda: _cluster(rds, "copy")["Status"] == "available", 60, "the copy")
    _member(rds, "copy", 0)
    made.await_available("copy-0")

    members = {
        one["DBInstanceIdentifier"]: one["IsClusterWriter"] for one in _cluster(rds, "aurora")["DBClusterMembers"]
    }
    assert {"aurora-0": False, "aurora-1": True} == members
    assert [1, 2, 3] == _ids(made, "aurora-1")
    assert [1, 2] == _ids(made, "copy-0")


def _cluster(rds: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
    return found


def _member(rds: Any, cluster: str, number: int) -> None:
    rds.create_db_instance(
        DBInstanceIdentifier=f"{cluster}-{number}", DBClusterIdentifier=cluster, Engine="aurora-mysql",
        DBInstanceClass="db.t3.medium", AvailabilityZone=staging.ZONES[number],
    )  # fmt: skip


def _insert(made: Staging, port: int, write_id: int, timeout_s: float = PATIENCE_S) -> bool:
    """Whether a row was written, now or before: a write may take effect although its answer is lost."""
    row = f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES ({write_id}, 'x') ON DUPLICATE KEY UPDATE id = id"
    try:
        with _connect(made, port, timeout_s) as connection:
            session.execute(connection, [row])
        return True
    except (FtchaosError, pymysql.err.MySQLError, OSError):
        return False


def test_stopped_instance_of_a_group_is_unhealthy_and_no_target(aws: Standin, small: Staging) -> None:
    made = small
    scaling = aws.client("autoscaling")
    instances = scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
    aws.client("ec2").stop_instances(InstanceIds=[instances[0]["InstanceId"]])
    after = scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
    health = aws.client("elbv2").describe_target_health(TargetGroupArn=made.targets)["TargetHealthDescriptions"]

    assert sorted(staging.ZONES) == sorted(one["AvailabilityZone"] for one in instances)
    assert ["Healthy", "Healthy", "Unhealthy"] == sorted(one["HealthStatus"] for one in after)
    assert ["healthy", "healthy", "unused"] == sorted(one["TargetHealth"]["State"] for one in health)


def test_nothing_is_left_when_who_began_the_stand_in_is_killed() -> None:
    code = (
        "from standin.server import Standin; from standin import staging; import time\n"
        "made = Standin(); staging.build(made, caches=False, replicas=0)\n"
        "print(made.folder, flush=True); time.sleep(600)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert child.stdout is not None
    folder = child.stdout.readline().strip()
    there = [argv for argv in _argv() if folder in argv]
    child.kill()
    child.wait()

    assert there
    until(lambda: not [argv for argv in _argv() if folder in argv], 60, "its processes are gone")
    until(lambda: not Path(folder).exists(), 60, "its files are gone")


def _argv() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_text() + os.readlink(process / "cwd"))
        except OSError:
            continue
    return found
