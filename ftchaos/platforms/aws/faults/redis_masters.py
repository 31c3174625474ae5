"""Primaries of ElastiCache fail, one shard at a time, by the service's own test of a failover.

A node cannot be killed from outside, and its replica not be made to lag. TestFailover takes the primary's node out and
replaces it, which is abrupt to its clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid
from ftchaos.guard import Target
from ftchaos.platforms.aws.faults import shards, signs
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Inventory, Shard
from ftchaos.platforms.base import Harm

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

MANNERS = ("kill",)
LETTERS = "abc"
"""Of the shards that are sampled by name, in order; see :data:`ftchaos.platforms.base.COMPONENTS`."""


def plan(inventory: Inventory, which: str = "one", manner: str = "kill") -> Harm:
    """Which primaries fall.

    Args:
        which: ``one``: that of the first shard; ``every-second``: of the first, the third and so on; or a primary by
            its name.
        manner: ``kill``, the only one there is.

    Raises:
        Invalid: there is no such primary or manner.
        Refused: a shard could not fail over, or the quota does not suffice.
    """
    if manner not in MANNERS:
        raise Invalid(f"a primary of ElastiCache cannot fail in the manner {manner!r}", f"choose {', '.join(MANNERS)}")
    every = inventory.cache()
    chosen = _chosen(every, which)
    nodes = [node for one in every for node in one.copies]
    letters = [LETTERS[index] for index, one in enumerate(every) if one in chosen and index < len(LETTERS)]
    names = " and ".join(one.primary.name for one in chosen)
    return Harm(
        f"ElastiCache was told to fail {names}" + (", one after the other" if len(chosen) > 1 else ""),
        tuple(Target(one.primary.name, "redis-cluster", one.primary.zone, len(nodes)) for one in chosen),
        {name: sign for one in chosen for name, sign in signs.redis(one.primary).items()},
        {"place": dict(inventory.place), "shards": shards.plan(inventory, chosen)},
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
    return shards.inject(access, harm.undo["shards"])


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending()
    shards.heal(access, arguments["shards"], mending)
    return mending.end("the cache was whole")
