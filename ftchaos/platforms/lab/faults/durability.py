"""MySQL's primaries acknowledge without waiting for a replica; nothing of it is to be seen from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab import weak
from ftchaos.platforms.lab.faults import mending
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.standing import Standing


def plan(standing: Standing) -> Harm:
    """The primary of the moment, and whoever leads after it."""
    servers = standing.of_kind("mysql")
    targets = tuple(Target(member.name, member.kind, member.zone, len(servers)) for member in servers)
    return Harm("MySQL's replication was made asynchronous", targets, {}, {}, ())


def inject(lab: Lab, harm: Harm) -> str:
    weak.weaken(lab)
    return harm.clause


def heal(lab: Lab, arguments: Mapping[str, Any]) -> str:
    with mending.healing(lab):
        return f"{weak.strengthen(lab)} waits for its replicas again"
