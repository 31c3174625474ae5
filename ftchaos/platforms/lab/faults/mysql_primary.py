"""The MySQL primary dies, with replicas that keep up or lag behind, is cut off with clients beside, or steps down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import flows
from ftchaos.platforms.lab.decisions import Folder
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import MYSQL_PORT, ZONES
from ftchaos.platforms.lab.standing import Standing

LAG_S = 0.2
POLITE, PARTITION, LAG, KILL = "polite", "partition", "lag", "kill"
CLAUSES = {
    KILL: "the MySQL primary {name} was killed",
    LAG: "the MySQL primary {name} was killed while its replicas lagged behind",
    PARTITION: "the MySQL primary {name} was cut off from everybody outside {zone}",
    POLITE: "the failover manager was asked to take the lead from the MySQL primary {name}",
}


def plan(standing: Standing, manner: str = KILL) -> Harm:
    """What falls with the primary.

    Args:
        manner: ``kill``; ``lag``: its replicas hear nothing for 200 ms before the kill; ``partition``: its port is cut
            off from everybody outside its zone, where clients go on; ``polite``: the managed failover, in which no
            server dies.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a MySQL primary cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    if manner in (PARTITION, LAG):
        flows.ensure_possible(standing.layout)
    member = standing.members[standing.primary]
    return Harm(
        CLAUSES[manner].format(name=member.name, zone=member.zone),
        (Target(member.name, member.kind, member.zone, len(standing.of_kind(member.kind))),),
        {
            PARTITION: {f"{member.name} answers": signs.mysql(standing, member, "SELECT 1")},
            POLITE: {f"{member.name} takes writes": signs.mysql(standing, member, signs.TAKES_WRITES)},
        }.get(manner, {member.name: member.watched}),
        {"server": member.name, "manner": manner, "flows": [flow.to_json() for flow in _flows(member.zone, manner)]},
        ("database", "api", "queue", "websocket"),  # all work ends in the database, and what is not done is not told
        inside=member.zone if manner == PARTITION else "",
    )


def _flows(zone: str, manner: str) -> list[flows.Flow]:
    if manner == PARTITION:
        return flows.served_by(zone, [MYSQL_PORT])
    if manner == LAG:
        return flows.served_by(zone, [MYSQL_PORT], [other for other in ZONES if other != zone])
    return []


def inject(lab: Lab, harm: Harm) -> str:
    server, manner = harm.undo["server"], harm.undo["manner"]
    if manner == POLITE:
        said = Folder.of(lab.folder).switch(server)
        return f"{said} leads in the place of {server}"
    if harm.undo["flows"]:
        lab.call("block", flows=harm.undo["flows"])
    if manner == LAG:
        time.sleep(LAG_S)
    if manner != PARTITION:
        lab.call("kill_service", name=server)
    return harm.clause


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    with mending.healing(lab):
        Folder.of(lab.folder).forget_switch()
        mending.unblock(lab, arguments["flows"])
        said = mending.until_whole(lab, (mending.DATABASE,))
        return f"{arguments['server']} runs and is reached, and the database has a leader whom all others follow{said}"
