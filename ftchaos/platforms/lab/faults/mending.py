"""What all heals of the lab end with: what died runs again, and what belongs together has found together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pymysql.err import MySQLError

from ftchaos.errors import FtchaosError, HealFailed, StepFailed
from ftchaos.platforms.lab import settling
from ftchaos.platforms.lab.lab import Lab
from ftchaos.platforms.lab.tier import Tier

DATABASE, CLUSTER, QUEUE = "database", "cluster", "queue"
DATABASE_WITHIN_S = 90.0
REDIS_WITHIN_S = 45.0


@contextmanager
def healing(lab: Lab) -> Iterator[None]:
    """Whatever goes wrong in a heal leaves the lab harmed.

    Raises:
        HealFailed: it went wrong.
    """
    try:
        yield
    except HealFailed:
        raise
    except (FtchaosError, MySQLError, OSError) as error:
        fact = getattr(error, "fact", "") or str(error)
        raise HealFailed(
            f"the lab '{lab.name}' is not whole: {fact}", f"`ftchaos lab down --name {lab.name}` and bring it up anew"
        ) from error


def begin_dead(lab: Lab, names: Iterable[str]) -> list[str]:
    """Begin those of the services that do not run; their names."""
    services = lab.status()["services"]
    dead = [name for name in names if name in services and not services[name]["alive"]]
    for name in dead:
        lab.call("begin_service", name=name)
    return dead


def begin_zone(lab: Lab, zone: str) -> list[str]:
    """Begin a zone and all its services; a database that cannot begin is left to :func:`until_whole`."""
    try:
        return list(lab.call("begin_zone", zone=zone)["services"])
    except StepFailed:
        Tier(lab).mend(DATABASE_WITHIN_S)
        return list(lab.call("begin_zone", zone=zone)["services"])


def until_whole(lab: Lab, parts: Collection[str]) -> str:
    """Return when these parts of the lab are whole; what had to be done beyond waiting, as the end of a sentence.

    Raises:
        StepFailed: one is not within its time.
    """
    said = ""
    if DATABASE in parts and (renewed := Tier(lab).mend(DATABASE_WITHIN_S)):
        said = f"; {' and '.join(renewed)} held what the primary never had and was made anew"
    if CLUSTER in parts:
        settling.wait_cluster(lab, REDIS_WITHIN_S)
    if QUEUE in parts:
        settling.wait_queue(lab, REDIS_WITHIN_S)
    return said


def unblock(lab: Lab, flows: list[dict[str, Any]]) -> None:
    """Let flows pass again."""
    if flows:
        lab.call("unblock", flows=flows)
