"""A copy of an Aurora cluster as of a point in time: in full, with the one server that it is read with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from copy_account import Deaths, Drill, Killed, ground, ids, settings, state
from fault_account import led_to
from standin import staging
from standin.processes import until
from standin.server import Standin
from standin.staging import Staging

from ftchaos.mysql import session

CLUSTER = "aurora"
QUICK = dict.fromkeys(("creating_s", "backing_up_s", "modifying_s", "deleting_s", "password_s", "lag_s"), 0)


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Staging]:
    """A cluster with a writer and a reader, beside the staging's own database."""
    with led_to(standin):
        standin.reset()
        made = staging.build(standin, replicas=0, caches=False)
        standin.settings(**QUICK)
        rds = standin.client("rds")
        rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName="staging-aurora",
            DBParameterGroupFamily="aurora-mysql8.0",
            Description="staging",
        )
        rds.create_db_parameter_group(
            DBParameterGroupName="staging-aurora", DBParameterGroupFamily="aurora-mysql8.0", Description="staging"
        )
        rds.create_db_cluster(
            DBClusterIdentifier=CLUSTER, Engine="aurora-mysql", MasterUsername="admin", MasterUserPassword="secret-one",
            DBSubnetGroupName="staging", VpcSecurityGroupIds=[made.group], BackupRetentionPeriod=30,
            DeletionProtection=True, DBClusterParameterGroupName="staging-aurora",
        )  # fmt: skip
        until(lambda: _cluster(standin)["Status"] == "available", 20, "the cluster")
        for number in (0, 1):
            rds.create_db_instance(
                DBInstanceIdentifier=f"{CLUSTER}-{number}", DBClusterIdentifier=CLUSTER, Engine="aurora-mysql",
                DBInstanceClass="db.r6g.large", AvailabilityZone=staging.ZONES[number],
                DBParameterGroupName="staging-aurora",
            )  # fmt: skip
        for number in (0, 1):
            made.await_available(f"{CLUSTER}-{number}")
        yield made


def _cluster(standin: Standin) -> dict[str, Any]:
    found: dict[str, Any] = standin.client("rds").describe_db_clusters(DBClusterIdentifier=CLUSTER)["DBClusters"][0]
    return found


def _write(made: Staging, write_id: int) -> None:
    with session.reach(
        "127.0.0.1", _cluster(made.standin)["Port"], user="ftchaos", password=made.password, timeout_s=5
    ) as connection:
        session.execute(connection, [f"INSERT INTO ftchaos.ledger_writes (id, content) VALUES ({write_id}, 'x')"])


@pytest.fixture(scope="module")
def subnets(made: Staging) -> list[str]:
    return ground(made.standin)[1]


@pytest.fixture
def drill(made: Staging, subnets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    monkeypatch.setenv("FTCHAOS_STATE", str(tmp_path / "state"))
    mysql = {"mysql": {"cluster": CLUSTER}}
    return Drill(made, tmp_path / "undo.jsonl", settings(made.standin, {"subnets": subnets}, **mysql))


def test_a_cluster_is_copied_in_full_to_its_second_and_removed_with_all_that_was_made_for_it(
    drill: Drill, made: Staging
) -> None:
    _write(made, 1)
    time.sleep(1.1)
    at = datetime.now(UTC).replace(microsecond=0)
    time.sleep(1.1)
    _write(made, 2)
    before = state(made.standin)
    made.standin.clear()
    opened = drill.build(drill.choose(at))
    held = ids(opened)
    (restored,) = made.standin.calls("RestoreDBClusterToPointInTime")
    said = drill.heal()

    assert [1] == held
    assert "full-copy" == restored["params"]["RestoreType"]
    assert any("cluster" in one and "is gone" in one for one in said)
    assert before == state(made.standin)
    assert not opened.password.exists()


@pytest.mark.parametrize("call", ["RestoreDBClusterToPointInTime", "CreateDBInstance"])
def test_whoever_dies_around_a_call_leaves_nothing_of_a_cluster(drill: Drill, made: Staging, call: str) -> None:
    before = state(made.standin)
    with pytest.raises(Killed):
        drill.build(drill.choose(), Deaths(before=call))
    first = drill.heal()
    drill.log.unlink()
    counted = Deaths()
    drill.build(drill.choose(), counted)
    drill.heal()
    drill.log.unlink()
    with pytest.raises(Killed):
        drill.build(drill.choose(), Deaths(after=counted.made.index(call) + 1))
    drill.heal()

    assert first
    assert before == state(made.standin)
