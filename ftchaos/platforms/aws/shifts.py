"""The part of the inventory that recovers: which load balancers take part in zonal shift, and in which zones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.platforms.aws.inventory import Shifts

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access


def take(access: Access, tagged: Collection[str]) -> Shifts:
    """The load balancers of these that Application Recovery Controller knows, and the ids of zones, as it wants those.

    Args:
        tagged: ARNs that carry the tag.
    """
    zones = access.pages("ec2", "describe_availability_zones", "AvailabilityZones")
    zone_ids = {one["ZoneName"]: one["ZoneId"] for one in zones}
    known = {}
    for one in access.pages("arc-zonal-shift", "list_managed_resources", "items"):
        if one["arn"] in tagged and ":loadbalancer/" in one["arn"]:
            known[access.ensure_ours(one["arn"])] = one
    return Shifts(
        zone_ids,
        {arn: tuple(one["availabilityZones"]) for arn, one in known.items()},
        {arn: away for arn, one in known.items() if (away := _away(one))},
    )


def _away(resource: Mapping[str, Any]) -> str:
    """The zone that traffic is led away from already; empty for none."""
    under_way = [*(resource.get("zonalShifts") or []), *(resource.get("autoshifts") or [])]
    return next((str(one["awayFrom"]) for one in under_way if one.get("appliedStatus") == "APPLIED"), "")
