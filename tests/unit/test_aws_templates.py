"""Experiment templates of AWS FIS: each flaw is found, and what one would hit is known before."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from ftchaos.errors import Refused
from ftchaos.platforms.aws import faults, templates
from ftchaos.platforms.aws.inventory import OUTSIDE, Copy, Database, Group, Instance, Inventory, Shard, Subnet

A, B = "us-east-1a", "us-east-1b"
TAG = "ftchaos=allowed"


def _target(kind: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, "resourceTags": {"ftchaos": "allowed"}, "selectionMode": "ALL", **more}


def _action(name: str, key: str, target: str, **parameters: str) -> dict[str, Any]:
    return {"actionId": name, "targets": {key: target}, "parameters": parameters}


GOOD: dict[str, Any] = {
    "id": "EXT1",
    "stopConditions": [{"source": "aws:cloudwatch:alarm", "value": "arn"}],
    "experimentOptions": {"accountTargeting": "single-account", "emptyTargetResolutionMode": "fail"},
    "targets": {
        "servers": _target(
            templates.INSTANCE,
            filters=[{"path": "Placement.AvailabilityZone", "values": [A]},
                     {"path": "State.Name", "values": ["running"]}],
        ),
        "subnets": _target(templates.SUBNET, parameters={"availabilityZoneIdentifier": A}),
        "groups": _target(templates.GROUP),
        "clusters": _target(templates.CLUSTER, parameters={"writerAvailabilityZoneIdentifiers": A}),
        "databases": _target(templates.DATABASE, parameters={"availabilityZoneIdentifiers": A}),
        "caches": _target(templates.CACHE, parameters={"availabilityZoneIdentifier": A}),
    },
    "actions": {
        "wait": {"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}},
        "stop": _action("aws:ec2:stop-instances", "Instances", "servers", startInstancesAfterDuration="PT30M"),
        "cut": _action("aws:network:disrupt-connectivity", "Subnets", "subnets", scope="all", duration="PT30M"),
        "hold": _action(
            "aws:ec2:asg-insufficient-instance-capacity-error", "AutoScalingGroups", "groups",
            availabilityZoneIdentifiers=A, duration="PT30M",
        ),
        "hand-over": _action("aws:rds:failover-db-cluster", "Clusters", "clusters"),
        "reboot": _action("aws:rds:reboot-db-instances", "DBInstances", "databases", forceFailover="true"),
        "interrupt": _action(
            "aws:elasticache:replicationgroup-interrupt-az-power", "ReplicationGroups", "caches", duration="PT30M"
        ),
    },
}  # fmt: skip
SUBNETS = (Subnet("subnet-a", A, "vpc-1", "acl-a"), Subnet("subnet-b", B, "vpc-1", "acl-b"))
STAGING = Inventory(
    place={"account": "111122223333", "region": "us-east-1"}, tag=TAG, client_zone=OUTSIDE, mysql="db", subnets=SUBNETS,
    instances=(Instance("i-a", A, "subnet-a", "running", address="10.0.0.1", port=80),
               Instance("i-off", A, "subnet-a", "stopped"), Instance("i-b", B, "subnet-b", "running")),
    groups=(Group("api", (A, B), (), {}), Group("far", (B,), (), {})),
    databases=(Database("db", "instance", Copy("db", A, "db", 3306), (Copy("db standby", B),)),
               Database("au", "aurora", Copy("au-1", A, "au", 3306), (Copy("au-2", B, "au2", 3306),)),
               Database("there", "instance", Copy("there", B, "there", 3306), (Copy("there standby", A),))),
    shards=(Shard("ft", "0001", Copy("ft-1", A, "ft1", 6379), (Copy("ft-2", B, "ft2", 6379),), multi_az=True),
            Shard("ft", "0002", Copy("ft-3", B, "ft3", 6379), (Copy("ft-4", A, "ft4", 6379),), multi_az=True)),
    template=GOOD,
)  # fmt: skip


def _of(template: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = template[kind][name]
    return found


FLAWS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda one: one["stopConditions"][0].update(source="none"), "it has no stop condition"),
    (lambda one: one["stopConditions"].clear(), "it has no stop condition"),
    (
        lambda one: one["experimentOptions"].update(emptyTargetResolutionMode="skip"),
        "emptyTargetResolutionMode is skip",
    ),
    (
        lambda one: one["experimentOptions"].update(accountTargeting="multi-account"),
        "accountTargeting is multi-account",
    ),
    (
        lambda one: _of(one, "targets", "servers").pop("resourceTags"),
        "servers does not select by the tag ftchaos=allowed",
    ),
    (
        lambda one: _of(one, "targets", "servers")["resourceTags"].update(ftchaos="no"),
        "servers does not select by the tag",
    ),
    (
        lambda one: _of(one, "targets", "caches").update(resourceArns=["arn"]),
        "caches names resources instead of the tag",
    ),
    (lambda one: _of(one, "targets", "servers").update(selectionMode="COUNT(1)"), "servers selects COUNT(1), not ALL"),
    (lambda one: _of(one, "targets", "servers")["filters"].pop(0), "servers is in any zone, not us-east-1a"),
    (
        lambda one: _of(one, "targets", "subnets")["parameters"].update(availabilityZoneIdentifier=B),
        "subnets is in us-east-1b",
    ),
    (lambda one: _of(one, "targets", "databases").pop("parameters"), "databases is in any zone, not us-east-1a"),
    (
        lambda one: _of(one, "targets", "servers")["filters"].append({"path": "VpcId", "values": ["x"]}),
        "servers filters by VpcId",
    ),
    (
        lambda one: _of(one, "actions", "stop").update(actionId="aws:ebs:pause-io"),
        "the action stop is aws:ebs:pause-io",
    ),
    (lambda one: _of(one, "actions", "stop")["parameters"].clear(), "stop has nothing as startInstancesAfterDuration"),
    (lambda one: _of(one, "actions", "cut")["parameters"].update(scope="s3"), "cut has s3 as scope, not all"),
    (
        lambda one: _of(one, "actions", "hold")["parameters"].update(availabilityZoneIdentifiers=B),
        "hold has us-east-1b as",
    ),
    (lambda one: _of(one, "actions", "reboot")["parameters"].clear(), "reboot has nothing as forceFailover, not true"),
    (lambda one: [one["actions"].pop(name) for name in [*one["actions"]] if name != "wait"], "it harms nothing"),
]


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    one = copy.deepcopy(GOOD)
    change(one)
    return one


@pytest.mark.parametrize(("change", "told"), FLAWS, ids=[told for _, told in FLAWS])
def test_flaw_of_a_template_is_found_named_and_refused(change: Callable[[dict[str, Any]], Any], told: str) -> None:
    (wrong,) = templates.objections(_changed(change), TAG, A)

    assert told in wrong
    with pytest.raises(Refused, match="the experiment template EXT1 cannot be used: "):
        faults.find("fail_zone").plan(dataclasses.replace(STAGING, template=_changed(change)), zone=A, manner="power")


def test_a_template_without_a_flaw_is_known_by_what_it_would_hit() -> None:
    harm = faults.find("fail_zone").plan(STAGING, zone=A, manner="power")

    assert [] == templates.objections(GOOD, TAG, A)
    assert {
        "servers": ["i-a"], "subnets": ["subnet-a"], "groups": ["api", "far"], "clusters": ["au"],
        "databases": ["db"], "caches": ["ft"],
    } == {name: found for name, one in harm.undo["experiment"]["hits"].items() for found in one.values()}  # fmt: skip
    assert {A, "i-a", "i-off", "subnet-a", "api there", "au-1", "db", "there standby", "ft-1", "ft-4"} == {
        target.name for target in harm.targets
    }
    assert {"i-a", "au-1", "db", "ft-1", "ft-4"} == set(harm.signs)
    assert ["ft-1", "ft-4"] == [one["primary"] for one in harm.undo["shards"]]
    assert "AWS FIS interrupted the power of us-east-1a" == harm.clause


def test_a_zone_that_has_nothing_for_a_target_is_refused() -> None:
    without = dataclasses.replace(STAGING, databases=STAGING.databases[:1])

    with pytest.raises(Refused, match="EXT1 would find nothing for clusters"):
        faults.find("fail_zone").plan(without, zone=A, manner="power")


def test_what_could_not_come_back_is_refused() -> None:
    plan = faults.find("fail_zone").plan
    spot = dataclasses.replace(STAGING.instances[0], spared="a spot instance, which may not come back")
    alone = dataclasses.replace(STAGING.shards[0], replicas=())

    with pytest.raises(Refused, match="AWS FIS would stop i-a: a spot instance"):
        plan(dataclasses.replace(STAGING, instances=(spot,)), zone=A, manner="power")
    with pytest.raises(Refused, match="no Multi-AZ with a replica in another zone"):
        plan(dataclasses.replace(STAGING, shards=(alone,)), zone=A, manner="power")
    lone = dataclasses.replace(STAGING.databases[0], others=())
    with pytest.raises(Refused, match="in one zone alone"):
        plan(dataclasses.replace(STAGING, databases=(lone, STAGING.databases[1])), zone=A, manner="power")


def test_without_a_template_nothing_is_begun() -> None:
    with pytest.raises(Refused, match="no experiment template of AWS FIS is configured"):
        faults.find("fail_zone").plan(dataclasses.replace(STAGING, template=None), zone=A, manner="power")
