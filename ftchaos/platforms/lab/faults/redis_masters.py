"""Masters of the Redis Cluster die, with replicas that keep up or lag behind, or are cut off with clients beside."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import flows, settling
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.layout import REDIS_CLUSTER_PORTS, ZONES
from ftchaos.platforms.lab.standing import Standing

KIND = "redis-cluster"
BUS = 10000  # a node speaks with its peers on its port plus this
LAG_S = 0.2
MANNERS = ("kill", "lag", "partition")
VERBS = {
    "kill": "killed",
    "lag": "killed while its replica lagged behind",
    "partition": "cut off with its zone's Redis",
}
WEBSOCKET = "websocket"  # its notifications travel through the cluster's nodes


def plan(standing: Standing, which: str = "one", manner: str = "kill") -> Harm:
    """Which masters fall.

    Args:
        which: ``one``: that of shard a; ``every-second``: the first and the third, and with them the quorum; or a
            master by its name.
        manner: ``kill``; ``lag``: their replicas hear nothing for 200 ms before the kill; ``partition``: the cluster's
            ports of their zones are cut off, from other zones and from clients outside.
    """
    if manner not in MANNERS:
        raise Invalid(f"a Redis master cannot fail in the manner {manner!r}", f"choose {', '.join(MANNERS)}")
    if manner != "kill":
        flows.ensure_possible(standing.layout)
    masters = _chosen(standing, which)
    zones = list(dict.fromkeys(standing.zone_of(name) for name in masters))
    hit = list(masters)
    if manner == "partition":
        if len(zones) > 1:
            raise Invalid("clients can be inside one zone only, and these masters stand in two", "choose one master")
        hit = [member.name for member in standing.in_zone(zones[0]) if member.kind == KIND]
    letters = [letter for letter, name in standing.masters.items() if name in hit]
    lost = quorum_lost(standing, hit)
    return Harm(
        f"{_named(masters)} {'was' if len(masters) == 1 else 'were'} {VERBS[manner]}",
        tuple(Target(name, KIND, standing.zone_of(name), len(standing.of_kind(KIND))) for name in hit),
        _signs(standing, hit, manner),
        {
            "servers": masters if manner != "partition" else [],
            "flows": [flow.to_json() for flow in _flows(standing, masters, manner)],
        },
        (*(f"cache-{letter}" for letter in (standing.masters if lost else letters)), WEBSOCKET),
        inside=zones[0] if manner == "partition" else "",
        quorum_lost=lost,
    )


def quorum_lost(standing: Standing, hit: Collection[str]) -> str:
    """The Redis Cluster, where as many of its masters are hit that no majority of them is left; else empty."""
    left = len(set(standing.masters.values()) - set(hit))
    return "" if left * 2 > len(standing.masters) else "the Redis Cluster"


def _chosen(standing: Standing, which: str) -> list[str]:
    masters = [standing.masters[shard] for shard in sorted(standing.masters)]
    if which == "one":
        return masters[:1]
    if which == "every-second":
        return masters[::2]
    if which in masters:
        return [which]
    raise Invalid(f"{which!r} is no master of the Redis Cluster", f"choose one, every-second, or {', '.join(masters)}")


def _named(masters: list[str]) -> str:
    return f"the Redis Cluster's master{'s' * (len(masters) > 1)} {' and '.join(masters)}"


def _signs(standing: Standing, hit: list[str], manner: str) -> dict[str, Mapping[str, Any]]:
    members = [standing.members[name] for name in hit]
    if manner == "partition":  # the machine answers still, only these ports do not
        return {f"{member.name} answers": signs.redis(member, "PING", r"^\+PONG") for member in members}
    return {member.name: member.watched for member in members}


def _flows(standing: Standing, masters: list[str], manner: str) -> list[flows.Flow]:
    if manner == "partition":
        zone = standing.zone_of(masters[0])
        ports = [*REDIS_CLUSTER_PORTS, *(port + BUS for port in REDIS_CLUSTER_PORTS)]
        return [*flows.served_by(zone, ports), *flows.used_by(zone, ports)]
    if manner == "lag":
        return [flow for name in masters for flow in _to_replicas(standing, name)]
    return []


def _to_replicas(standing: Standing, master: str) -> list[flows.Flow]:
    zone = standing.zone_of(master)
    others = [other for other in ZONES if other != zone]
    return flows.served_by(zone, [standing.members[master].watched["port"]], others)


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
        settling.ensure_led(lab)
        begun = mending.begin_dead(lab, arguments["servers"])
        said = mending.until_whole(lab, (mending.CLUSTER,))
        return f"the Redis Cluster is whole again, {' and '.join(begun) or 'no server'} begun{said}"
