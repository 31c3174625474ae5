"""A zone loses its power by AWS FIS, from a checked template, with real servers in it; stopping it heals."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_account import (
    ALLOWED,
    ZONES,
    Made,
    build,
    die_after_each_call,
    heal,
    inject,
    led_to,
    look,
    proves_nothing,
    reach,
    state,
    watching,
)
from standin.processes import until
from standin.server import ACCOUNT, Standin

from ftchaos.clock import now
from ftchaos.config import Config
from ftchaos.errors import Refused, StepFailed
from ftchaos.options import Options
from ftchaos.platforms.aws import faults
from ftchaos.platforms.aws.platform import AwsPlatform
from ftchaos.platforms.base import Harm
from ftchaos.undo import UndoLog

FAULT = "fail_zone"
ZONE = ZONES[1]
GROUP, DATABASE = "ft-single", "file-transfer-staging"
WHOLE = ("servers", "subnets", "groups", "database", "cache")
OF_TYPE = {
    "servers": ("aws:ec2:instance", "Instances", "aws:ec2:stop-instances", {"startInstancesAfterDuration": "PT30M"}),
    "subnets": ("aws:ec2:subnet", "Subnets", "aws:network:disrupt-connectivity",
                {"scope": "all", "duration": "PT30M"}),
    "groups": ("aws:ec2:autoscaling-group", "AutoScalingGroups", "aws:ec2:asg-insufficient-instance-capacity-error",
               {"availabilityZoneIdentifiers": ZONE, "duration": "PT30M"}),
    "database": ("aws:rds:db", "DBInstances", "aws:rds:reboot-db-instances", {"forceFailover": "true"}),
    "cache": ("aws:elasticache:replicationgroup", "ReplicationGroups",
              "aws:elasticache:replicationgroup-interrupt-az-power", {"duration": "PT30M"}),
}  # fmt: skip
HELD = {
    "servers": {"filters": [{"path": "Placement.AvailabilityZone", "values": [ZONE]},
                            {"path": "State.Name", "values": ["running"]}]},
    "subnets": {"parameters": {"availabilityZoneIdentifier": ZONE}},
    "groups": {},
    "database": {"parameters": {"availabilityZoneIdentifiers": ZONE}},
    "cache": {"parameters": {"availabilityZoneIdentifier": ZONE}},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(standin: Standin) -> Iterator[Made]:
    with led_to(standin):
        built = build(standin)
        subnets = list(built.subnets.values())
        rds, caches = standin.client("rds"), standin.client("elasticache")
        rds.create_db_subnet_group(DBSubnetGroupName="ft", DBSubnetGroupDescription="ft", SubnetIds=subnets)
        rds.create_db_instance(
            DBInstanceIdentifier=DATABASE, DBInstanceClass="db.t3.medium", Engine="mysql", EngineVersion="8.0.36",
            AllocatedStorage=20, MasterUsername="admin", MasterUserPassword="of-staging", MultiAZ=True,
            DBSubnetGroupName="ft", AvailabilityZone=ZONE, Tags=ALLOWED,
        )  # fmt: skip
        caches.create_cache_subnet_group(CacheSubnetGroupName="ft", CacheSubnetGroupDescription="ft", SubnetIds=subnets)
        caches.create_replication_group(
            ReplicationGroupId=GROUP, ReplicationGroupDescription="ft", Engine="redis", NumCacheClusters=2,
            CacheNodeType="cache.t3.micro", AutomaticFailoverEnabled=True, MultiAZEnabled=True,
            CacheSubnetGroupName="ft", PreferredCacheClusterAZs=[ZONE, ZONES[2]], Tags=ALLOWED,
        )  # fmt: skip
        yield built


@pytest.fixture
def before(standin: Standin, made: Made) -> dict[str, Any]:
    """How the account stands; each test leaves it so, but for who leads."""
    standin.settings(minute_s=60, initiating_s=0.1)
    _available(standin)
    standin.clear()
    return state(standin)


def _available(standin: Standin) -> None:
    rds, caches = standin.client("rds"), standin.client("elasticache")

    def well() -> bool:
        found = [one["DBInstanceStatus"] for one in rds.describe_db_instances()["DBInstances"]]
        found += [one["Status"] for one in caches.describe_replication_groups()["ReplicationGroups"]]
        return set(found) == {"available"}

    until(well, 60, "the database and the cache are available")


def _template(standin: Standin, *parts: str, mode: str = "fail") -> str:
    tags = {"ftchaos": "allowed"}
    targets = {
        name: {"resourceType": OF_TYPE[name][0], "resourceTags": tags, "selectionMode": "ALL", **HELD[name]}
        for name in parts
    }
    actions = {
        f"take-{name}": {"actionId": action, "parameters": parameters, "targets": {key: name}}
        for name, (_, key, action, parameters) in OF_TYPE.items() if name in parts
    }  # fmt: skip
    alarm = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:uploads-fail"
    made = standin.client("fis").create_experiment_template(
        clientToken=str(uuid.uuid4()), description="AZ Availability: Power Interruption", targets=targets,
        actions=actions, stopConditions=[{"source": "aws:cloudwatch:alarm", "value": alarm}],
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/fis",
        experimentOptions={"accountTargeting": "single-account", "emptyTargetResolutionMode": mode},
    )  # fmt: skip
    return str(made["experimentTemplate"]["id"])


def _configured(standin: Standin) -> Config:
    return Config.model_validate(
        {
            "environments": {
                "staging": {
                    "platform": "aws", "account": standin.account, "region": standin.region,
                    "endpoint": standin.endpoint, "mysql": {"instance": DATABASE, "secret": "ftchaos/staging/mysql"},
                }
            }
        }
    )  # fmt: skip


def _plan(standin: Standin, template: str) -> Harm:
    inventory = look(standin, mysql=DATABASE, redis=GROUP, template=template)
    return faults.find(FAULT).plan(inventory, zone=ZONE, manner="power")


def _experiment(standin: Standin) -> dict[str, Any]:
    """The newest of them."""
    fis = standin.client("fis")
    found: dict[str, Any] = fis.get_experiment(id=fis.list_experiments()["experiments"][-1]["id"])["experiment"]
    return found


def test_an_experiment_takes_the_zone_is_seen_and_heals_when_it_is_stopped(
    standin: Standin, made: Made, before: dict[str, Any], tmp_path: Path
) -> None:
    harm = _plan(standin, _template(standin, *WHOLE))
    signs = {name: sign for name, sign in harm.signs.items() if name != made.running[ZONE]}  # nothing real is there
    seen = Harm(harm.clause, harm.targets, signs, harm.undo, harm.hits)
    quiet = proves_nothing(tmp_path, seen)
    standin.clear()
    with watching(tmp_path, seen) as witness:
        fault_at = now()
        standin.settings(failover_s=60)  # until it was seen, as a network that is silent takes two tries to notice
        said = inject(standin, FAULT, harm)
        witness.wait_proven(fault_at)
        standin.settings(failover_s=0.5)
        during = state(standin)
        healed = heal(standin, FAULT, harm)
        witness.wait(witness.all_up, 20)
    _available(standin)
    (hole,) = during.keys() - before.keys()

    assert quiet
    assert {DATABASE, f"{GROUP}-001"} == set(signs)
    assert {"zone", "instance", "subnet", "auto-scaling-group", "mysql", "redis-cluster"} == {
        target.kind for target in harm.targets
    }
    assert {ZONE} == {target.zone for target in harm.targets}
    assert "of AWS FIS runs" in said
    assert ("stopped", hole) == (during[made.running[ZONE]][0], during[made.subnets[ZONE]])
    assert "running" == during[made.running[ZONES[0]]][0]
    assert ("stopped", "stopped") == (_experiment(standin)["state"]["status"], healed.split(" (")[0].split()[-1])
    assert {"StartExperiment", "StopExperiment"} == {
        call["operation"] for call in standin.calls() if call["operation"].startswith(("Start", "Stop", "Fail", "Reb"))
    }
    assert ZONE not in {look(standin).database().writer.zone, look(standin, redis=GROUP).cache()[0].primary.zone}
    assert before == state(standin)
    assert [] == standin.violations()


def test_whoever_dies_after_any_call_is_made_up_for(
    standin: Standin, made: Made, before: dict[str, Any], impatient: None
) -> None:
    standin.settings(initiating_s=0)
    template = _template(standin, "servers", "subnets")

    def whole() -> None:
        assert (before, "stopped") == (state(standin), _experiment(standin)["state"]["status"])

    injected, healed = die_after_each_call(standin, FAULT, lambda: _plan(standin, template), whole)

    assert injected >= 3
    assert healed >= 6


def test_an_experiment_whose_begin_was_not_answered_is_stopped_too(
    standin: Standin, made: Made, before: dict[str, Any], impatient: None
) -> None:
    harm = _plan(standin, _template(standin, "servers"))
    standin.fail_next("StartExperiment", "ValidationException", after=True)
    with pytest.raises(StepFailed, match="ValidationException"):
        inject(standin, FAULT, harm)
    heal(standin, FAULT, harm)

    assert "stopped" == _experiment(standin)["state"]["status"]
    assert before == state(standin)


def test_what_fis_leaves_behind_is_mended(
    standin: Standin, made: Made, before: dict[str, Any], impatient: None
) -> None:
    harm = _plan(standin, _template(standin, "servers", "subnets"))
    inject(standin, FAULT, harm)
    standin.command("stay_down", yes=True)
    said = heal(standin, FAULT, harm)
    standin.command("stay_down", yes=False)
    after = state(standin)
    left = after.keys() - before.keys()
    for acl in left:
        standin.client("ec2").delete_network_acl(NetworkAclId=acl)

    assert "1 instances run again" in said
    assert "1 subnets have their network again" in said
    assert before == {name: now for name, now in after.items() if name not in left}


def test_what_recovers_because_the_experiment_ended_by_itself_is_no_recovery(
    standin: Standin, made: Made, before: dict[str, Any], impatient: None, tmp_path: Path
) -> None:
    platform = AwsPlatform(_configured(standin), Options(environment="staging"))
    harm = _plan(standin, _template(standin, "servers"))
    platform.inject(FAULT, harm, UndoLog(tmp_path / "undo.jsonl"), lambda: None)
    during = faults.ended(reach(standin), harm.undo)
    standin.settings(minute_s=0)
    until(lambda: _experiment(standin)["state"]["status"] == "completed", 10, "the experiment completes")

    assert "" == during
    assert "is completed (Experiment completed) before its zone was healed" in platform.writer_in_place()
    assert "is completed (Experiment completed) since " in heal(standin, FAULT, harm)
    assert [] == standin.calls("StopExperiment")
    assert before == state(standin)


def test_what_fis_passes_over_misses_or_hits_beyond_the_plan_is_no_fault(
    standin: Standin, made: Made, before: dict[str, Any], impatient: None
) -> None:
    ec2, instance = standin.client("ec2"), made.running[ZONE]
    strict, lax = _template(standin, "servers", "subnets"), _template(standin, "servers", "subnets", mode="skip")
    harm = _plan(standin, strict)
    hits = harm.undo["experiment"]
    ec2.delete_tags(Resources=[instance], Tags=ALLOWED)
    for template, told in ((strict, "is failed .*returned empty set: servers"), (lax, "take-servers was skipped")):
        with pytest.raises(StepFailed, match=told):
            inject(standin, FAULT, Harm(harm.clause, (), {}, {**harm.undo, "experiment": {
                **hits, "template": template, "token": uuid.uuid4().hex}}, ()))  # fmt: skip
        standin.client("fis").stop_experiment(id=_experiment(standin)["id"])
        until(lambda: _experiment(standin)["state"]["status"] in ("failed", "stopped"), 10, "the experiment ends")
    ec2.create_tags(Resources=[instance], Tags=ALLOWED)
    moved = {**hits, "hits": {"servers": {"aws:ec2:instance": []}, "subnets": hits["hits"]["subnets"]}}
    with pytest.raises(StepFailed, match=f"hit {instance}, which was not planned"):
        inject(standin, FAULT, Harm(harm.clause, (), {}, {**harm.undo, "experiment": moved}, ()))
    heal(standin, FAULT, harm)

    assert before == state(standin)


def test_a_template_that_passes_over_what_it_does_not_find_is_refused(standin: Standin, made: Made) -> None:
    with pytest.raises(Refused, match="its emptyTargetResolutionMode is skip, not fail"):
        _plan(standin, _template(standin, "servers", mode="skip"))
