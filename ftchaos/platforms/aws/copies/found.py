"""The parts of copies as the account has them: found by name, with their tags, and how each is removed.

Source: API references of RDS and EC2; a filter that matches nothing is answered by an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftchaos.platforms.aws.access import ApiFailed
from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.copies import waiting
from ftchaos.platforms.aws.inventory import tags

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

LEAVING = "deleting"
UNDER_WAY = ("PENDING", "RUNNING")
"""Source: AWS Backup API reference, ListRestoreJobs."""


@dataclass(frozen=True)
class Part:
    """One part that is there.

    Attributes:
        name: its name; empty where it is only about to be made.
        tags: all of them.
        remove: asks for its removal.
        is_leaving: that was asked for already.
        is_ours: it was found to be ours in another way than by its tags.
    """

    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    remove: Callable[[], object] = lambda: None
    is_leaving: bool = False
    is_ours: bool = False


Finder = Callable[["Access", str, Mapping[str, Any]], Part | None]


def _listed(access: Access, operation: str, key: str, by: str, name: str) -> Mapping[str, Any] | None:
    found = access.pages("rds", operation, key, Filters=[{"Name": by, "Values": [name]}])
    return next(iter(found), None)


def _instance(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    point = str(arguments.get("recovery_point", ""))
    # The jobs before the instances: what one makes in between is seen, and not taken for nothing or for another's.
    jobs = _jobs(access, point) if point else []
    to_come = any(one["Status"] in UNDER_WAY and not one.get("CreatedResourceArn") for one in jobs)
    one = _listed(access, "describe_db_instances", "DBInstances", "db-instance-id", name)
    if one is None:
        return Part("") if to_come else None
    its = tags(one, "TagList")
    untagged = bool(point) and OWNER not in its
    ours = untagged and one["DBInstanceArn"] in [job.get("CreatedResourceArn") for job in jobs]
    if untagged and not ours and to_come:
        return Part("")  # it is there, and its job may yet say that it made it

    def remove() -> None:
        client = access.client("rds")
        if ours:  # whoever drills may delete only what carries the tag, and it will at the next look
            mark = [{"Key": OWNER, "Value": str(arguments["run_id"])}]
            client.add_tags_to_resource(ResourceName=one["DBInstanceArn"], Tags=mark)
            return
        if one.get("DeletionProtection"):
            client.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
            return  # it is modifying now, and deleted at the next look
        # Of a server in a cluster RDS keeps no backups of its own.
        alone = {} if one.get("DBClusterIdentifier") else {"DeleteAutomatedBackups": True}
        client.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True, **alone)

    return Part(name, its, remove, one["DBInstanceStatus"] == LEAVING, ours)


def _jobs(access: Access, point: str) -> list[Mapping[str, Any]]:
    """The restore jobs of a recovery point; what they make carries no tags."""
    every = access.pages("backup", "list_restore_jobs", "RestoreJobs")
    return [one for one in every if one.get("RecoveryPointArn") == point]


def _cluster(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    one = _listed(access, "describe_db_clusters", "DBClusters", "db-cluster-id", name)
    if one is None:
        return None

    def remove() -> None:
        client = access.client("rds")
        if one.get("DeletionProtection"):
            client.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
            return
        client.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)

    return Part(name, tags(one, "TagList"), remove, one["Status"] == LEAVING)


def _snapshot(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    one = _listed(access, *waiting.SNAPSHOTS["snapshot"], "db-snapshot-id", name)
    if one is None:
        return None
    client = access.client("rds")
    return Part(name, tags(one, "TagList"), lambda: client.delete_db_snapshot(DBSnapshotIdentifier=name))


def _cluster_snapshot(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    one = _listed(access, *waiting.SNAPSHOTS["cluster-snapshot"], "db-cluster-snapshot-id", name)
    if one is None:
        return None
    client = access.client("rds")
    return Part(name, tags(one, "TagList"), lambda: client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name))


def _parameter_group(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    return _group(
        access, name, "DBParameterGroup",
        lambda rds: rds.describe_db_parameter_groups(DBParameterGroupName=name),
        lambda rds: rds.delete_db_parameter_group(DBParameterGroupName=name),
    )  # fmt: skip


def _cluster_parameter_group(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    return _group(
        access, name, "DBClusterParameterGroup",
        lambda rds: rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name),
        lambda rds: rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=name),
    )  # fmt: skip


def _subnet_group(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    return _group(
        access, name, "DBSubnetGroup",
        lambda rds: rds.describe_db_subnet_groups(DBSubnetGroupName=name),
        lambda rds: rds.delete_db_subnet_group(DBSubnetGroupName=name),
    )  # fmt: skip


def _group(
    access: Access, name: str, key: str, describe: Callable[[Any], Any], delete: Callable[[Any], object]
) -> Part | None:
    """A group of RDS, whose tags are asked for separately."""
    client = access.client("rds")
    try:
        found = [one for one in describe(client)[f"{key}s"] if one[f"{key}Name"] == name]
        if not found:
            return None
        its = client.list_tags_for_resource(ResourceName=found[0][f"{key}Arn"])
    except ApiFailed as error:
        if error.is_absent:
            return None
        raise
    return Part(name, tags(its, "TagList"), lambda: delete(client))


def _security_group(access: Access, name: str, arguments: Mapping[str, Any]) -> Part | None:
    which = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [str(arguments["vpc"])]}]
    found = list(access.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=which))
    if not found:
        return None
    client = access.client("ec2")
    return Part(name, tags(found[0]), lambda: client.delete_security_group(GroupId=found[0]["GroupId"]))


FINDERS: dict[str, Finder] = {
    "instance": _instance,
    "cluster": _cluster,
    "cluster-snapshot": _cluster_snapshot,
    "snapshot": _snapshot,
    "cluster-parameter-group": _cluster_parameter_group,
    "parameter-group": _parameter_group,
    "subnet-group": _subnet_group,
    "security-group": _security_group,
}
