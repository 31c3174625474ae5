"""A copy as of a point in time, from automated backups and the log behind them.

A cluster is restored in full: a copy-on-write clone shares its pages with the source, and would prove no backup.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftchaos.clock import iso
from ftchaos.errors import Refused
from ftchaos.platforms.aws.copies import parts
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated, Pick
from ftchaos.platforms.aws.copies.making import Making
from ftchaos.platforms.aws.copies.source import Source
from ftchaos.platforms.base import Progress

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.aws.access import Access


def pick(access: Access, settings: Environment, source: Source, to: datetime | None) -> Pick:
    """The latest instant that can be restored, or the one asked for; whole seconds, as RDS takes them.

    Raises:
        Refused: backups are off, there is nothing to restore yet, or the instant is outside of what can be restored.
    """
    if not source.about.get("BackupRetentionPeriod"):
        raise Refused(
            f"{source.name} keeps no automated backups: its retention is 0",
            "without them no point in time can be restored; turn them on, or drill with another method",
        )
    latest = source.about.get("LatestRestorableTime")
    earliest = source.about.get("EarliestRestorableTime") if source.is_cluster else _earliest(access, source)
    if latest is None or earliest is None:
        raise Refused(f"{source.name} has nothing that could be restored yet", "wait for its first backup")
    latest, earliest = latest.astimezone(UTC), earliest.astimezone(UTC)
    at = (to or latest).astimezone(UTC).replace(microsecond=0)
    if not earliest.replace(microsecond=0) <= at <= latest:
        raise Refused(
            f"{source.name} cannot be restored to {iso(at)}, only to {iso(earliest)} up to {iso(latest)}",
            "choose a time within, or `last`",
        )
    return Pick(at, latest, size_gib=source.size_gib)


def _earliest(access: Access, source: Source) -> datetime | None:
    """Where the restorable window begins: an instance does not say it itself."""
    kept = access.pages(
        "rds", "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups", DBInstanceIdentifier=source.name
    )
    mine = source.about.get("DbiResourceId")
    windows = [
        one["RestoreWindow"] for one in kept if mine in (None, one.get("DbiResourceId")) and one["RestoreWindow"]
    ]
    found: list[datetime] = [one["EarliestTime"] for one in windows if one.get("EarliestTime")]
    return min(found, default=None)


def create(making: Making, chosen: Chosen, isolated: Isolated, progress: Progress) -> None:
    if chosen.is_cluster:
        making.client("rds", once=True).restore_db_cluster_to_point_in_time(
            DBClusterIdentifier=making.announce("cluster"), SourceDBClusterIdentifier=chosen.source,
            RestoreType="full-copy", RestoreToTime=chosen.taken_at, **parts.cluster(making, chosen, isolated),
        )  # fmt: skip
        parts.create_server(making, chosen, isolated, progress)
        return
    making.client("rds", once=True).restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=chosen.source, TargetDBInstanceIdentifier=making.announce("instance"),
        RestoreTime=chosen.taken_at, **parts.instance(making, chosen, isolated),
    )  # fmt: skip
