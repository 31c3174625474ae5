"""The writer of a cluster, of Aurora or Multi-AZ, fails over to the reader that was named, politely and cut off.

The servers of a Multi-AZ cluster come with it on AWS; here they are made as those of Aurora are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_account import ALLOWED, ZONES, build, heal, inject, led_to, look, state, watching
from standin.processes import until
from standin.server import Standin
from workplaces import Workplace

from ftchaos.clock import now
from ftchaos.platforms.aws import faults

FAULT = "fail_mysql_primary"
CONFIGURATION = """\
objectives: {{sustain: 500ms, rto: 2m, p95: 2s}}
environments:
  staging:
    platform: aws
    account: "{account}"
    region: {region}
    endpoint: {endpoint}
    mysql: {{cluster: ft, secret: of-staging, database: filetransfer}}
"""


MULTI_AZ = {"DBClusterInstanceClass": "db.m5d.large", "StorageType": "io1", "AllocatedStorage": 100, "Iops": 1000}


@pytest.fixture(scope="module", params=["aurora-mysql", "mysql"])
def made(standin: Standin, request: pytest.FixtureRequest) -> Iterator[Standin]:
    engine = request.param
    more = MULTI_AZ if engine == "mysql" else {}
    with led_to(standin):
        built, rds = build(standin), standin.client("rds")
        rds.create_db_subnet_group(
            DBSubnetGroupName="staging", DBSubnetGroupDescription="staging", SubnetIds=list(built.subnets.values())
        )
        rds.create_db_cluster(
            DBClusterIdentifier="ft", Engine=engine, MasterUsername="admin", MasterUserPassword="of-staging",
            Tags=ALLOWED, DBSubnetGroupName="staging", **more,
        )  # fmt: skip
        until(lambda: rds.describe_db_clusters()["DBClusters"][0]["Status"] == "available", 30, "the cluster")
        for zone in ZONES:
            rds.create_db_instance(
                DBInstanceIdentifier=f"ft-{zone[-1]}", DBClusterIdentifier="ft", DBInstanceClass="db.t3.medium",
                Engine=engine, AvailabilityZone=zone,
            )  # fmt: skip
        _available(standin)
        secret = json.dumps({"username": "ftchaos", "password": standin.command("password")})
        standin.client("secretsmanager").create_secret(Name="of-staging", SecretString=secret)
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
        made.settings(failover_s=60)  # until it was seen: a network that is silent takes two tries to notice
        inject(made, FAULT, harm)
        witness.wait_proven(fault_at)
        made.settings(failover_s=0.5)
        heal(made, FAULT, harm)
        witness.wait(witness.all_up, 20)
    _available(made)

    assert harm.undo["move"]["to"] == look(made, mysql="ft").database().writer.name
    assert before == state(made)
    assert [] == made.violations()


def test_a_cluster_whose_writer_moves_or_has_moved_already_is_not_told_to(made: Standin) -> None:
    before = state(made)
    harm = faults.find(FAULT).plan(look(made, mysql="ft"), manner="polite")
    made.clear()
    made.settings(failover_s=60)
    made.client("rds").failover_db_cluster(DBClusterIdentifier="ft", TargetDBInstanceIdentifier=harm.undo["move"]["to"])
    moving = inject(made, FAULT, harm)
    made.settings(failover_s=0.5)
    heal(made, FAULT, harm)
    moved = inject(made, FAULT, harm)
    writer, planned = harm.undo["move"]["to"], harm.undo["move"]["writer"]

    assert "ft was told nothing: it was failing-over already" == moving
    assert f"ft was told nothing: the lead was with {writer} by then, and not with {planned}" == moved
    assert 1 == len(made.calls("FailoverDBCluster"))
    assert before == state(made)


def test_an_experiment_follows_the_writer_by_the_clusters_endpoint(made: Standin, tmp_path: Path) -> None:
    writer = look(made, mysql="ft").database().writer.name
    place = Workplace(tmp_path)
    (tmp_path / "ftchaos.yaml").write_text(
        CONFIGURATION.format(account=made.account, region=made.region, endpoint=made.endpoint)
    )
    done = place.run("experiment", "run", "mysql-primary-failover", "--environment", "staging", "--json")
    found = done.json

    assert (0, "passed", []) == (done.exit_code, found["verdict"], found["reasons"]), done.stderr
    assert {"database"} == {one["name"] for one in found["components"]}
    assert [True, True] == [one["passed"] for one in found["verification"]["checks"]]
    assert writer in {one["name"].split()[0] for one in found["verification"]["checks"]}
    assert len(found["plan"]["unasked"]) == 4
