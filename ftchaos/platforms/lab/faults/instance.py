"""One instance of the application dies by kill -9, and stays dead as long as the fault lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import serving
from ftchaos.platforms.lab.faults import mending, signs
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.standing import Member, Standing

# What the clients of a tier use.
HITS = {"api": ("api",), "websocket": ("api", "websocket"), "worker": ("queue",)}
HEAL_S = 20.0


def plan(standing: Standing, tier: str = "api", instance: str = "") -> Harm:
    """Which instance dies.

    Args:
        tier: ``api``; ``websocket``, the API instance that holds the clients' Socket.IO sessions; or ``worker``.
        instance: its name, such as ``api-b``; by default the first of the tier.
    """
    member = choose(standing, tier, instance)
    of = len(standing.of_kind(member.kind))
    return Harm(
        f"{member.name} was killed",
        (Target(member.name, member.kind, member.zone, of),),
        {member.name: member.watched or _at_work(standing, member)},
        {"instance": member.name},
        HITS[tier],
    )


def choose(standing: Standing, tier: str, instance: str) -> Member:
    """The instance of a tier that a fault hits.

    Raises:
        Invalid: there is no such tier, or no such instance in it.
    """
    if tier not in HITS:
        raise Invalid(f"the application has no tier {tier!r}", f"choose {', '.join(HITS)}")
    members = {member.name: member for member in standing.of_kind("worker" if tier == "worker" else "api")}
    name = instance or (standing.sockets if tier == "websocket" else "") or next(iter(members))
    if name not in members:
        raise Invalid(f"the tier {tier} has no instance {name!r}", f"it has {', '.join(members)}")
    return members[name]


def _at_work(standing: Standing, worker: Member) -> dict[str, Any]:
    """A worker listens nowhere; from outside it is seen by its connections to the queue, which bear its name."""
    return signs.redis(standing.members[standing.queue_master], "CLIENT LIST", rf"name=\S+:w:{worker.name} ")


def inject(lab: Lab, harm: Harm) -> str:
    name = harm.undo["instance"]
    killed = lab.call("kill_service", name=name)
    return f"{name} is dead, {(killed['gone_at'] - killed['killed_at']) * 1000:.0f} ms after kill -9"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    name = arguments["instance"]
    with mending.healing(lab):
        begun = mending.begin_dead(lab, [name])
        serving.wait_serving(lab, HEAL_S)
    return f"{name} serves again" if begun else f"{name} serves"
