"""Primaries of ElastiCache fail by what the service offers: nobody outside of it can kill a node, or hold one back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.guard import Target
from ftchaos.platforms.aws.faults import promotion, rebooting, shards, signs
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Inventory, Shard
from ftchaos.platforms.base import Harm

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

KILL, MOVE, REBOOT = "kill", "move", "reboot"
CLAUSES = {
    KILL: "ElastiCache was told to fail {names}",
    MOVE: "ElastiCache was told to take the lead from {names}",
    REBOOT: "ElastiCache was told to reboot {names}, which empties the cache",
}
LETTERS = "abc"
"""Of the shards that are sampled by name, in order; see :data:`ftchaos.platforms.base.COMPONENTS`."""


def plan(inventory: Inventory, which: str = "one", manner: str = KILL) -> Harm:
    """Which primaries fall.

    Args:
        which: ``one``: that of the first shard; ``every-second``: of the first, the third and so on; or a primary by
            its name.
        manner: ``kill``: ``TestFailover`` takes the node out and replaces it, which is abrupt to its clients. ``move``:
            a replica is promoted, and the primary lives on. ``reboot``: the primary comes back as such, and empty. The
            last two are not offered for groups in cluster mode.

    Raises:
        Invalid: there is no such primary or manner.
        Refused: a shard could not fail over, the service does not offer it, the quota does not suffice, or nobody
            could see it.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a primary of ElastiCache cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    every = inventory.cache()
    chosen = _chosen(every, which)
    nodes = [node for one in every for node in one.copies]
    letters = [LETTERS[index] for index, one in enumerate(every) if one in chosen and index < len(LETTERS)]
    names = " and ".join(one.primary.name for one in chosen)
    undo = {
        "place": dict(inventory.place),
        "shards": shards.plan(inventory, chosen) if manner == KILL else [],
        "moves": promotion.plan(chosen) if manner == MOVE else [],
        "reboots": rebooting.plan(chosen) if manner == REBOOT else [],
    }
    sign = signs.leads if manner == MOVE else signs.redis
    seen = {name: watched for one in chosen for name, watched in sign(one.primary).items()}
    if not seen:
        raise Refused(
            f"nobody can see from outside whether {names} leads: it speaks TLS, or has no address of its own",
            "choose the manner kill",
        )
    return Harm(
        CLAUSES[manner].format(names=names) + (", one after the other" if len(chosen) > 1 else ""),
        tuple(Target(one.primary.name, "redis-cluster", one.primary.zone, len(nodes)) for one in chosen),
        seen,
        undo,
        (*(f"cache-{letter}" for letter in letters), "websocket"),
        proof_s=signs.PROOF_S,
    )


def _chosen(every: list[Shard], which: str) -> list[Shard]:
    if which == "one":
        return every[:1]
    if which == "every-second":
        return every[::2]
    if found := [one for one in every if one.primary.name == which]:
        return found
    names = ", ".join(one.primary.name for one in every)
    raise Invalid(f"{which!r} is no primary of {every[0].group}", f"choose one, every-second, or {names}")


def inject(access: Access, harm: Harm) -> str:
    undo = harm.undo
    said = [
        shards.inject(access, undo["shards"]),
        promotion.inject(access, undo["moves"]),
        rebooting.inject(access, undo["reboots"]),
    ]
    return ", ".join(one for one in said if one)


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending()
    shards.heal(access, arguments["shards"], mending)
    promotion.heal(access, arguments["moves"], mending)
    rebooting.heal(access, arguments["reboots"], mending)
    return mending.end("the cache was whole")
