"""Everything in one zone dies at once, or the zone is cut off while its servers live on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import COMPONENTS, Harm
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import ZONES, ensure_zone
from ftchaos.platforms.lab.standing import Standing

CLAUSES = {
    "outage": "{zone} lost its power",
    "partition": "{zone} was cut off from the network",
}


def plan(standing: Standing, zone: str = "primary", manner: str = "outage") -> Harm:
    """What falls with a zone.

    Args:
        zone: its name, or ``primary`` for that of the MySQL primary, the hardest.
        manner: ``outage``: its processes and its network die; ``partition``: its servers live on, cut off both ways,
            with clients of their own beside them.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a zone cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    chosen = standing.zone_of(standing.primary) if zone == "primary" else ensure_zone(zone)
    fallen = standing.in_zone(chosen)
    targets = [Target(chosen, "zone", chosen, len(ZONES))]
    targets += [Target(member.name, member.kind, chosen, len(standing.of_kind(member.kind))) for member in fallen]
    return Harm(
        CLAUSES[manner].format(zone=chosen),
        tuple(targets),
        {member.name: member.watched for member in fallen if member.watched},
        {"zone": chosen, "manner": manner},
        COMPONENTS,
        inside=chosen if manner == "partition" else "",
    )


def inject(lab: Lab, harm: Harm) -> str:
    zone = harm.undo["zone"]
    if harm.undo["manner"] == "outage":
        dead = lab.call("kill_zone", zone=zone)["services"]
        return f"{zone} is without power and network: {len(dead)} services died"
    lab.call("cut_zone", zone=zone)
    return f"{zone} is cut off, its servers live on"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    zone = arguments["zone"]
    lab.call("mend_zone", zone=zone)
    begun = lab.call("begin_zone", zone=zone)["services"]
    return f"{zone} has power and network again, {len(begun)} services begun"
