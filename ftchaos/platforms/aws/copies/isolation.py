"""What keeps a copy to itself: a security group, a subnet group and parameter groups of its own.

A copy holds real data: only the drill's clients reach it, and it reaches nobody. Events that are scheduled in the
database must not fire in it, as they would do for a second time what they do in the source.

Parameter groups are made anew with the source's own values rather than copied: a default group cannot be copied, nor
one of another region.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated
from ftchaos.platforms.aws.copies.making import Making

SEEN_S = 60.0
AT_ONCE = 20
"""Parameters that one ModifyDBParameterGroup takes. Source: RDS API reference."""
SCHEDULER = "event_scheduler"
OFF = {"ParameterName": SCHEDULER, "ParameterValue": "OFF", "ApplyMethod": "immediate"}


def isolate(making: Making, chosen: Chosen) -> Isolated:
    """Make all that a copy is put into; the undo of each is on disk before it is made."""
    return Isolated(
        _security_group(making, chosen),
        _subnet_group(making, chosen),
        _parameter_group(making, chosen),
        _cluster_parameter_group(making, chosen) if chosen.is_cluster else "",
    )


def _security_group(making: Making, chosen: Chosen) -> str:
    name = making.announce("security-group", vpc=chosen.ground.vpc)
    client = making.client("ec2")
    made = making.client("ec2", once=True).create_security_group(
        GroupName=name, Description=f"Clients of the restored copy of {chosen.source}", VpcId=chosen.ground.vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": making.tags("security-group")}],
    )["GroupId"]  # fmt: skip
    which = [{"Name": "group-id", "Values": [made]}]

    def look() -> list[dict[str, Any]]:
        return list(making.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=which))

    seen = making.access.until(look, bool, SEEN_S, f"the security group {made} is seen", making.pace_s)
    if everywhere := seen[0]["IpPermissionsEgress"]:
        client.revoke_security_group_egress(GroupId=made, IpPermissions=everywhere)
    ranges = [{"CidrIp": one, "Description": "clients of the drill"} for one in chosen.ground.clients]
    client.authorize_security_group_ingress(
        GroupId=made,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": chosen.port, "ToPort": chosen.port, "IpRanges": ranges}],
    )
    if left := look()[0]["IpPermissionsEgress"]:
        raise StepFailed(f"the security group {made} still lets a copy out: {left}", "nothing was restored into it")
    return str(made)


def _subnet_group(making: Making, chosen: Chosen) -> str:
    name = making.announce("subnet-group")
    making.client("rds", once=True).create_db_subnet_group(
        DBSubnetGroupName=name, DBSubnetGroupDescription=f"Of the restored copy of {chosen.source}",
        SubnetIds=list(chosen.ground.subnets), Tags=making.tags("subnet-group"),
    )  # fmt: skip
    return name


def _parameter_group(making: Making, chosen: Chosen) -> str:
    name = making.announce("parameter-group")
    making.client("rds", once=True).create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily=chosen.family,
        Description=f"Of the restored copy of {chosen.source}", Tags=making.tags("parameter-group"),
    )  # fmt: skip
    # Since Aurora MySQL 3 the scheduler is a matter of the cluster, and no group of an instance takes it.
    ours = [] if chosen.family == "aurora-mysql8.0" else [OFF]
    given = making.access.pages(
        "rds", "describe_db_parameters", "Parameters", DBParameterGroupName=chosen.parameter_group, Source="user"
    )
    for some in _changed(given, ours):
        making.client("rds").modify_db_parameter_group(DBParameterGroupName=name, Parameters=some)
    return name


def _cluster_parameter_group(making: Making, chosen: Chosen) -> str:
    name = making.announce("cluster-parameter-group")
    making.client("rds", once=True).create_db_cluster_parameter_group(
        DBClusterParameterGroupName=name, DBParameterGroupFamily=chosen.family,
        Description=f"Of the restored copy of {chosen.source}", Tags=making.tags("cluster-parameter-group"),
    )  # fmt: skip
    given = making.access.pages(
        "rds", "describe_db_cluster_parameters", "Parameters",
        DBClusterParameterGroupName=chosen.cluster_parameter_group, Source="user",
    )  # fmt: skip
    for some in _changed(given, [OFF]):
        making.client("rds").modify_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=some)
    return name


def _changed(given: Iterator[dict[str, Any]], ours: list[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """The source's own values and then ours, so many at a time."""
    kept = [
        {
            "ParameterName": one["ParameterName"], "ParameterValue": one["ParameterValue"],
            "ApplyMethod": "pending-reboot" if one.get("ApplyType") == "static" else "immediate",
        }
        for one in given
        if one.get("ParameterValue") is not None and one["ParameterName"] != SCHEDULER
    ]  # fmt: skip
    wanted = kept + ours
    for begin in range(0, len(wanted), AT_ONCE):
        yield wanted[begin : begin + AT_ONCE]
