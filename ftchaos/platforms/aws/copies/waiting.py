"""Waiting for what RDS makes, for hours if need be: its own waiters give up after 30 minutes.

A state that no copy comes out of by itself ends the wait at once, with the words that RDS has for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ftchaos.clock import now
from ftchaos.errors import StepFailed
from ftchaos.platforms.aws.copies.making import Making
from ftchaos.platforms.base import Progress
from ftchaos.units import human_duration

AVAILABLE = "available"
LONGEST_S = 6 * 3600.0
UNSEEN_S = 300.0
"""For so long a restore that was accepted may be in no list yet."""
TELL_S = 60.0
LOST = {
    "failed", "restore-error", "storage-full", "insufficient-capacity", "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable", "cloning-failed", "deleting", "stopping", "stopped",
}  # fmt: skip
"""With everything incompatible, the states that are ends. Source: RDS user guide, DB instance and cluster status."""
SNAPSHOTS = {
    "snapshot": ("describe_db_snapshots", "DBSnapshots"),
    "cluster-snapshot": ("describe_db_cluster_snapshots", "DBClusterSnapshots"),
}
EVENTS_MINUTES = 24 * 60

Described = Mapping[str, Any]


def await_cluster(making: Making, progress: Progress) -> Described:
    """The cluster, as soon as it is available."""
    name = making.name("cluster")
    which = [{"Name": "db-cluster-id", "Values": [name]}]

    def look() -> list[Described]:
        return list(making.pages("rds", "describe_db_clusters", "DBClusters", Filters=which))

    return _await(making, look, lambda one: one["Status"], "db-cluster", name, progress)


def await_instance(making: Making, progress: Progress) -> Described:
    """The instance, as soon as it is available."""
    name = making.name("instance")
    which = [{"Name": "db-instance-id", "Values": [name]}]

    def look() -> list[Described]:
        return list(making.pages("rds", "describe_db_instances", "DBInstances", Filters=which))

    return _await(making, look, lambda one: one["DBInstanceStatus"], "db-instance", name, progress)


def await_snapshot(making: Making, kind: str, progress: Progress) -> Described:
    """A copied snapshot, as soon as it is available.

    Args:
        kind: ``snapshot`` of an instance, or ``cluster-snapshot``.
    """
    name = making.name(kind)
    list_them, key = SNAPSHOTS[kind]

    def look() -> list[Described]:
        return list(making.pages("rds", list_them, key, Filters=[{"Name": f"db-{kind}-id", "Values": [name]}]))

    return _await(making, look, lambda one: one["Status"], f"db-{kind}", name, progress)


def _await(
    making: Making,
    look: Callable[[], list[Described]],
    status_of: Callable[[Described], str],
    kind: str,
    name: str,
    progress: Progress,
) -> Described:
    """What is looked at, as soon as it is available.

    Raises:
        StepFailed: it will never be, or it is gone.
        Inconclusive: it is not, within hours.
    """
    begun_at = told_at = now()
    told = ""

    def ask() -> Described | None:
        nonlocal told, told_at
        found = look()
        if not found:
            if told or now() - begun_at > UNSEEN_S:
                raise StepFailed(f"{name} is gone", "somebody else removed it; run again")
            return None
        status = status_of(found[0])
        if status in LOST or status.startswith("incompatible-"):
            raise StepFailed(f"{name} is {status}: {_words(making, kind, name, found[0])}", "see its events in RDS")
        if status != told or now() - told_at > TELL_S:
            progress(f"{name} is {status} after {human_duration(now() - begun_at)}")
            told, told_at = status, now()
        return found[0]

    found = making.access.until(
        ask, lambda one: one is not None and status_of(one) == AVAILABLE, LONGEST_S, f"{name} is {AVAILABLE}",
        making.pace_s,
    )  # fmt: skip
    assert found is not None
    return found


def _words(making: Making, kind: str, name: str, found: Described) -> str:
    """What RDS says of a thing that went wrong: its status, else its newest events."""
    infos = [one.get("Message") or one.get("Status", "") for one in found.get("StatusInfos") or []]
    events = making.pages(
        "rds", "describe_events", "Events", SourceType=kind, SourceIdentifier=name, Duration=EVENTS_MINUTES
    )
    said = [one for one in [*infos, *[one.get("Message", "") for one in list(events)[-3:]]] if one]
    return "; ".join(said) or "RDS says nothing more"
