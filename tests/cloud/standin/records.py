"""What every handler of RDS asks of the records: whether one is there, what state it is in, how far back it goes."""

from __future__ import annotations

import datetime

from standin.call import Refused
from standin.world import Instance, World, now

BUSY = ("creating", "backing-up", "modifying", "rebooting", "deleting", "resetting-master-credentials")


def need(world: World, region: str, name: str) -> Instance:
    """The record of an instance, by its name or ARN.

    Raises:
        Refused: there is none.
    """
    record = world.instance(region, name.rpartition(":")[2])
    if record is None:
        raise Refused("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    return record


def state(record: Instance, what: str) -> Refused:
    """What is answered to a call that the state of an instance does not allow."""
    return Refused(
        "InvalidDBInstanceState",
        f"DB instance {record.model.db_instance_identifier} is {record.model.status} and cannot {what}.",
    )


def latest(world: World, record: Instance) -> datetime.datetime | None:
    """The latest restorable time, None while there is none; whole seconds, as the service gives it."""
    at = (now() - datetime.timedelta(seconds=world.settings.lag_s)).replace(microsecond=0)
    return at if at >= record.earliest_at.replace(microsecond=0) else None


def tell(world: World, record: Instance, message: str, category: str) -> None:
    """Leave an event of an instance."""
    model = record.model
    world.event(model.region, "db-instance", model.db_instance_identifier, model.arn, message, category)
