"""The stand-in for AWS itself, held to what was measured and what the service documents, with real SQL."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pymysql
import pytest
from botocore.exceptions import ClientError
from standin import staging
from standin.processes import until
from standin.server import Standin
from standin.staging import INSTANCE, REPLICAS, Staging

from ftchaos.errors import FtchaosError
from ftchaos.mysql import session


def _reach(made: Staging, name: str = INSTANCE, answer_timeout_s: float = 2) -> session.Session:
    endpoint = made.database(name)["Endpoint"]
    return session.reach(
        endpoint["Address"], endpoint["Port"], user="ftchaos", password=made.password, timeout_s=2,
        answer_timeout_s=answer_timeout_s,
    )  # fmt: skip


def _write(made: Staging, write_id: int) -> bool:
    try:
        with _reach(made) as connection:
            session.execute(connection, [f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES ({write_id}, 'x')"])
        return True
    except (FtchaosError, pymysql.err.MySQLError, OSError):
        return False


def _ids(made: Staging, name: str) -> list[int]:
    with _reach(made, name) as connection:
        return [row["id"] for row in session.rows(connection, "SELECT id FROM ftchaos.ledger_writes ORDER BY id")]


def _code(work: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        work(**arguments)
    return str(refusal.value.response["Error"]["Code"])


def test_replicas_have_what_was_written_to_the_database(staged: Staging) -> None:
    assert _write(staged, 1)

    for name in REPLICAS:
        assert until(lambda name=name: _ids(staged, name) == [1], 10, name)


def test_point_in_time_restore_holds_the_rows_of_its_second_and_no_later_ones(staged: Staging) -> None:
    staged.standin.settings(lag_s=0)
    _write(staged, 1)
    time.sleep(1.1)
    at = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    time.sleep(1.1)
    _write(staged, 2)
    staged.standin.client("rds").restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=INSTANCE, TargetDBInstanceIdentifier="copy", RestoreTime=at
    )
    restored = staged.await_available("copy")

    assert [1] == _ids(staged, "copy")
    assert [1, 2] == _ids(staged, INSTANCE)
    assert (False, False, "default") == (
        restored["MultiAZ"], restored["DeletionProtection"], restored["DBSubnetGroup"]["DBSubnetGroupName"],
    )  # fmt: skip


def test_restore_outside_of_its_window_is_refused(staged: Staging) -> None:
    restore = staged.standin.client("rds").restore_db_instance_to_point_in_time
    names = {"SourceDBInstanceIdentifier": INSTANCE, "TargetDBInstanceIdentifier": "copy"}
    now = datetime.datetime.now(datetime.UTC)

    assert "InvalidParameterValue" == _code(restore, **names, RestoreTime=now + datetime.timedelta(minutes=1))
    assert "InvalidParameterValue" == _code(restore, **names, RestoreTime=now - datetime.timedelta(days=99))
    assert "PointInTimeRestoreNotEnabled" == _code(
        restore, **{**names, "SourceDBInstanceIdentifier": REPLICAS[0]}, UseLatestRestorableTime=True
    )


def test_failover_breaks_connections_flips_the_zone_and_takes_writes_again(staged: Staging) -> None:
    before = staged.database()
    rds = staged.standin.client("rds")
    with _reach(staged) as connection:
        rds.reboot_db_instance(DBInstanceIdentifier=INSTANCE, ForceFailover=True)
        with pytest.raises(pymysql.err.OperationalError):
            until(lambda: not session.rows(connection, "SELECT 1"), 5, "a broken connection")
    until(lambda: _write(staged, 1), 20, "a write after the failover")
    after = staged.await_available()

    assert (before["AvailabilityZone"], before["SecondaryAvailabilityZone"]) == (
        after["SecondaryAvailabilityZone"], after["AvailabilityZone"],
    )  # fmt: skip
    assert before["Endpoint"] == after["Endpoint"]
    messages = [one["Message"] for one in rds.describe_events(SourceType="db-instance")["Events"]]
    assert "Multi-AZ instance failover completed" in messages


def test_failover_of_a_single_az_database_is_refused(aws: Standin) -> None:
    staging.build(aws, staging.Weaknesses(single_az=True), replicas=0)

    assert "InvalidParameterCombination" == _code(
        aws.client("rds").reboot_db_instance, DBInstanceIdentifier=INSTANCE, ForceFailover=True
    )


def test_writer_in_a_cut_subnet_is_unreachable_until_the_standby_takes_over(staged: Staging) -> None:
    ec2 = staged.standin.client("ec2")
    staged.standin.settings(detect_s=1)
    assert _write(staged, 1)
    hole = ec2.create_network_acl(VpcId=staged.vpc)["NetworkAcl"]["NetworkAclId"]
    acls = ec2.describe_network_acls(NetworkAclIds=[staged.acl])["NetworkAcls"]
    writers = next(one for one in acls[0]["Associations"] if one["SubnetId"] == staged.subnets["us-east-1a"])
    ec2.replace_network_acl_association(AssociationId=writers["NetworkAclAssociationId"], NetworkAclId=hole)

    assert not _write(staged, 2)
    until(lambda: _write(staged, 3), 20, "a write after the standby took over")
    assert "us-east-1b" == staged.await_available()["AvailabilityZone"]


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
