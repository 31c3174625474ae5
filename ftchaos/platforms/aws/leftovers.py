"""What ftchaos may ever have made in a region, kind by kind, and whether it may be taken away; see ``sweep``.

Databases and snapshots are described with their tags. Groups of RDS are not: they, or the tagging API, are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ftchaos.platforms.aws.calls import OWNER
from ftchaos.platforms.aws.copies.making import EXPIRES, PREFIX
from ftchaos.platforms.aws.inventory import tags

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

AURORA = "aurora"


@dataclass(frozen=True)
class Leftover:
    """Something that carries our tag or our prefix.

    Attributes:
        kind: for example ``subnet-group``; ``resource`` for what is of no kind that ftchaos makes.
        name: its own, or the ARN where it has none.
        identity: its ARN, or its id where EC2 has but that.
        vpc: that a security group or a network ACL is in.
    """

    kind: str
    name: str
    identity: str
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)
    vpc: str = ""

    @property
    def owner(self) -> str:
        """The run that made it, or the token of the fault; empty without the tag."""
        return self.tags.get(OWNER, "")

    @property
    def words(self) -> str:
        return f"{self.kind.replace('-', ' ')} {self.name} in {self.region}"


Lister = Callable[["Access", Mapping[str, Mapping[str, str]]], Iterator[Leftover]]


def _databases(access: Access, _: Mapping[str, Mapping[str, str]]) -> Iterator[Leftover]:
    for one in access.pages("rds", "describe_db_instances", "DBInstances"):
        if one.get("DBClusterIdentifier") and not one["Engine"].startswith(AURORA):
            continue  # it comes and goes with its Multi-AZ cluster
        yield _of_rds(access, "instance", one, "DBInstance")


def _of_rds(access: Access, kind: str, one: Mapping[str, Any], key: str) -> Leftover:
    name, arn = str(one[f"{key}Identifier"]), str(one[f"{key}Arn"])
    return Leftover(kind, name, arn, access.place.region, tags(one, "TagList"))


def _described(kind: str, operation: str, key: str, **more: str) -> Lister:
    """A kind of RDS that is described with its tags."""

    def found(access: Access, _: Mapping[str, Mapping[str, str]]) -> Iterator[Leftover]:
        for one in access.pages("rds", operation, f"{key}s", **more):
            yield _of_rds(access, kind, one, key)

    return found


def _group(kind: str, operation: str, key: str) -> Lister:
    """A kind of RDS that is described without them; of those with our prefix each is asked for its own."""

    def found(access: Access, tagged: Mapping[str, Mapping[str, str]]) -> Iterator[Leftover]:
        for one in access.pages("rds", operation, f"{key}s"):
            arn, name = str(one[f"{key}Arn"]), str(one[f"{key}Name"])
            its: Mapping[str, str] = tagged.get(arn, {})
            if not its and name.startswith(PREFIX):
                its = tags(access.client("rds").list_tags_for_resource(ResourceName=arn), "TagList")
            yield Leftover(kind, name, arn, access.place.region, its)

    return found


def _of_ours(access: Access, operation: str, key: str) -> Iterator[Mapping[str, Any]]:
    """Without those of another account, as in a VPC that is shared."""
    account = access.place.account
    return (one for one in access.pages("ec2", operation, key) if one.get("OwnerId", account) == account)


def _security_groups(access: Access, _: Mapping[str, Mapping[str, str]]) -> Iterator[Leftover]:
    for one in _of_ours(access, "describe_security_groups", "SecurityGroups"):
        yield Leftover(
            "security-group", one["GroupName"], one["GroupId"], access.place.region, tags(one), one.get("VpcId", "")
        )


def _network_acls(access: Access, _: Mapping[str, Mapping[str, str]]) -> Iterator[Leftover]:
    for one in _of_ours(access, "describe_network_acls", "NetworkAcls"):
        its, acl = tags(one), one["NetworkAclId"]
        yield Leftover("network-acl", its.get("Name", acl), acl, access.place.region, its, one["VpcId"])


LISTERS: dict[str, Lister] = {
    "instance": _databases,
    "cluster": _described("cluster", "describe_db_clusters", "DBCluster"),
    "snapshot": _described("snapshot", "describe_db_snapshots", "DBSnapshot", SnapshotType="manual"),
    "cluster-snapshot": _described(
        "cluster-snapshot", "describe_db_cluster_snapshots", "DBClusterSnapshot", SnapshotType="manual"
    ),
    "parameter-group": _group("parameter-group", "describe_db_parameter_groups", "DBParameterGroup"),
    "cluster-parameter-group": _group(
        "cluster-parameter-group", "describe_db_cluster_parameter_groups", "DBClusterParameterGroup"
    ),
    "subnet-group": _group("subnet-group", "describe_db_subnet_groups", "DBSubnetGroup"),
    "security-group": _security_groups,
    "network-acl": _network_acls,
}
"""In the order in which they can be deleted: what is used comes after what uses it."""


def tagged(access: Access) -> dict[str, dict[str, str]]:
    """The tags of everything in the region that carries ours, by ARN, as the tagging API knows them."""
    return {
        one["ResourceARN"]: tags(one)
        for one in access.pages(
            "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=[{"Key": OWNER}]
        )
    }


@dataclass(frozen=True)
class Known:
    """What this machine knows of runs.

    Attributes:
        alive: names, ARNs and ids in the undo records of runs that are alive, and those runs.
        dead: the same of runs that are not.
    """

    alive: Collection[str] = ()
    dead: Collection[str] = ()


def judge(one: Leftover, known: Known, at: datetime) -> tuple[Literal["goes", "stays", "is not ours"], str]:
    """Whether something may be taken away, and why.

    It goes when it carries the tag and the prefix and is, besides, either named by a dead run of this machine or past
    its expiry.

    Args:
        at: now, in UTC.
    """
    is_tagged, is_named = OWNER in one.tags, one.name.startswith(PREFIX)
    if not is_tagged and not is_named:
        return "is not ours", ""
    if not is_tagged:
        return "stays", f"it has the prefix {PREFIX} and not the tag {OWNER}"
    if not is_named:
        return "stays", f"it has the tag {OWNER} and not the prefix {PREFIX}"
    its = {one.name, one.identity, one.owner}
    if its & set(known.alive):
        return "stays", "its run is under way"
    if its & set(known.dead):
        return "goes", "an undo record of this machine names it"
    expires = one.tags.get(EXPIRES, "")
    if not expires:
        return "stays", f"no undo record of this machine names it, and it has no tag {EXPIRES}"
    try:
        expires_at = datetime.fromisoformat(expires)
        is_expired = expires_at < at
    except (ValueError, TypeError):
        return "stays", f"its tag {EXPIRES} is no time: {expires!r}"
    return ("goes", f"it expired at {expires}") if is_expired else ("stays", f"it expires at {expires}")
