"""The part of the inventory that keeps data: databases of RDS and shards of ElastiCache, with who leads where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ftchaos.errors import StepFailed
from ftchaos.platforms.aws import roles
from ftchaos.platforms.aws.inventory import Copy, Database, Shard, tags

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

DAY_MINUTES = 24 * 60
TESTED = "Test Failover API called"
"""Source: ElastiCache API reference, TestFailover, events."""


def databases(access: Access, tag: tuple[str, str]) -> Iterator[Database]:
    """The MySQL databases that carry the tag, and who writes."""
    instances = list(access.pages("rds", "describe_db_instances", "DBInstances"))
    by_name = {one["DBInstanceIdentifier"]: one for one in instances}
    for one in instances:
        mine = not one.get("DBClusterIdentifier") and one["Engine"] in ("mysql", "mariadb")
        if mine and tags(one, "TagList").get(tag[0]) == tag[1]:
            access.ensure_ours(one["DBInstanceArn"])
            yield _instance(one)
    for one in access.pages("rds", "describe_db_clusters", "DBClusters"):
        if one["Engine"] in ("mysql", "aurora-mysql") and tags(one, "TagList").get(tag[0]) == tag[1]:
            access.ensure_ours(one["DBClusterArn"])
            yield _cluster(one, by_name)


def _instance(one: Mapping[str, Any]) -> Database:
    endpoint = one.get("Endpoint") or {}
    name = one["DBInstanceIdentifier"]
    standby = [Copy(f"{name} standby", one.get("SecondaryAvailabilityZone") or "")] if one.get("MultiAZ") else []
    writer = Copy(name, one.get("AvailabilityZone", ""), endpoint.get("Address", ""), endpoint.get("Port", 0))
    source = one.get("ReadReplicaSourceDBInstanceIdentifier") or ""
    kind = "replica" if source else "instance"
    subnets = _by_zone(_grouped(one))
    return Database(
        name, kind, writer, tuple(standby), subnets, one["DBInstanceStatus"], writer.host, writer.port, source
    )


def _cluster(one: Mapping[str, Any], instances: Mapping[str, Mapping[str, Any]]) -> Database:
    copies: list[Copy] = []
    subnets: dict[str, Sequence[str]] = {}
    writer = ""
    for member in one["DBClusterMembers"]:
        name = member["DBInstanceIdentifier"]
        server = instances.get(name, {})
        endpoint = server.get("Endpoint") or {}
        where = server.get("AvailabilityZone", "")
        tier = member.get("PromotionTier", 15)
        copies.append(Copy(name, where, endpoint.get("Address", ""), endpoint.get("Port", 0), tier))
        writer = name if member["IsClusterWriter"] else writer
        subnets = subnets or _by_zone(_grouped(server))
    found = [copy for copy in copies if copy.name == writer]
    if not found:
        raise StepFailed(f"the cluster {one['DBClusterIdentifier']} has no writer", "see it in the console of RDS")
    others = sorted((copy for copy in copies if copy.name != writer), key=lambda copy: (copy.tier, copy.name))
    kind = "aurora" if one["Engine"].startswith("aurora") else "multi-az-cluster"
    name, host, port = one["DBClusterIdentifier"], one.get("Endpoint") or "", one.get("Port") or 0
    return Database(name, kind, found[0], tuple(others), subnets, one["Status"], host, port)


def _grouped(server: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(server.get("DBSubnetGroup", {}).get("Subnets", []))


def _by_zone(
    subnets: Iterable[Mapping[str, Any]], zone_of: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for subnet in subnets:
        zone = subnet["SubnetAvailabilityZone"].get("Name") or zone_of.get(subnet["SubnetIdentifier"], "")
        found[zone] = [*found.get(zone, []), subnet["SubnetIdentifier"]]
    return found


def shards(
    access: Access, tagged: set[str], zone_of: Mapping[str, str], role: Callable[[str, int, bool], str]
) -> Iterator[Shard]:
    """The shards of those replication groups, and who writes.

    Args:
        tagged: ARNs that carry the tag.
        zone_of: the zones of subnets that are known already, as not every answer names them.
        role: see :func:`ftchaos.platforms.aws.survey.take`.
    """
    if not any(":replicationgroup:" in arn for arn in tagged):
        return
    nodes: dict[str, Mapping[str, Any]] = {}
    subnets: dict[str, dict[str, Sequence[str]]] = {}
    for group in list(access.pages("elasticache", "describe_replication_groups", "ReplicationGroups")):
        if group["ARN"] not in tagged:
            continue
        access.ensure_ours(group["ARN"])
        if not nodes:
            nodes, subnets = _cache_nodes(access), _cache_subnets(access, zone_of)
        for shard in group["NodeGroups"]:
            tls = bool(group.get("TransitEncryptionEnabled"))
            copies = [
                (_node(member, nodes, tls), member.get("CurrentRole", "")) for member in shard["NodeGroupMembers"]
            ]
            leads = [one for one, said in copies if said == "primary" or (not said and _leads(one, role))]
            if len(leads) != 1:
                raise StepFailed(
                    f"the shard {shard['NodeGroupId']} of {group['ReplicationGroupId']} has {len(leads)} primaries",
                    "wait until the replication group is available",
                )
            yield Shard(
                group["ReplicationGroupId"],
                shard["NodeGroupId"],
                leads[0],
                tuple(one for one, _ in copies if one is not leads[0]),
                bool(group.get("ClusterEnabled")),
                group.get("AutomaticFailover") == "enabled",
                group["Status"],
                subnets.get(nodes.get(_key(shard["NodeGroupMembers"][0]), {}).get("subnet_group", ""), {}),
                shard.get("Slots") or "",
                group.get("MultiAZ") == "enabled",
            )


def _cache_nodes(access: Access) -> dict[str, Mapping[str, Any]]:
    clusters = access.pages("elasticache", "describe_cache_clusters", "CacheClusters", ShowCacheNodeInfo=True)
    return {
        f"{one['CacheClusterId']}/{node['CacheNodeId']}": {**node, "subnet_group": one.get("CacheSubnetGroupName", "")}
        for one in clusters
        for node in one.get("CacheNodes") or []
    }


def _cache_subnets(access: Access, zone_of: Mapping[str, str]) -> dict[str, dict[str, Sequence[str]]]:
    return {
        one["CacheSubnetGroupName"]: _by_zone(one["Subnets"], zone_of)
        for one in access.pages("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups")
    }


def _key(member: Mapping[str, Any]) -> str:
    return f"{member['CacheClusterId']}/{member['CacheNodeId']}"


def _node(member: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], tls: bool) -> Copy:
    known = nodes.get(_key(member), {})
    endpoint = member.get("ReadEndpoint") or known.get("Endpoint") or {}
    return Copy(
        member["CacheClusterId"],
        member.get("PreferredAvailabilityZone") or known.get("CustomerAvailabilityZone", ""),
        endpoint.get("Address", ""),
        endpoint.get("Port", 0),
        tls=tls,
    )


def _leads(node: Copy, role: Callable[[str, int, bool], str]) -> bool:
    return role(node.host, node.port, node.tls) == roles.PRIMARY


def tested(access: Access) -> int:
    """How many shards' failover was tested within the last 24 hours."""
    since: dict[str, Any] = {"SourceType": "replication-group", "Duration": DAY_MINUTES}
    return sum(
        1 for one in access.pages("elasticache", "describe_events", "Events", **since) if TESTED in one["Message"]
    )
