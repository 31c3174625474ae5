"""Whether what was documented of an environment is so: from what was read of it to findings, without I/O.

What could not be read is unknown, and never taken for met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ftchaos.platforms.findings import Finding, Unread, judgement
from ftchaos.units import human_duration

__all__ = ["Described", "Finding", "Seen", "Unread", "judged"]

Described = dict[str, Any]

RETENTION_DAYS = 30
ZONES = 3
NEWEST_POINT = timedelta(hours=26)  # a daily backup, an hour until it begins, and one until it has been taken


@dataclass(frozen=True)
class Seen:
    """What was read of an environment; each part as the API describes it, or why it could not be read.

    Attributes:
        database: the instance, or the cluster with its instances under ``Instances``.
        replicas: the read replicas of the instance that are in its region.
        redis: the replication group.
        servers: running instances that carry the tag.
        tag: which tag that is.
        plan: the backup plan.
        points: recovery points of the database.
        secret: without its value.
        versioning: of each bucket.
        quotas: how many of each kind the account may have and has.
        subnets: those that a drill may build in.
    """

    at: datetime
    rpo_s: float
    tag: str
    database: Described | Unread
    replicas: list[Described] | Unread
    redis: Described | Unread
    servers: list[Described] | Unread
    plan: Described | Unread
    points: list[Described] | Unread
    secret: Described | Unread
    versioning: dict[str, str] | Unread
    quotas: list[Described] | Unread
    subnets: list[Described] | Unread
    denied: list[str] = field(default_factory=list)


def judged(seen: Seen) -> list[Finding]:
    """A finding for each claim, in the order of the documentation."""
    return [finding for judge in _CLAIMS for finding in judge(seen)]


def _multi_az(seen: Seen) -> Iterator[Finding]:
    def judge(database: Described) -> tuple[bool, str, str]:
        hint = "modify-db-instance --multi-az: without a standby, the loss of one zone is a restore"
        if "Instances" in database:
            zones = sorted({str(one.get("AvailabilityZone")) for one in database["Instances"]})
            return len(zones) > 1, f"the cluster's instances are in {_listed(zones)}", "add a reader in another zone"
        if database.get("MultiAZ"):
            return True, f"standby in {database.get('SecondaryAvailabilityZone') or 'another zone'}", ""
        return False, "the database has no standby", hint

    return judgement("database in several zones", seen.database, judge)


def _retention(seen: Seen) -> Iterator[Finding]:
    def judge(database: Described) -> tuple[bool, str, str]:
        days = int(database.get("BackupRetentionPeriod", 0))
        hint = f"set the backup retention period to {RETENTION_DAYS} days or more"
        return days >= RETENTION_DAYS, f"backups are kept for {_counted(days, 'day')}", hint

    return judgement("backups kept for 30 days", seen.database, judge)


def _point_in_time(seen: Seen) -> Iterator[Finding]:
    def judge(database: Described) -> tuple[bool, str, str]:
        newest = database.get("LatestRestorableTime")
        if not database.get("BackupRetentionPeriod") or newest is None:
            return False, "point-in-time recovery is off", "set a backup retention period"
        lag_s = max(0.0, (seen.at - newest).total_seconds())
        what = f"restorable until {human_duration(lag_s)} ago, {human_duration(seen.rpo_s)} were promised"
        return lag_s <= seen.rpo_s, what, "see the events of the database: the shipping of its log is late"

    return judgement("point-in-time recovery", seen.database, judge)


def _plan(seen: Seen) -> Iterator[Finding]:
    def judge(plan: Described) -> tuple[bool, str, str]:
        rules = plan["BackupPlan"].get("Rules", [])
        kept = [rule.get("Lifecycle", {}).get("DeleteAfterDays") for rule in rules]
        if not rules:
            return False, "the backup plan has no rule", "add a daily rule"
        longest = "for ever" if None in kept else f"for {_counted(max(kept), 'day')}"
        what = f"{_counted(len(rules), 'rule')}, kept {longest}"
        return None in kept or max(kept) >= RETENTION_DAYS, what, f"keep recovery points {RETENTION_DAYS} days"

    return judgement("backup plan", seen.plan, judge)


def _newest_point(seen: Seen) -> Iterator[Finding]:
    def judge(points: Sequence[Described]) -> tuple[bool, str, str]:
        made = [one["CreationDate"] for one in points if one.get("Status") == "COMPLETED"]
        if not made:
            return False, "AWS Backup has no complete recovery point of the database", "see the jobs of AWS Backup"
        age = seen.at - max(made)
        what = f"{human_duration(max(0.0, age.total_seconds()))} old, of {_counted(len(made), 'point')}"
        hint = "see the backup jobs of the plan: none has been completed for more than a day"
        return age <= NEWEST_POINT, what, hint

    return judgement("newest recovery point", seen.points, judge)


def _encryption(seen: Seen) -> Iterator[Finding]:
    def of_database(database: Described) -> tuple[bool, str, str]:
        hint = "restore an encrypted copy of a snapshot: it cannot be switched on"
        return _switch(database.get("StorageEncrypted"), "encrypted", hint)

    def of_redis(group: Described) -> tuple[bool, str, str]:
        hint = "make a new replication group with encryption at rest: it cannot be switched on"
        return _switch(group.get("AtRestEncryptionEnabled"), "encrypted", hint)

    yield from judgement("database encrypted", seen.database, of_database)
    yield from judgement("Redis encrypted", seen.redis, of_redis)


def _protection(seen: Seen) -> Iterator[Finding]:
    def judge(database: Described) -> tuple[bool, str, str]:
        return _switch(database.get("DeletionProtection"), "on", "switch deletion protection on")

    return judgement("deletion protection", seen.database, judge)


def _servers(seen: Seen) -> Iterator[Finding]:
    def judge(servers: Sequence[Described]) -> tuple[bool, str, str]:
        zones = sorted({str(one["Placement"]["AvailabilityZone"]) for one in servers})
        if not servers:
            return False, f"no running instance carries {seen.tag}", "tag what may be harmed: nothing else is"
        what = f"{_counted(len(servers), 'instance')} in {_listed(zones)}"
        return len(zones) >= ZONES, what, f"spread the servers over {ZONES} zones"

    return judgement("servers in three zones", seen.servers, judge)


def _database_zones(seen: Seen) -> Iterator[Finding]:
    def judge(database: Described) -> tuple[bool, str, str]:
        subnets = database.get("DBSubnetGroup", {}).get("Subnets", [])
        zones = {str(one["SubnetAvailabilityZone"]["Name"]) for one in subnets} | set(
            database.get("AvailabilityZones", ())
        )
        hint = "add a subnet of each zone to the database's subnet group"
        return len(zones) >= ZONES, f"may be in {_listed(sorted(zones))}", hint

    return judgement("database may be in three zones", seen.database, judge)


def _replicas(seen: Seen) -> Iterator[Finding]:
    if isinstance(seen.database, Unread):
        yield from judgement("replicas in other zones", seen.database, lambda _: (False, "", ""))
        return
    writer = _writer(seen.database)

    def judge(replicas: Sequence[Described]) -> tuple[bool, str, str]:
        beside = [one["DBInstanceIdentifier"] for one in replicas if one.get("AvailabilityZone") == writer]
        if not replicas:
            return False, "the database has no replica", "add one in another zone than the writer's"
        zones = sorted({str(one.get("AvailabilityZone")) for one in replicas})
        if beside:
            return False, f"{_listed(beside)} in {writer}, as is the writer", "move it to another zone"
        return True, f"in {_listed(zones)}; the writer in {writer}", ""

    yield from judgement("replicas in other zones", seen.replicas, judge)


def _writer(database: Described) -> str:
    """The zone that the writer is in."""
    if "Instances" not in database:
        return str(database.get("AvailabilityZone"))
    names = {one["DBInstanceIdentifier"] for one in database.get("DBClusterMembers", ()) if one["IsClusterWriter"]}
    zones = [one.get("AvailabilityZone") for one in database["Instances"] if one["DBInstanceIdentifier"] in names]
    return str(zones[0]) if zones else "an unknown zone"


def _redis(seen: Seen) -> Iterator[Finding]:
    def judge(group: Described) -> tuple[bool, str, str]:
        if group.get("MultiAZ") != "enabled" or group.get("AutomaticFailover") != "enabled":
            what = f"Multi-AZ {group.get('MultiAZ')}, automatic failover {group.get('AutomaticFailover')}"
            return False, what, "switch both on"
        together = [
            shard["NodeGroupId"]
            for shard in group.get("NodeGroups", ())
            if len({one.get("PreferredAvailabilityZone") for one in shard.get("NodeGroupMembers", ())}) < 2
        ]
        if together:
            return False, f"shard {_listed(together)} is in one zone only", "add a replica in another zone"
        return True, f"{_counted(len(group.get('NodeGroups', ())), 'shard')}, each in two zones or more", ""

    return judgement("Redis in several zones", seen.redis, judge)


def _secret(seen: Seen) -> Iterator[Finding]:
    def judge(secret: Described) -> tuple[bool, str, str]:
        if not secret.get("RotationEnabled"):
            return False, "the database's secret is not rotated", "switch rotation on in Secrets Manager"
        due = secret.get("NextRotationDate")
        if due is not None and due < seen.at:
            return False, f"its rotation is overdue since {due:%Y-%m-%d}", "see the log of the rotation function"
        rotated = secret.get("LastRotatedDate")
        return True, f"rotated at {rotated:%Y-%m-%d}" if rotated else "on, and not due yet", ""

    return judgement("secret rotated", seen.secret, judge)


def _buckets(seen: Seen) -> Iterator[Finding]:
    def judge(versioning: dict[str, str]) -> tuple[bool, str, str]:
        without = sorted(name for name, status in versioning.items() if status != "Enabled")
        if without:
            return False, f"{_listed(without)} keeps no versions", "switch versioning on"
        return True, _listed(sorted(versioning)), ""

    return judgement("buckets versioned", seen.versioning, judge)


def _quotas(seen: Seen) -> Iterator[Finding]:
    needed = {"DBInstances": 1, "ManualSnapshots": 1}
    if not isinstance(seen.database, Unread) and "Instances" in seen.database:
        needed = {"DBInstances": 1, "DBClusters": 1, "ManualClusterSnapshots": 1}

    def judge(left: dict[str, int]) -> tuple[bool, str, str]:
        short = [name for name, count in needed.items() if left[name] < count]
        if short:
            return False, f"no room for more {_listed(short)}", "ask for more in Service Quotas"
        return True, ", ".join(f"{left[name]:,} more {name}" for name in needed), ""

    part: dict[str, int] | Unread
    if isinstance(seen.quotas, Unread):
        part = seen.quotas
    else:
        part = {one["AccountQuotaName"]: one["Max"] - one["Used"] for one in seen.quotas}
        if unnamed := sorted(set(needed) - set(part)):
            part = Unread(f"RDS does not say how many {_listed(unnamed)} there may be")
    return judgement("quotas for a drill", part, judge)


def _drill(seen: Seen) -> Iterator[Finding]:
    def judge(subnets: Sequence[Described]) -> tuple[bool, str, str]:
        zones = sorted({str(one["AvailabilityZone"]) for one in subnets})
        hint = "name subnets in two zones or more, as RDS demands of a subnet group"
        return len(zones) > 1, f"{_counted(len(subnets), 'subnet')} in {_listed(zones) or 'no zone'}", hint

    return judgement("a place for drills", seen.subnets, judge)


def _permissions(seen: Seen) -> Iterator[Finding]:
    if seen.denied:
        hint = "`ftchaos policy aws --kind read` prints what is needed"
        yield Finding("permission to read", "not met", f"denied: {_listed(sorted(set(seen.denied)))}", hint)
    else:
        yield Finding("permission to read", "met", "no call was denied")


def _switch(value: object, word: str, hint: str) -> tuple[bool, str, str]:
    return bool(value), word if value else f"not {word}", hint


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many there are beside them."""
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more:,} more" if more > 0 else "")


_CLAIMS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    _permissions, _multi_az, _database_zones, _replicas, _retention, _point_in_time, _plan, _newest_point,
    _encryption, _protection, _redis, _servers, _secret, _buckets, _quotas, _drill,
)  # fmt: skip


def now() -> datetime:
    """This instant; the API's times are UTC as well."""
    return datetime.now(UTC)
