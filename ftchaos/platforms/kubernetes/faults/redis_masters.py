"""Pods of Redis masters are deleted without grace, or cut off from everybody, from each other too."""

from __future__ import annotations

import secrets

from ftchaos.errors import Invalid
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes.faults import leads
from ftchaos.platforms.kubernetes.inventory import Inventory, Pod

LABELS = {"redis-role": "master", "redisfailovers-role": "master"}
LETTERS = "abc"
"""Of the shards that are sampled by name, in order; see :data:`ftchaos.platforms.base.COMPONENTS`."""

inject, effect, heal = leads.inject, leads.effect, leads.heal


def plan(inventory: Inventory, which: str = "one", manner: str = "kill", label: str = "") -> Harm:
    """Which masters fall.

    Args:
        which: ``one``: the first, those that clients write to being before others and else by name; ``every-second``:
            the first, the third and so on; or one by its name.
        manner: ``kill``, or ``partition``.
        label: ``key=value`` of pods that lead, where no server was asked; by default those of known operators.

    Raises:
        Invalid: there is no such master or manner, clients do not write to it, or the label is none.
        Refused: nobody is known to lead, or one would not come back, or cannot be cut off.
    """
    every, might = leads.of(inventory, "redis-master", LABELS, label)
    every.sort(key=lambda one: inventory.shards.get(one.full_name, "other"))
    hit = _chosen(every, which)
    shards = inventory.shards or {one.full_name: letter for one, letter in zip(every, LETTERS, strict=False)}
    letters = sorted(shards[one.full_name] for one in hit if one.full_name in shards)
    if not letters and inventory.shards:
        names = ", ".join(inventory.shards)
        raise Invalid(f"clients of a run do not write to {which}, so that no loss would be seen", f"choose of {names}")
    lost = "" if (len(every) - len(hit)) * 2 > len(every) or len(every) < 3 else "the Redis Cluster"
    hits = (*(f"cache-{letter}" for letter in (LETTERS if lost else letters)), "websocket")
    mark = f"ftchaos-{secrets.token_hex(4)}"
    made = leads.harm(inventory, hit, might, "redis-cluster", manner, hits, mark)
    return Harm(**{**vars(made), "quorum_lost": lost})


def _chosen(every: list[Pod], which: str) -> list[Pod]:
    if which == "one":
        return every[:1]
    if which == "every-second":
        return every[::2]
    if found := [one for one in every if which in (one.name, one.full_name)]:
        return found
    names = ", ".join(one.full_name for one in every)
    raise Invalid(f"{which!r} is no master of Redis", f"choose one, every-second, or {names}")
