"""An account to be harmed: what carries the tag beside what does not, and its whole state, object by object."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from standin.server import Standin

from ftchaos import witness
from ftchaos.clock import now
from ftchaos.platforms.aws import faults, survey
from ftchaos.platforms.aws.access import Access, Call, Place
from ftchaos.platforms.aws.calls import CALLS
from ftchaos.platforms.aws.inventory import OUTSIDE, Inventory
from ftchaos.platforms.aws.inventory import tags as inventory_tags
from ftchaos.platforms.base import Harm

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ALLOWED = [{"Key": "ftchaos", "Value": "allowed"}]
ALLOWED_CALLS = {one.name for one in CALLS if one.kind in ("read", "faults")}
AMI = "ami-12c6146b"


class Killed(BaseException):
    """Stands for the end of the process after a call; nothing that catches errors catches it."""


@dataclass
class Calls:
    """The calls of one access, which ends right after one of them if it is told so."""

    until: int = sys.maxsize
    made: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> None:
        if call.operation == "GetCallerIdentity":
            return
        self.made.append(f"{call.service}:{call.operation}")
        assert self.made[-1] in ALLOWED_CALLS
        if len(self.made) >= self.until:
            raise Killed(f"after {self.made[-1]}")


@contextmanager
def led_to(standin: Standin) -> Iterator[None]:
    """The environment leads ftchaos to the stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in standin.environment.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        yield


class _Hook:
    """Leads the calls of an access that is used again to whoever counts them now."""

    def __init__(self) -> None:
        self.calls = Calls()

    def __call__(self, call: Call) -> None:
        self.calls(call)


_hook = _Hook()


@functools.cache
def _access(endpoint: str, account: str, region: str) -> Access:
    return Access(Place("staging", account, region, endpoint=endpoint), _hook)


def reach(standin: Standin, calls: Calls | None = None) -> Access:
    """Access to the stand-in; the same one each time, as sessions of botocore are dear to make."""
    _hook.calls = calls or Calls()
    return _access(standin.endpoint, standin.account, standin.region)


def look(standin: Standin, calls: Calls | None = None, **more: Any) -> Inventory:
    return survey.take(reach(standin, calls), client_zone=OUTSIDE, **more)


def inject(standin: Standin, fault: str, harm: Harm, calls: Calls | None = None) -> str:
    return faults.find(fault).inject(reach(standin, calls), harm)


def heal(standin: Standin, fault: str, harm: Harm, calls: Calls | None = None) -> str:
    """Heal from what the undo log has kept, as another process does."""
    kept: Mapping[str, Any] = json.loads(json.dumps(dict(harm.undo)))
    return faults.find(fault).heal(reach(standin, calls), kept)


def die_after_each_call(standin: Standin, fault: str, plan: Callable[[], Harm], whole: Callable[[], None]) -> list[int]:
    """Let an injection die after each of its calls, then a heal, and heal after each death.

    Args:
        whole: asserts that all is as before.

    Returns:
        How many calls the injection and the heal made.
    """
    calls = []
    for act in (inject, heal):
        died = 1
        while True:
            harm = plan()
            if act is heal:
                inject(standin, fault, harm)
            try:
                act(standin, fault, harm, Calls(until=died))
            except Killed:
                heal(standin, fault, harm)
                whole()
                died += 1
            else:
                heal(standin, fault, harm)
                whole()
                calls.append(died - 1)
                break
    return calls


@dataclass(frozen=True)
class Made:
    """The account's parts that tests name."""

    subnets: Mapping[str, str]
    running: Mapping[str, str]
    stopped: str
    spot: str
    untagged: str


def build(standin: Standin) -> Made:
    """Three zones in an empty account; in the first also what must not be touched."""
    standin.reset()
    ec2 = standin.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    subnets, public, running = {}, {}, {}
    for number, zone in enumerate(ZONES):
        tags = [{"ResourceType": "subnet", "Tags": ALLOWED}]
        where = {"VpcId": vpc, "AvailabilityZone": zone}
        subnets[zone] = ec2.create_subnet(CidrBlock=f"10.30.{16 * number}.0/20", TagSpecifications=tags, **where)[
            "Subnet"
        ]["SubnetId"]
        public[zone] = ec2.create_subnet(CidrBlock=f"10.30.{16 * number + 128}.0/20", **where)["Subnet"]["SubnetId"]
        running[zone] = _instance(standin, subnets[zone])
    # An ACL of its own, as not every subnet has the VPC's.
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    for egress in (False, True):
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=100, Protocol="-1", RuleAction="allow", Egress=egress, CidrBlock="0.0.0.0/0"
        )
    association = survey.associations(reach(standin), [vpc])[subnets[ZONES[0]]][0]
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)
    stopped = _instance(standin, subnets[ZONES[0]])
    ec2.stop_instances(InstanceIds=[stopped])
    spot = _instance(standin, subnets[ZONES[0]], InstanceMarketOptions={"MarketType": "spot"})
    untagged = _instance(standin, public[ZONES[0]], tagged=False)
    _groups(standin, list(subnets.values()))
    balancing = standin.client("elbv2")
    for name, tags in (("public", ALLOWED), ("untagged", [{"Key": "environment", "Value": "staging"}])):
        balancing.create_load_balancer(Name=name, Subnets=list(public.values()), Tags=tags)
    standin.clear()
    return Made(subnets, running, stopped, spot, untagged)


