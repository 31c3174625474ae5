"""Databases that are made to change their writer, through the control plane; asked once and never again.

A repeated request would fail over twice, so the client of these calls does not retry. What must be so for a failover
is checked before anything is touched: a standby, or a reader elsewhere. Whoever cuts a writer off before may find that
RDS has failed over by itself, and a request would lead back into the zone that fails.

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
MOVING = ("rebooting", "failing-over")
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
        return _move(database, "")
    fit = [one for one in database.others if one.zone and one.zone not in (away_from, database.writer.zone)]
    if not fit:
        raise Refused(
            f"no reader of {database.name} is in another zone than its writer, {database.writer.zone}",
            "nobody could take over; add a reader in another zone",
        )
    return _move(database, fit[0].name)


def _move(database: Database, to: str) -> dict[str, Any]:
    writer = database.writer
    return {"name": database.name, "kind": database.kind, "writer": writer.name, "zone": writer.zone, "to": to}


def able(database: Database, zone: str) -> bool:
    """Whether somebody outside this zone could take over."""
    if database.kind == "replica":
        return False
    if database.kind == "instance":
        return bool(database.others)
    return any(one.zone and one.zone != zone for one in database.others)


def inject(access: Access, undo: Mapping[str, Any]) -> str:
    if found := _already(access, undo):
        return f"{undo['name']} was told nothing: {found}"
    client = access.client("rds", once=True)
    if undo["kind"] == "instance":
        client.reboot_db_instance(DBInstanceIdentifier=undo["name"], ForceFailover=True)
        return f"{undo['name']} was told to reboot with failover"
    client.failover_db_cluster(DBClusterIdentifier=undo["name"], TargetDBInstanceIdentifier=undo["to"])
    return f"{undo['name']} was told to fail over from {undo['writer']} to {undo['to']}"


def _already(access: Access, undo: Mapping[str, Any]) -> str:
    """Where the lead is, or is on its way, if no longer where it was when this was planned; in words, or empty.

    The writer of a cluster is known by its name; an instance keeps its name, and moves to another zone.
    """
    if undo["kind"] == "instance":
        which = [{"Name": "db-instance-id", "Values": [undo["name"]]}]
        found = access.pages("rds", "describe_db_instances", "DBInstances", Filters=which)
        leads = [(one["DBInstanceStatus"], one.get("AvailabilityZone", "")) for one in found]
        planned = undo["zone"]
    else:
        which = [{"Name": "db-cluster-id", "Values": [undo["name"]]}]
        clusters = access.pages("rds", "describe_db_clusters", "DBClusters", Filters=which)
        leads = [(one["Status"], _writer(one)) for one in clusters]
        planned = undo["writer"]
    for status, lead in leads:
        if status in MOVING:
            return f"it was {status} already"
        if lead not in ("", planned):
            return f"the lead was with {lead} by then, and not with {planned}"
    return ""


def _writer(cluster: Mapping[str, Any]) -> str:
    return next((one["DBInstanceIdentifier"] for one in cluster["DBClusterMembers"] if one["IsClusterWriter"]), "")


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
