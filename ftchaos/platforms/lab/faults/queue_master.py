"""The queue's Redis master dies, with replicas that keep up or lag behind, or is cut off with its zone's Sentinel."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import flows
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import QUEUE_REDIS_PORT, SENTINEL_PORT, ZONES
from ftchaos.platforms.lab.standing import Standing

LAG_S = 0.2
VERBS = {
    "kill": "was killed",
    "lag": "was killed while its replicas lagged behind",
    "partition": "was cut off with its zone's Sentinel",
}


def plan(standing: Standing, manner: str = "kill") -> Harm:
    """What falls with the queue's master.

    Args:
        manner: ``kill``; ``lag``: its replicas hear nothing for 200 ms before the kill; ``partition``: the queue's and
            the Sentinels' ports of its zone are cut off both ways. The application inside goes on with it then, so
            that no other clients are needed there.
    """
    if manner not in VERBS:
        raise Invalid(f"the queue's master cannot fail in the manner {manner!r}", f"choose {', '.join(VERBS)}")
    if manner != "kill":
        flows.ensure_possible(standing.layout)
    master = standing.members[standing.queue_master]
    hit = [master]
    if manner == "partition":
        hit += [member for member in standing.in_zone(master.zone) if member.kind == "sentinel"]
    return Harm(
        f"the queue's master {master.name} {VERBS[manner]}",
        tuple(Target(member.name, member.kind, member.zone, len(standing.of_kind(member.kind))) for member in hit),
        {f"{member.name} answers": signs.redis(member, "PING", r"^\+PONG") for member in hit}
        if manner == "partition"
        else {master.name: master.watched},
        {
            "servers": [] if manner == "partition" else [master.name],
            "flows": [flow.to_json() for flow in _flows(master.zone, manner)],
        },
        ("queue", "websocket"),  # what is not done is not told either
    )


def _flows(zone: str, manner: str) -> list[flows.Flow]:
    ports = [QUEUE_REDIS_PORT, SENTINEL_PORT]
    if manner == "partition":
        return [*flows.served_by(zone, ports), *flows.used_by(zone, ports)]
    if manner == "lag":
        return flows.served_by(zone, [QUEUE_REDIS_PORT], [other for other in ZONES if other != zone])
    return []


def inject(lab: Lab, harm: Harm) -> str:
    if harm.undo["flows"]:
        lab.call("block", flows=harm.undo["flows"])
    if harm.undo["servers"] and harm.undo["flows"]:
        time.sleep(LAG_S)
    for name in harm.undo["servers"]:
        lab.call("kill_service", name=name)
    return harm.clause


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    with mending.healing(lab):
        mending.unblock(lab, arguments["flows"])
        begun = mending.begin_dead(lab, arguments["servers"])
        mending.until_whole(lab, (mending.QUEUE,))
        return f"the queue and its Sentinels are whole again, {' and '.join(begun) or 'no server'} begun"