def _instance(standin: Standin, subnet: str, *, tagged: bool = True, **more: Any) -> str:
    tags = [*ALLOWED, {"Key": survey.PORT_TAG, "Value": "8080"}] if tagged else [{"Key": "environment", "Value": "x"}]
    made = standin.client("ec2").run_instances(
        ImageId=AMI, MinCount=1, MaxCount=1, SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}], **more,
    )  # fmt: skip
    return str(made["Instances"][0]["InstanceId"])


def _groups(standin: Standin, subnets: list[str]) -> None:
    standin.client("ec2").create_launch_template(
        LaunchTemplateName="staging", LaunchTemplateData={"ImageId": AMI, "InstanceType": "t3.small"}
    )
    scaling = standin.client("autoscaling")
    for name, tags in (("api", ALLOWED), ("alone", ALLOWED), ("untagged", [])):
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=3, DesiredCapacity=0,
            LaunchTemplate={"LaunchTemplateName": "staging"},
            VPCZoneIdentifier=subnets[0] if name == "alone" else ",".join(subnets),
            Tags=[{**tag, "PropagateAtLaunch": True} for tag in tags],
        )  # fmt: skip
    scaling.suspend_processes(AutoScalingGroupName="alone", ScalingProcesses=["AZRebalance", "AlarmNotification"])


def state(standin: Standin) -> dict[str, Any]:
    """Everything that a fault of AWS may change or leave behind, by the name of the object."""
    ec2, found = standin.client("ec2"), {}
    for acl in ec2.describe_network_acls()["NetworkAcls"]:
        found[acl["NetworkAclId"]] = [acl["Entries"], acl["Tags"]]
        found |= {one["SubnetId"]: acl["NetworkAclId"] for one in acl["Associations"]}
    for reservation in ec2.get_paginator("describe_instances").paginate().build_full_result()["Reservations"]:
        for one in reservation["Instances"]:
            found[one["InstanceId"]] = [one["State"]["Name"], one["SubnetId"], inventory_tags(one)]
    for group in standin.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
        suspended = sorted(one["ProcessName"] for one in group["SuspendedProcesses"])
        found[group["AutoScalingGroupName"]] = [group["VPCZoneIdentifier"], group["AvailabilityZones"], suspended]
    for one in standin.client("elbv2").describe_load_balancers()["LoadBalancers"]:
        found[one["LoadBalancerArn"]] = sorted(
            (zone["ZoneName"], zone["SubnetId"]) for zone in one["AvailabilityZones"]
        )
    for one in standin.client("elasticache").describe_replication_groups()["ReplicationGroups"]:
        found[one["ARN"]] = [
            [one["Status"], one["AutomaticFailover"], one["MultiAZ"]],
            sorted(one["MemberClusters"]),
            [each["Status"] for each in one["NodeGroups"]],
        ]
    for one in standin.client("rds").describe_db_instances()["DBInstances"]:
        found[one["DBInstanceArn"]] = [one["DBInstanceStatus"], one["MultiAZ"], one["Endpoint"]]
    return found


class Watching:
    """The witness of real runs, on the signs of a fault."""

    def __init__(self, folder: Path, harm: Harm) -> None:
        self.signs = list(harm.signs)
        self.file = folder / f"witness-{time.monotonic_ns()}.jsonl"
        config = self.file.with_suffix(".json")
        config.write_text(
            json.dumps({"observations": str(self.file), "targets": dict(harm.signs), "parent_pid": os.getpid()})
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ftchaos.witness", str(config)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def all_up(self) -> bool:
        """Whether by the newest observations nothing is down."""
        return {one.target: one.up for one in witness.read(self.file)} == dict.fromkeys(self.signs, True)

    def wait(self, so: Callable[[], bool], timeout_s: float) -> None:
        """Wait until something is so; what was seen is the message if it is not."""
        deadline = time.monotonic() + timeout_s
        while not so():
            assert time.monotonic() < deadline, witness.changes(witness.read(self.file))
            time.sleep(0.02)

    def wait_proven(self, fault_at: float, timeout_s: float = 20) -> None:
        """Wait until all signs were seen going down."""
        self.wait(lambda: witness.proven_at(witness.read(self.file), self.signs, fault_at) is not None, timeout_s)


@contextmanager
def watching(folder: Path, harm: Harm) -> Iterator[Watching]:
    """A witness that sees all signs up when the block begins."""
    one = Watching(folder, harm)
    try:
        one.wait(one.all_up, 15)
        yield one
        assert one.process.poll() is None
    finally:
        one.process.kill()
        one.process.wait()


def proves_nothing(folder: Path, harm: Harm) -> bool:
    """Whether the witness sees nothing of a fault that is planned and not injected."""
    with watching(folder, harm) as one:
        fault_at = now()
        one.wait(lambda: len(witness.read(one.file)) > 3 * len(one.signs), 10)
        return witness.proven_at(witness.read(one.file), one.signs, fault_at) is None
