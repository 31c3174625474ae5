"""Databases that are made to change their writer, through the control plane; asked once and never again.

A repeated request would fail over twice, so the client of these calls does not retry. What must be so for a failover
is checked before anything is touched: a standby, or a reader elsewhere.

Source: RDS API reference, RebootDBInstance and FailoverDBCluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused
from ftchaos.platforms.aws.faults.mending import Mending
from ftchaos.platforms.aws.inventory import Database

if TYPE_CHECKING:
    from ftchaos.platforms.aws.access import Access

AVAILABLE = "available"
SETTLED_S = 1800.0


def plan(database: Database, away_from: str = "") -> dict[str, Any]:
    """How the writer of this database is to change.

    Args:
        away_from: a zone that the new writer must not be in; empty for any.

    Raises:
        Refused: nobody could take over, or the database is not well already.
    """
    if database.status != AVAILABLE:
        raise Refused(
            f"the database {database.name} is {database.status}, not {AVAILABLE}",
            "wait until it is well, then run again",
        )
    if not database.others:
        raise Refused(
            f"the database {database.name} is in one zone alone: it has no standby and no reader",
            "nobody could take over; turn Multi-AZ on, or add a reader",
        )
    if database.kind == "instance":
        return {"name": database.name, "kind": database.kind, "writer": database.writer.name, "to": ""}
    fit = [one for one in database.others if one.zone and one.zone not in (away_from, database.writer.zone)]
    if not fit:
        raise Refused(
            f"no reader of {database.name} is in another zone than its writer, {database.writer.zone}",
            "nobody could take over; add a reader in another zone",
        )
    return {"name": database.name, "kind": database.kind, "writer": database.writer.name, "to": fit[0].name}


def able(database: Database, zone: str) -> bool:
    """Whether somebody outside this zone could take over."""
    if database.kind == "replica":
        return False
    if database.kind == "instance":
        return bool(database.others)
    return any(one.zone and one.zone != zone for one in database.others)


def inject(access: Access, undo: Mapping[str, Any]) -> str:
    client = access.client("rds", once=True)
    if undo["kind"] == "instance":
        client.reboot_db_instance(DBInstanceIdentifier=undo["name"], ForceFailover=True)
        return f"{undo['name']} was told to reboot with failover"
    client.failover_db_cluster(DBClusterIdentifier=undo["name"], TargetDBInstanceIdentifier=undo["to"])
    return f"{undo['name']} was told to fail over from {undo['writer']} to {undo['to']}"


def heal(access: Access, undo: Sequence[Mapping[str, Any]], mending: Mending) -> None:
    """Wait until each database is well; its writer stays where it has moved to."""
    for one in undo:
        mending.attempt(f"the database {one['name']}", lambda one=one: _settle(access, one))  # type: ignore[misc]


def _settle(access: Access, one: Mapping[str, Any]) -> str:
    access.until(
        lambda: statuses(access, one),
        lambda found: not found or set(found) == {AVAILABLE},
        SETTLED_S,
        f"the database {one['name']} is {AVAILABLE}",
    )
    return f"{one['name']} is {AVAILABLE}"


def statuses(access: Access, one: Mapping[str, Any]) -> list[str]:
    """How a database and all its servers are, as RDS says; empty where it is gone."""
    if one["kind"] == "instance":
        which = [{"Name": "db-instance-id", "Values": [one["name"]]}]
        return [
            each["DBInstanceStatus"]
            for each in access.pages("rds", "describe_db_instances", "DBInstances", Filters=which)
        ]
    which = [{"Name": "db-cluster-id", "Values": [one["name"]]}]
    found = [each["Status"] for each in access.pages("rds", "describe_db_clusters", "DBClusters", Filters=which)]
    servers = access.pages("rds", "describe_db_instances", "DBInstances", Filters=which)
    return found + [each["DBInstanceStatus"] for each in servers]
