"""Primaries of ElastiCache that are rebooted, which empties them and then their replicas.

A reboot that a customer asks for makes nobody take over, and a primary that comes back has no data; its replicas
follow it in that. So what was in the cache is lost, and no heal brings it back.

Source: ElastiCache API reference, RebootCacheCluster: not for groups in cluster mode; user guide, Multi-AZ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.faults.shards import AVAILABLE, SETTLED_S, described, ensure_well, statuses
from ftchaos.platforms.aws.inventory import Shard

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

NODE = "0001"  # a cache cluster of Redis has this one


def plan(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """Whose primary is rebooted.

    Raises:
        Refused: the group is in cluster mode, or is not well.
    """
    for one in shards:
        if one.clustered:
            raise Refused(
                f"the replication group {one.group} is in cluster mode, where ElastiCache reboots no node",
                "choose the manner kill, which makes a shard fail over",
            )
        ensure_well(one)
    return [{"group": one.group, "primary": one.primary.name} for one in shards]


def inject(access: Access, undo: Sequence[Mapping[str, Any]]) -> str:
    for one in undo:
        access.client("elasticache", once=True).reboot_cache_cluster(
            CacheClusterId=one["primary"], CacheNodeIdsToReboot=[NODE]
        )
    return f"{', '.join(one['primary'] for one in undo)} told to reboot" if undo else ""


def heal(access: Access, undo: Sequence[Mapping[str, Any]], mending: Mending) -> None:
    """Wait until each node and its group are there again."""
    for one in undo:
        mending.attempt(f"the node {one['primary']}", lambda one=one: _settle(access, one))  # type: ignore[misc]


def _settle(access: Access, one: Mapping[str, Any]) -> str:
    def now() -> list[str]:
        nodes = access.pages("elasticache", "describe_cache_clusters", "CacheClusters")
        mine = [node["CacheClusterStatus"] for node in nodes if node["CacheClusterId"] == one["primary"]]
        return [*mine, *statuses(described(access, one["group"]))] if mine else []

    access.until(
        now,
        lambda found: not found or set(found) == {AVAILABLE},
        SETTLED_S,
        f"the node {one['primary']} of {one['group']} is {AVAILABLE}",
    )
    return f"{one['primary']} of {one['group']} is {AVAILABLE}"
