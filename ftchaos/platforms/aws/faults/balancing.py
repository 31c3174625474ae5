"""Load balancers without their node in a zone.

Only where the node's subnet is not cut off: one that is cut off takes its node with it, as a real outage does, and
to withdraw that from the balancer's name as well would be a help that no outage gives.

An application load balancer keeps at least two zones, so one that has no more is left as it is.
Source: Elastic Load Balancing API reference, SetSubnets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.platforms.aws.faults.capacity import merged
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Balancer
from ftchaos.platforms.aws.survey import mapping

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

FEWEST = {"application": 2}


def plan(balancers: Iterable[Balancer], zone: str, cut_off: Collection[str]) -> list[dict[str, Any]]:
    """What is taken from which load balancer."""
    found = []
    for one in balancers:
        taken = [subnet for subnet, where in one.zone_of.items() if where == zone and subnet not in cut_off]
        left = set(one.zone_of.values()) - {zone}
        if taken and len(left) >= FEWEST.get(one.kind, 1):
            kept = [dict(each) for each in one.mappings]
            found.append({"arn": one.arn, "name": one.name, "had": kept, "taken": taken})
    return found


def inject(access: Access, undo: Sequence[Mapping[str, Any]]) -> str:
    for one in undo:
        _set(access, one["arn"], [each for each in one["had"] if each["SubnetId"] not in one["taken"]])
    return f"{len(undo)} load balancers lost their node there" if undo else ""


def _set(access: Access, arn: str, mappings: Sequence[Mapping[str, str]]) -> None:
    access.client("elbv2").set_subnets(LoadBalancerArn=arn, SubnetMappings=[dict(one) for one in mappings])


def heal(access: Access, undo: Sequence[Mapping[str, Any]], mending: Mending) -> None:
    """Give each load balancer the subnets back that it had, with its own addresses."""
    if not undo:
        return
    back: list[str] = []

    def mend(one: Mapping[str, Any], now: Mapping[str, Any] | None) -> str | None:
        if now is None:
            return f"the load balancer {one['name']} is gone"
        listed = {zone["SubnetId"]: mapping(zone) for zone in now["AvailabilityZones"]}
        had = {each["SubnetId"]: each for each in one["had"]}
        wanted = merged(list(had), one["taken"], list(listed))
        if set(wanted) != set(listed):
            _set(access, one["arn"], [had.get(name) or listed[name] for name in wanted])
            back.append(one["name"])
        return None

    def all_of_them() -> str | None:
        arns = {one["arn"] for one in undo}
        found = {}
        # By name the whole call fails when one of them is gone.
        for one in access.pages("elbv2", "describe_load_balancers", "LoadBalancers"):
            if one["LoadBalancerArn"] in arns:
                found[one["LoadBalancerArn"]] = one
        for each in undo:
            mending.attempt(
                f"the load balancer {each['name']}",
                lambda each=each: mend(each, found.get(each["arn"])),  # type: ignore[misc]
            )
        return f"{len(back)} load balancers have their zones again" if back else None

    mending.attempt("the load balancers", all_of_them)
