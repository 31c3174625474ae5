"""The writer of an Aurora cluster fails over to the reader that was named, politely and cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_account import ALLOWED, ZONES, build, heal, inject, led_to, look, state, watching
from standin.processes import until
from standin.server import Standin

from ftchaos.clock import now
from ftchaos.platforms.aws import faults

FAULT = "fail_mysql_primary"


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Standin]:
    with led_to(standin):
        built, rds = build(standin), standin.client("rds")
        rds.create_db_subnet_group(
            DBSubnetGroupName="staging", DBSubnetGroupDescription="staging", SubnetIds=list(built.subnets.values())
        )
        rds.create_db_cluster(
            DBClusterIdentifier="ft", Engine="aurora-mysql", MasterUsername="admin", MasterUserPassword="of-staging",
            Tags=ALLOWED, DBSubnetGroupName="staging",
        )  # fmt: skip
        until(lambda: rds.describe_db_clusters()["DBClusters"][0]["Status"] == "available", 30, "the cluster")
        for zone in ZONES:
            rds.create_db_instance(
                DBInstanceIdentifier=f"ft-{zone[-1]}", DBClusterIdentifier="ft", DBInstanceClass="db.t3.medium",
                Engine="aurora-mysql", AvailabilityZone=zone,
            )  # fmt: skip
        _available(standin)
        yield standin


def _available(standin: Standin) -> None:
    rds = standin.client("rds")

    def well() -> bool:
        return {one["DBInstanceStatus"] for one in rds.describe_db_instances()["DBInstances"]} == {"available"}

    until(well, 60, "the instances are available")


@pytest.mark.parametrize("manner", ["polite", "kill"])
def test_the_named_reader_takes_over(made: Standin, tmp_path: Path, manner: str) -> None:
    before = state(made)
    harm = faults.find(FAULT).plan(look(made, mysql="ft"), manner=manner)
    with watching(tmp_path, harm) as witness:
        fault_at = now()
        inject(made, FAULT, harm)
        witness.wait_proven(fault_at)
        heal(made, FAULT, harm)
        witness.wait(witness.all_up, 20)
    _available(made)

    assert harm.undo["move"]["to"] == look(made, mysql="ft").database().writer.name
    assert before == state(made)
    assert [] == made.violations()
