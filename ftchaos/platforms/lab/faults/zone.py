"""Everything in one zone dies at once, or the zone is cut off while its servers live on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import COMPONENTS, Harm
from ftchaos.platforms.lab import flows, settling
from ftchaos.platforms.lab.faults import mending
from ftchaos.platforms.lab.faults.redis_masters import quorum_lost
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import ZONES, ensure_zone
from ftchaos.platforms.lab.standing import Standing

OUTAGE = "outage"
CLAUSES = {
    OUTAGE: "{zone} lost its power",
    "partition": "{zone} was cut off from the network",
    "partition-in": "nothing reached {zone} any more",
    "partition-out": "nothing left {zone} any more",
}
FLOWS = {"partition-in": flows.into, "partition-out": flows.out_of}


def plan(standing: Standing, zone: str = "primary", manner: str = OUTAGE) -> Harm:
    """What falls with a zone.

    Args:
        zone: its name, or ``primary`` for that of the MySQL primary, the hardest.
        manner: ``outage``: its processes and its network die; ``partition``: its servers live on, cut off both ways,
            with clients of their own beside them; ``partition-in`` and ``partition-out``: cut off one way.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a zone cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    if manner != OUTAGE:
        flows.ensure_possible(standing.layout)
    chosen = standing.zone_of(standing.primary) if zone == "primary" else ensure_zone(zone)
    fallen = standing.in_zone(chosen)
    targets = [Target(chosen, "zone", chosen, len(ZONES))]
    targets += [Target(member.name, member.kind, chosen, len(standing.of_kind(member.kind))) for member in fallen]
    unwanted = FLOWS[manner](chosen) if manner in FLOWS else []
    return Harm(
        CLAUSES[manner].format(zone=chosen),
        tuple(targets),
        {member.name: member.watched for member in fallen if member.watched},
        {"zone": chosen, "manner": manner, "flows": [flow.to_json() for flow in unwanted]},
        COMPONENTS,
        inside="" if manner == OUTAGE else chosen,
        quorum_lost=quorum_lost(standing, [member.name for member in fallen]),
    )


def inject(lab: Lab, harm: Harm) -> str:
    zone, manner = harm.undo["zone"], harm.undo["manner"]
    if manner == OUTAGE:
        dead = lab.call("kill_zone", zone=zone)["services"]
        return f"{zone} is without power and network: {len(dead)} services died"
    if manner in FLOWS:
        lab.call("block", flows=harm.undo["flows"])
        return f"{harm.clause}, its servers live on"
    lab.call("cut_zone", zone=zone)
    return f"{zone} is cut off, its servers live on"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    zone = arguments["zone"]
    with mending.healing(lab):
        mending.unblock(lab, arguments["flows"])
        lab.call("mend_zone", zone=zone)
        settling.ensure_led(lab)
        begun = mending.begin_zone(lab, zone)
        said = mending.until_whole(lab, (mending.DATABASE, mending.CLUSTER, mending.QUEUE))
        return f"{zone} has power and network again, {len(begun)} services begun{said}"
