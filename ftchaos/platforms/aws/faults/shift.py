"""A zonal shift as the recovery from a zone that failed: load balancers stop to send traffic into it.

It is begun right after the fault, so the time that people or alarms take to decide is no part of what is measured. A
shift has an end of its own, should nobody be left to cancel it. What ftchaos began carries the token of its fault in
the comment: a shift has no tags, and its id is not known when the undo is written.

Source: Application Recovery Controller, StartZonalShift: for managed resources, by the id of a zone, up to 72 hours.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Inventory

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

EXPIRES = "6h"  # longer than any recovery that is promised here


def plan(inventory: Inventory, zone: str) -> dict[str, Any]:
    """Which load balancers are led away from the zone; none where the environment does not ask for it.

    Raises:
        Refused: it asks for it, and none takes part, or another shift is under way.
    """
    shifts = inventory.shifts
    if shifts is None:
        return {"token": "", "away": "", "balancers": []}
    away = shifts.zone_ids.get(zone, "")
    chosen = [one for one in inventory.balancers if away in shifts.zones_of.get(one.arn, ())]
    if not chosen:
        raise Refused(
            f"no load balancer with the tag {inventory.tag} takes part in zonal shift in {zone}",
            "set its attribute zonal_shift.config.enabled, or take zonal_shift out of the configuration",
        )
    for one in chosen:
        if one.arn in shifts.under_way:
            raise Refused(
                f"the traffic of {one.name} is shifted away from {shifts.under_way[one.arn]} already",
                "cancel that zonal shift, or wait until it has expired",
            )
    return {
        "token": secrets.token_hex(8),
        "away": away,
        "balancers": [{"arn": one.arn, "name": one.name} for one in chosen],
    }


def clause(undo: Mapping[str, Any]) -> str:
    """What the evidence says of it; empty where nothing is shifted."""
    return f"and a zonal shift led {_names(undo)} away from {undo['away']}" if undo["balancers"] else ""


def _names(undo: Mapping[str, Any]) -> str:
    return ", ".join(one["name"] for one in undo["balancers"])


def _comment(undo: Mapping[str, Any]) -> str:
    return f"ftchaos-{undo['token']}"


def inject(access: Access, undo: Mapping[str, Any]) -> str:
    for one in undo["balancers"]:
        access.client("arc-zonal-shift", once=True).start_zonal_shift(
            resourceIdentifier=one["arn"], awayFrom=undo["away"], expiresIn=EXPIRES, comment=_comment(undo)
        )
    return f"a zonal shift leads {_names(undo)} away from {undo['away']}" if undo["balancers"] else ""


def heal(access: Access, undo: Mapping[str, Any], mending: Mending) -> None:
    """Cancel what was begun here, once all else is whole: else traffic would go back to where nobody answers."""
    if not undo["balancers"]:
        return
    if mending.failed:
        mending.failed.append(f"the zonal shift of {_names(undo)}: it is kept until the zone is whole")
        return
    mending.attempt("the zonal shift", lambda: _cancel(access, undo))


def _cancel(access: Access, undo: Mapping[str, Any]) -> str | None:
    arns = {one["arn"] for one in undo["balancers"]}
    mine = [
        one["zonalShiftId"]
        for one in access.pages("arc-zonal-shift", "list_zonal_shifts", "items", status="ACTIVE")
        if one["comment"] == _comment(undo) and one["resourceIdentifier"] in arns
    ]
    for one in mine:
        access.client("arc-zonal-shift").cancel_zonal_shift(zonalShiftId=one)
    return f"{len(mine)} zonal shifts away from {undo['away']} were cancelled" if mine else None
