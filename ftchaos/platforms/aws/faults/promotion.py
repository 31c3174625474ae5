"""Replication groups without cluster mode whose lead goes to a replica that is named.

ElastiCache promotes by hand only while Multi-AZ with automatic failover is off. So both are off from before the
promotion until the heal, which gives back what was on; nobody takes over by itself meanwhile.

Source: ElastiCache user guide, promoting a read replica to primary; API reference, ModifyReplicationGroup: only for
replication groups with a single primary.
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


def plan(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """Who gives the lead to whom, and what is to be on again afterwards.

    Raises:
        Refused: the group is in cluster mode, has no replica, or is not well.
    """
    return [_plan(one) for one in shards]


def _plan(shard: Shard) -> dict[str, Any]:
    if shard.clustered:
        raise Refused(
            f"the replication group {shard.group} is in cluster mode, where ElastiCache promotes nobody by name",
            "choose the manner kill, which makes a shard fail over",
        )
    if not shard.replicas:
        raise Refused(f"the replication group {shard.group} has no replica", "nobody could take over; add one")
    ensure_well(shard)
    elsewhere = [one for one in shard.replicas if one.zone != shard.primary.zone]
    return {
        "group": shard.group,
        "primary": shard.primary.name,
        "to": (elsewhere or list(shard.replicas))[0].name,
        "failover": shard.fails_over,
        "multi_az": shard.multi_az,
    }


def inject(access: Access, undo: Sequence[Mapping[str, Any]]) -> str:
    said = []
    for one in undo:
        if one["failover"] or one["multi_az"]:
            _set(access, one["group"], failover=False, multi_az=False)
        access.client("elasticache", once=True).modify_replication_group(
            ReplicationGroupId=one["group"], PrimaryClusterId=one["to"], ApplyImmediately=True
        )
        said.append(f"{one['group']} was told to be led by {one['to']} instead of {one['primary']}")
    return ", ".join(said)


def _set(access: Access, group: str, *, failover: bool, multi_az: bool) -> None:
    access.client("elasticache").modify_replication_group(
        ReplicationGroupId=group, AutomaticFailoverEnabled=failover, MultiAZEnabled=multi_az, ApplyImmediately=True
    )
    access.until(
        lambda: _stands(access, group),
        lambda found: set(found[0]) == {AVAILABLE} and found[1] == (failover, multi_az),
        SETTLED_S,
        f"{group} is {AVAILABLE} with automatic failover {'on' if failover else 'off'}",
    )


def _stands(access: Access, group: str) -> tuple[list[str], tuple[bool, bool] | None]:
    """How a group is, and whether its automatic failover and Multi-AZ are on; None while either is about to change."""
    found = described(access, group)
    said = [one.get(switch, "disabled") for one in found for switch in ("AutomaticFailover", "MultiAZ")]
    settled = bool(said) and {*said} <= {"enabled", "disabled"}
    return statuses(found), (said[0] == "enabled", said[1] == "enabled") if settled else None


def heal(access: Access, undo: Sequence[Mapping[str, Any]], mending: Mending) -> None:
    """Give each group its automatic failover back; its lead stays where it has moved to."""
    for one in undo:
        mending.attempt(f"the replication group {one['group']}", lambda one=one: _mend(access, one))  # type: ignore[misc]


def _mend(access: Access, one: Mapping[str, Any]) -> str:
    found, now = access.until(
        lambda: _stands(access, one["group"]),
        lambda seen: not seen[0] or (set(seen[0]) == {AVAILABLE} and seen[1] is not None),
        SETTLED_S,
        f"the replication group {one['group']} is {AVAILABLE}",
    )
    if not found:
        return f"the replication group {one['group']} is gone"
    said = f"{one['group']} is {AVAILABLE}"
    if now == (False, False) and (one["failover"] or one["multi_az"]):
        _set(access, one["group"], failover=one["failover"], multi_az=one["multi_az"])
        said += ", and fails over by itself again"
    return said
