"""The database that a copy is made of: read, found to be well, and never touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.platforms.aws.access import NotOffered

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.aws.access import Access

WELL = ("available", "backing-up", "storage-optimization")
"""The states in which a database serves and may be restored from. Source: RDS user guide, DB instance status."""
ENGINES = ("mysql", "mariadb", "aurora-mysql")
LEAST_FREE_IOPS_GIB = 400
"""A gp3 disk below this size takes no IOPS of one's own. Source: RDS user guide, gp3 storage."""


@dataclass(frozen=True)
class Source:
    """A database as RDS describes it.

    Attributes:
        name, arn: its own.
        is_cluster: whether it is a cluster.
        about: the instance, or the cluster.
        writer: the instance itself, or that of the cluster which takes writes.
    """

    name: str
    arn: str
    is_cluster: bool
    about: Mapping[str, Any]
    writer: Mapping[str, Any]

    @property
    def size_gib(self) -> int:
        """Of its disk; 0 where storage is not allocated."""
        aurora = self.about["Engine"].startswith("aurora")
        return 0 if aurora else int(self.about.get("AllocatedStorage", 0))


def read(access: Access, settings: Environment) -> Source:
    """The source as the configuration names it.

    Raises:
        Invalid: it names none.
        Refused: there is no such database, it is not well, or it is none of MySQL.
    """
    if settings.mysql is None:
        raise Invalid("the environment names no database", "name one: mysql: {instance: ...}")
    name = settings.mysql.cluster or settings.mysql.instance or ""
    if settings.mysql.cluster:
        found = _one(access, "describe_db_clusters", "DBClusters", "db-cluster-id", name)
        writers = [one["DBInstanceIdentifier"] for one in found["DBClusterMembers"] if one["IsClusterWriter"]]
        if not writers:
            raise Refused(f"the cluster {name} has no writer", "see it in the console of RDS")
        writer = _one(access, "describe_db_instances", "DBInstances", "db-instance-id", writers[0])
        source = Source(name, access.ensure_ours(found["DBClusterArn"]), True, found, writer)
    else:
        found = _one(access, "describe_db_instances", "DBInstances", "db-instance-id", name)
        source = Source(name, access.ensure_ours(found["DBInstanceArn"]), False, found, found)
    if found["Engine"] not in ENGINES:
        raise Refused(f"{name} is {found['Engine']}", f"copies are made of {', '.join(ENGINES)}")
    status = found["Status"] if source.is_cluster else found["DBInstanceStatus"]
    if status not in WELL:
        raise Refused(f"the database {name} is {status}, not available", "wait until it is well, then run again")
    return source


def _one(access: Access, operation: str, key: str, by: str, name: str) -> Mapping[str, Any]:
    found = list(access.pages("rds", operation, key, Filters=[{"Name": by, "Values": [name]}]))
    if not found:
        raise Refused(f"there is no database {name} in {access.place.region}", "correct mysql in the configuration")
    return found[0]


def storage(source: Source) -> dict[str, Any]:
    """The parameters that give a restored instance the disk of its source; without them RDS takes its default."""
    if source.is_cluster and source.about["Engine"].startswith("aurora"):
        return {"StorageType": kind} if (kind := source.about.get("StorageType")) else {}
    about = source.about
    kind = about.get("StorageType") or "gp2"
    given: dict[str, Any] = {"StorageType": kind}
    large = int(about.get("AllocatedStorage", 0)) >= LEAST_FREE_IOPS_GIB
    if about.get("Iops") and (kind.startswith("io") or (kind == "gp3" and large)):
        given["Iops"] = about["Iops"]
    if about.get("StorageThroughput") and kind == "gp3" and large and not source.is_cluster:
        given["StorageThroughput"] = about["StorageThroughput"]
    return given


def option_group(access: Access, source: Source, vpc: str, region: str) -> str:
    """The option group of a copy: the source's, unless that is tied to another VPC or region; empty for a cluster.

    Source: RDS user guide, working with option groups, VPC.
    """
    if source.is_cluster:
        return ""
    memberships = source.about.get("OptionGroupMemberships") or [{}]
    name = str(memberships[0].get("OptionGroupName", ""))
    plain = f"default:{source.about['Engine']}-{'-'.join(source.about['EngineVersion'].split('.')[:2])}"
    if name.startswith("default:") or not name:
        return name or plain
    if region != access.place.region:
        return plain
    found = access.client("rds").describe_option_groups(OptionGroupName=name)["OptionGroupsList"]
    return name if found and found[0].get("VpcId") in (None, "", vpc) else plain


def family(access: Access, source: Source) -> str:
    """The family of the source's parameter groups, such as ``mysql8.0`` or ``aurora-mysql8.0``."""
    name = parameter_group(source)
    client = access.client("rds")
    return str(
        client.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"][0]["DBParameterGroupFamily"]
    )


def parameter_group(source: Source) -> str:
    """Of the source, or of its writer."""
    return str(source.writer["DBParameterGroups"][0]["DBParameterGroupName"])


def ensure_room(access: Access, source: Source, region: str, *, copies_snapshot: bool) -> None:
    """Refuse what the quotas of the account leave no room for.

    Args:
        copies_snapshot: whether a snapshot is copied as well.

    Raises:
        Refused: a quota is used up; each is named.
    """
    needed = {"DBInstances": 1, "DBParameterGroups": 1, "DBSubnetGroups": 1, "AllocatedStorage": source.size_gib}
    if source.is_cluster:
        multi = 1 if source.about["Engine"].startswith("aurora") else len(source.about["DBClusterMembers"])
        needed |= {"DBClusters": 1, "DBClusterParameterGroups": 1, "DBInstances": multi}
    if copies_snapshot:
        needed["ManualClusterSnapshots" if source.is_cluster else "ManualSnapshots"] = 1
    try:
        quotas = access.client("rds", region=region).describe_account_attributes()["AccountQuotas"]
    except NotOffered:  # of an endpoint that stands for AWS; RDS itself always says
        return
    left = {one["AccountQuotaName"]: int(one["Max"]) - int(one["Used"]) for one in quotas}
    short = [
        f"{name} (needs {count}, {left[name]} left)" for name, count in needed.items() if left.get(name, count) < count
    ]
    if short:
        raise Refused(
            f"the quotas of the account leave no room for a copy in {region}: {', '.join(short)}",
            "ask for more in Service Quotas, or remove what is not needed",
        )
