"""Shards of ElastiCache whose primary is made to fail by TestFailover, one at a time, within its quota.

The next shard of a replication group is taken only when the first has its failed node back: the service demands that.

Source: ElastiCache API reference, TestFailover: 15 shards in any 24 hours; shards of other groups at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import TESTS_A_DAY, Inventory, Shard

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

AVAILABLE = "available"
SETTLED_S = 1800.0
RECOVERED = "Finished recovery for cache nodes"


def plan(inventory: Inventory, shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """Which shards fail, in this order.

    Raises:
        Refused: a shard has no replica that would take over, or is not well, or the day's quota does not suffice.
    """
    for one in shards:
        if not one.fails_over or not one.replicas:
            raise Refused(
                f"the shard {one} has no automatic failover to a replica",
                "turn it on, or its data would be gone with its primary",
            )
        ensure_well(one)
    left = max(0, TESTS_A_DAY - inventory.tested)
    if len(shards) > left:
        raise Refused(
            f"{len(shards)} shards would fail, and ElastiCache allows {left} more of its {TESTS_A_DAY} in 24 hours",
            "wait until the oldest is a day past, or choose fewer shards",
        )
    return [{"group": one.group, "shard": one.shard, "primary": one.primary.name} for one in shards]


def ensure_well(shard: Shard) -> None:
    """Refuse a replication group that something is happening to already.

    Raises:
        Refused: it is not available.
    """
    if shard.status != AVAILABLE:
        raise Refused(
            f"the replication group {shard.group} is {shard.status}, not {AVAILABLE}", "wait until it is well"
        )


def inject(access: Access, undo: Sequence[Mapping[str, Any]]) -> str:
    client = access.client("elasticache", once=True)
    under_way: dict[str, tuple[str, datetime | None]] = {}
    for one in undo:
        if one["group"] in under_way:
            _await_replaced(access, one["group"], *under_way[one["group"]])
        more = any(other["group"] == one["group"] for other in undo if other is not one)
        under_way[one["group"]] = one["primary"], _recovered_at(access, one["primary"]) if more else None
        client.test_failover(ReplicationGroupId=one["group"], NodeGroupId=one["shard"])
    return f"{', '.join(one['primary'] for one in undo)} failed by TestFailover" if undo else ""


def _await_replaced(access: Access, group: str, node: str, recovered_at: datetime | None) -> None:
    """Wait until a failed node is replaced: its group was busy and is well again, or the event of that is there.

    Neither alone will do: the status does not change at once, and events may be late or missing.

    Args:
        recovered_at: when it was replaced the last time before.
    """
    busy = False

    def replaced() -> bool:
        nonlocal busy
        well = set(statuses(described(access, group))) == {AVAILABLE}
        if well and not busy:
            return _recovered_at(access, node) not in (None, recovered_at)
        busy = True
        return well

    access.until(replaced, bool, SETTLED_S, f"the node {node} of {group} is replaced")


def _recovered_at(access: Access, node: str) -> datetime | None:
    """When a node was replaced the last time within an hour, by the clock of the service; None for never."""
    about: dict[str, Any] = {"SourceType": "cache-cluster", "SourceIdentifier": node, "Duration": 60}
    events = access.pages("elasticache", "describe_events", "Events", **about)
    return max((one["Date"] for one in events if RECOVERED in one["Message"]), default=None)


def heal(access: Access, undo: Sequence[Mapping[str, Any]], mending: Mending) -> None:
    """Wait until each replication group has all its nodes; its primaries stay where they have moved to."""
    for group in dict.fromkeys(one["group"] for one in undo):
        mending.attempt(f"the replication group {group}", lambda group=group: _settle(access, group))  # type: ignore[misc]


def _settle(access: Access, group: str) -> str:
    access.until(
        lambda: statuses(described(access, group)),
        lambda found: not found or set(found) == {AVAILABLE},
        SETTLED_S,
        f"the replication group {group} is {AVAILABLE}",
    )
    return f"{group} is {AVAILABLE}"


def described(access: Access, group: str) -> list[Mapping[str, Any]]:
    """What ElastiCache says of a replication group; empty where it is gone."""
    # All are read: to ask for one that is gone is an error.
    groups = access.pages("elasticache", "describe_replication_groups", "ReplicationGroups")
    return [one for one in groups if one["ReplicationGroupId"] == group]


def statuses(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """How a replication group and its shards are, as ElastiCache says; empty where it is gone."""
    return [status for one in groups for status in (one["Status"], *(shard["Status"] for shard in one["NodeGroups"]))]
