"""Auto scaling groups that find no capacity in a zone: its subnets are taken from them.

Rebalancing is suspended, so that they neither empty the zone by themselves nor move back at once; a group that has no
other zone cannot launch anything. What was suspended before stays suspended, whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Group
from ftchaos.platforms.aws.survey import chunks

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

NAMED = 50  # groups that one call describes by name


def plan(groups: Iterable[Group], zone: str) -> list[dict[str, Any]]:
    """How each group that reaches into the zone stands, and what is taken from it."""
    return [_plan(one, zone) for one in groups if zone in one.zones]


def _plan(group: Group, zone: str) -> dict[str, Any]:
    by_subnet = bool(group.subnets)
    had = list(group.subnets if by_subnet else group.zones)
    taken = [one for one in had if (group.zone_of.get(one) if by_subnet else one) == zone]
    alone = len(taken) == len(had)
    wanted = ["AZRebalance", "Launch"] if alone else ["AZRebalance"]
    return {
        "name": group.name,
        "by": "subnet" if by_subnet else "zone",
        "had": had,
        "taken": [] if alone else taken,
        "suspended": [process for process in wanted if process not in group.suspended],
    }


def inject(access: Access, undo: Sequence[Mapping[str, Any]]) -> str:
    client = access.client("autoscaling")
    for one in undo:
        if one["suspended"]:
            client.suspend_processes(AutoScalingGroupName=one["name"], ScalingProcesses=one["suspended"])
        if one["taken"]:
            _set(access, one, [name for name in one["had"] if name not in one["taken"]])
    return f"{len(undo)} auto scaling groups find no capacity there" if undo else ""


def _set(access: Access, one: Mapping[str, Any], names: Sequence[str]) -> None:
    where = {"VPCZoneIdentifier": ",".join(names)} if one["by"] == "subnet" else {"AvailabilityZones": list(names)}
    access.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=one["name"], **where)


def merged(had: Sequence[str], taken: Sequence[str], now: Sequence[str]) -> list[str]:
    """What there was, in the old order, without what somebody else has removed meanwhile and with what they added."""
    return [one for one in had if one in now or one in taken] + [one for one in now if one not in had]


def heal(access: Access, undo: Sequence[Mapping[str, Any]], mending: Mending) -> None:
    """Give each group its subnets back, and resume what was suspended here."""
    if not undo:
        return
    back: list[str] = []

    def mend(one: Mapping[str, Any], now: Mapping[str, Any] | None) -> str | None:
        if now is None:
            return f"the auto scaling group {one['name']} is gone"
        listed = [name for name in now.get("VPCZoneIdentifier", "").split(",") if name]
        listed = listed if one["by"] == "subnet" else list(now["AvailabilityZones"])
        wanted = merged(one["had"], one["taken"], listed)
        if set(wanted) != set(listed):
            _set(access, one, wanted)
            back.append(one["name"])
        held = {process["ProcessName"] for process in now.get("SuspendedProcesses", [])}
        if resume := [process for process in one["suspended"] if process in held]:
            access.client("autoscaling").resume_processes(AutoScalingGroupName=one["name"], ScalingProcesses=resume)
        return None

    def all_of_them() -> str | None:
        found = {}
        for some in chunks([one["name"] for one in undo], NAMED):
            for group in access.pages(
                "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=some
            ):
                found[group["AutoScalingGroupName"]] = group
        for one in undo:
            mending.attempt(
                f"the auto scaling group {one['name']}",
                lambda one=one: mend(one, found.get(one["name"])),  # type: ignore[misc]
            )
        return f"{len(back)} auto scaling groups have their zones again" if back else None

    mending.attempt("the auto scaling groups", all_of_them)
