"""The parts of the stand-in put together: what answers which operation, and what a test can command."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from standin import arc, pricing, scaling, tagging
from standin.aurora import Aurora
from standin.backup import Backup
from standin.caches import Caches
from standin.database import fresh
from standin.fis import Fis
from standin.gate import Handler
from standin.groups import Groups
from standin.instances import Instances
from standin.interruption import Interruption
from standin.restores import Restores
from standin.snapshots import Snapshots
from standin.targets import Targets
from standin.volumes import Volumes
from standin.world import World, now
from standin.zones import Zones

Commands = dict[str, Callable[..., Any]]


def assemble(folder: Path) -> tuple[World, dict[tuple[str, str], Handler], Commands]:
    """The world of a stand-in, the handlers of its operations, and the commands of its tests."""
    scaling.spread()
    world = World(folder)
    snapshots = Snapshots(world)
    databases = Instances(world, snapshots)
    restores = Restores(world, databases, snapshots)
    caches = Caches(world)
    aurora = Aurora(world, databases)
    volumes = Volumes(world, aurora, snapshots)
    backup = Backup(world, restores, snapshots)
    zones = Zones(world, databases, caches)

    def age(instance: str, by_s: float, region: str = "us-east-1") -> None:
        """Let an instance or a cluster have been there for longer: its first image can be had of any time since."""
        record = world.instance(region, instance)
        if record is None:
            aurora.need(region, instance).earliest_at = now() - datetime.timedelta(seconds=by_s)
            return
        record.earliest_at = now() - datetime.timedelta(seconds=by_s)
        record.model.instance_create_time = record.earliest_at.replace(tzinfo=None)

    interruption = Interruption(world, databases, aurora, caches, zones)
    commands: Commands = {
        "settings": lambda **values: world.settings.change(values),
        "age": age,
        "password": lambda: fresh()[1],
        "recovery_point": backup.add_point,
        "stay_down": interruption.stay_down,
        "processes": lambda: {
            record.model.db_instance_identifier: record.database.pid
            for record in world.instances.values()
            if record.database
        },
    }
    handlers: dict[tuple[str, str], Handler] = {}
    fis = Fis(world, Targets(aurora, caches), interruption)
    # Later ones come before earlier ones: Aurora has instances of its own.
    for part in (
        Groups(), snapshots, databases, restores, aurora, volumes, caches, backup, zones, arc.Shifts(world), fis
    ):  # fmt: skip
        handlers |= part.handlers
    handlers["resourcegroupstaggingapi", "GetResources"] = tagging.get_resources
    handlers["pricing", "GetProducts"] = pricing.get_products
    for name in ("DescribeAutoScalingGroups", "DescribeAutoScalingInstances"):
        handlers["autoscaling", name] = scaling.examine
    return world, handlers, commands
