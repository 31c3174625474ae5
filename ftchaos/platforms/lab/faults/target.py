"""One target behind the load balancer hangs: its kernel accepts connections, and it never answers."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import serving
from ftchaos.platforms.lab.faults import mending
from ftchaos.platforms.lab.faults.instance import HEAL_S, HITS, choose
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.standing import Standing


def plan(standing: Standing, tier: str = "api", instance: str = "") -> Harm:
    """Which target hangs.

    Args:
        tier: ``api``, or ``websocket`` for the one that holds the clients' Socket.IO sessions.
        instance: its name, such as ``api-b``; by default the first of the tier.
    """
    if tier == "worker":
        raise Invalid("no worker stands behind the load balancer", "choose api, websocket")
    member = choose(standing, tier, instance)
    return Harm(
        f"{member.name} hung",
        (Target(member.name, member.kind, member.zone, len(standing.of_kind(member.kind))),),
        {member.name: member.watched},
        {"instance": member.name},
        HITS[tier],
    )


def inject(lab: Lab, harm: Harm) -> str:
    name = harm.undo["instance"]
    lab.call("kill_service", name=name, signal=int(signal.SIGSTOP))
    return f"{name} is stopped: it accepts and does not answer"


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    name = arguments["instance"]
    with mending.healing(lab):
        if not mending.begin_dead(lab, [name]):
            lab.call("kill_service", name=name, signal=int(signal.SIGCONT))
        serving.wait_serving(lab, HEAL_S)
    return f"{name} answers again"
