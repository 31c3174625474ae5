"""The faults of AWS by name, with the names and arguments that the lab's have.

Each module has three functions: ``plan`` resolves the fault against the inventory, touching nothing; ``inject`` does
it; ``heal`` undoes it from the undo record alone, however often, also after a crash half way. What several of them
harm is a module of its own: ``blackhole``, ``power``, ``capacity``, ``balancing``, ``takeover``, ``shards``,
``promotion``, ``rebooting``, ``experiment``; ``shift`` is the recovery from a failed zone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid
from ftchaos.platforms.aws.faults import experiment, mysql_primary, redis_masters, zone
from ftchaos.platforms.base import Harm

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access


@dataclass(frozen=True)
class Fault:
    """The functions of one module."""

    plan: Callable[..., Harm]
    inject: Callable[[Access, Harm], str]
    heal: Callable[[Access, Mapping[str, Any]], str]


def ended(access: Access, undo: Mapping[str, Any]) -> str:
    """Why what was injected is over before its heal, in words; empty while it lasts."""
    return experiment.ended(access, undo["experiment"]) if "experiment" in undo else ""


FAULTS = {
    "fail_mysql_primary": Fault(mysql_primary.plan, mysql_primary.inject, mysql_primary.heal),
    "fail_redis_masters": Fault(redis_masters.plan, redis_masters.inject, redis_masters.heal),
    "fail_zone": Fault(zone.plan, zone.inject, zone.heal),
}


def find(name: str) -> Fault:
    """A fault by its name.

    Raises:
        Invalid: AWS knows no such fault.
    """
    if name not in FAULTS:
        raise Invalid(f"AWS knows no fault {name!r}", f"it knows {', '.join(FAULTS)}")
    return FAULTS[name]
