"""A server that others depend on is slow: each packet from and to it comes later, and it never dies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.standing import Member, Standing
from ftchaos.units import duration_s, human_duration

SHORTEST_S, LONGEST_S = 0.02, 1.0
# In one-way delays: half of what a question on a connection of its own takes at least.
MYSQL_LIMIT, REDIS_LIMIT = 4.0, 2.0


def plan(standing: Standing, of: str = "mysql", delay: str = "50ms") -> Harm:
    """Who is slow, and how slow.

    Args:
        of: ``mysql`` for the primary, ``redis`` for the Redis Cluster's master of shard a, or a server's name.
        delay: how much later each packet comes, in each direction.
    """
    if standing.layout.mode == "loopback":
        raise Invalid(
            "a zone on loopback addresses has no cable that could be slow",
            "run as root, or allow unprivileged user namespaces; `ftchaos doctor` says how",
        )
    delay_s = duration_s(delay)
    if not SHORTEST_S <= delay_s <= LONGEST_S:
        raise Invalid(
            f"a delay of {human_duration(delay_s)} cannot be had",
            f"choose one from {human_duration(SHORTEST_S)}, which noise is not, to {human_duration(LONGEST_S)}",
        )
    name = {"mysql": standing.primary, "redis": standing.masters["a"]}.get(of, of)
    member = standing.members.get(name)
    if member is None or member.kind not in ("mysql", "redis-cluster", "redis-queue"):
        raise Invalid(f"there is no server {of!r} that others depend on", "choose mysql, redis, or a server's name")
    return Harm(
        f"each packet from and to {name} came {human_duration(delay_s)} later",
        (Target(name, member.kind, member.zone, len(standing.of_kind(member.kind))),),
        {f"{name} answers in time": _sign(standing, member, delay_s)},
        {"server": name, "zone": member.zone, "port": member.watched["port"], "delay_s": delay_s, "kind": member.kind},
        _hits(standing, member),
    )


def inject(lab: Lab, harm: Harm) -> str:
    undo = harm.undo
    lab.call("slow_place", place=undo["zone"], delay_s=undo["delay_s"], ports=[undo["port"]])
    return f"each packet from and to {undo['server']} comes {human_duration(undo['delay_s'])} later"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    part = {"mysql": mending.DATABASE, "redis-cluster": mending.CLUSTER, "redis-queue": mending.QUEUE}
    with mending.healing(lab):
        lab.call("quicken_place", place=arguments["zone"])
        said = mending.until_whole(lab, (part[arguments["kind"]],))
    return f"packets from and to {arguments['server']} come at once again{said}"


def _sign(standing: Standing, member: Member, delay_s: float) -> dict[str, Any]:
    if member.kind == "mysql":
        return signs.mysql(standing, member, "SELECT 1", anew=True, within_s=delay_s * MYSQL_LIMIT)
    return signs.redis(member, "PING", "PONG") | {"anew": True, "within_s": delay_s * REDIS_LIMIT}


def _hits(standing: Standing, member: Member) -> tuple[str, ...]:
    if member.kind == "mysql":
        return ("api", "database", "queue", "websocket") if member.name == standing.primary else ("database",)
    if member.kind == "redis-queue":
        return ("queue",)
    # Everybody counts in the cluster, and hears events through one of its nodes.
    return ("api", "websocket", *(f"cache-{shard}" for shard, name in standing.masters.items() if name == member.name))
