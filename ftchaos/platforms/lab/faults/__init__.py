"""The faults of the lab by name, one file each.

Each module has three functions: ``plan`` resolves the fault against who stands where, touching nothing; ``inject``
does it; ``heal`` undoes it from the undo record alone, however often, also after a crash half way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.platforms.base import Harm
from ftchaos.platforms.lab.faults import (
    address,
    clock,
    disk,
    durability,
    instance,
    memory,
    mysql_primary,
    mysql_replica,
    queue_master,
    redis_masters,
    slowness,
    target,
    zone,
)
from ftchaos.platforms.lab.lab import Lab


@dataclass(frozen=True)
class Fault:
    """The functions of one module."""

    plan: Callable[..., Harm]
    inject: Callable[[Lab, Harm], str]
    heal: Callable[[Lab, Mapping[str, Any]], str]


FAULTS = {
    "exhaust_memory": Fault(memory.plan, memory.inject, memory.heal),
    "fail_mysql_primary": Fault(mysql_primary.plan, mysql_primary.inject, mysql_primary.heal),
    "fail_mysql_replica": Fault(mysql_replica.plan, mysql_replica.inject, mysql_replica.heal),
    "fail_queue_master": Fault(queue_master.plan, queue_master.inject, queue_master.heal),
    "fail_redis_masters": Fault(redis_masters.plan, redis_masters.inject, redis_masters.heal),
    "fail_zone": Fault(zone.plan, zone.inject, zone.heal),
    "fill_disk": Fault(disk.plan, disk.inject, disk.heal),
    "jump_clock": Fault(clock.plan, clock.inject, clock.heal),
    "kill_instance": Fault(instance.plan, instance.inject, instance.heal),
    "lose_target": Fault(target.plan, target.inject, target.heal),
    "move_address": Fault(address.plan, address.inject, address.heal),
    "slow_dependency": Fault(slowness.plan, slowness.inject, slowness.heal),
    "weaken_durability": Fault(durability.plan, durability.inject, durability.heal),
}


def find(name: str) -> Fault:
    """A fault by its name.

    Raises:
        Invalid: the lab knows no such fault.
    """
    if name not in FAULTS:
        raise Invalid(f"the lab knows no fault {name!r}", f"it knows {', '.join(FAULTS)}")
    return FAULTS[name]
