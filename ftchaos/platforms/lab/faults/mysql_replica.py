"""One MySQL replica dies, or falls behind: it goes on receiving, and applies nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.mysql.session import execute
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import ensure_zone
from ftchaos.platforms.lab.standing import Member, Standing
from ftchaos.platforms.lab.tier import Tier

KILL, LAG = "kill", "lag"
CLAUSES = {KILL: "the MySQL replica {name} was killed", LAG: "the MySQL replica {name} stopped applying"}
# Both flavours call it so, MariaDB with Slave before it, MySQL with Replica.
APPLIES = {"sql": "SHOW REPLICA STATUS", "matches": "_SQL_Running: Yes$"}


def plan(standing: Standing, manner: str = KILL, zone: str = "") -> Harm:
    """Which replica falls.

    Args:
        manner: ``kill``, or ``lag``: it confirms what it receives, and readers see ever older data.
        zone: the zone of the replica; empty for the first.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a MySQL replica cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    member = _chosen(standing, zone)
    behind = {f"{member.name} applies": signs.mysql(standing, member, **APPLIES)}
    return Harm(
        CLAUSES[manner].format(name=member.name),
        (Target(member.name, member.kind, member.zone, len(standing.of_kind(member.kind))),),
        behind if manner == LAG else {member.name: member.watched},
        {"server": member.name, "manner": manner},
        (),  # writes and what depends on them go on; who reads from replicas is no component
    )


def _chosen(standing: Standing, zone: str) -> Member:
    replicas = [member for member in standing.of_kind("mysql") if member.name != standing.primary]
    if not zone:
        return replicas[0]
    for member in replicas:
        if member.zone == ensure_zone(zone):
            return member
    raise Invalid(f"{zone} has no MySQL replica", f"they stand in {', '.join(member.zone for member in replicas)}")


def inject(lab: Lab, harm: Harm) -> str:
    if harm.undo["manner"] == LAG:
        server = Tier(lab).servers[harm.undo["server"]]
        with server.connect() as session:
            execute(session, [server.flavour.stop_applying()])
    else:
        lab.call("kill_service", name=harm.undo["server"])
    return harm.clause


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    with mending.healing(lab):
        tier = Tier(lab)
        server = tier.servers[arguments["server"]]
        if arguments["manner"] == LAG:
            tier.wake(server)
        said = mending.until_whole(lab, (mending.DATABASE,))
        tier.wait_caught_up(server, mending.DATABASE_WITHIN_S)
        return f"{server.name} follows and has what its primary has{said}"
