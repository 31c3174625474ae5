"""A copy from the newest snapshot of the source, automated or made by hand; or from its copy in another region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftchaos.clock import iso
from ftchaos.errors import Invalid, Refused
from ftchaos.platforms.aws.copies import parts, waiting
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated, Pick
from ftchaos.platforms.aws.copies.making import Making
from ftchaos.platforms.aws.copies.source import Source
from ftchaos.platforms.base import Progress

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.aws.access import Access

KINDS = ("automated", "manual")
"""Those of AWS Backup are its own to restore."""
AVAILABLE = "available"


def pick(access: Access, settings: Environment, source: Source, to: datetime | None) -> Pick:
    """The newest snapshot that is available, and no newer than an instant where one is given.

    Raises:
        Refused: there is none.
    """
    found = list(_all(access, source))
    ready = [one for one in found if one["Status"] == AVAILABLE]
    fit = [one for one in ready if to is None or _held_at(one) <= to]
    if not fit:
        others = ", ".join(sorted({one["Status"] for one in found} - {AVAILABLE}))
        raise Refused(
            f"{source.name} has no available snapshot{f' from before {iso(to)}' if to else ''}"
            + (f": others are {others}" if others else ""),
            "turn automated backups on, or take a snapshot, and wait until it is available",
        )
    newest = max(fit, key=_held_at)
    latest = max(map(_held_at, ready))
    arn = newest["DBClusterSnapshotArn" if source.is_cluster else "DBSnapshotArn"]
    size_gib = int(newest.get("AllocatedStorage", 0)) if source.size_gib else 0
    return Pick(_held_at(newest).astimezone(UTC), latest.astimezone(UTC), access.ensure_ours(arn), size_gib=size_gib)


def _held_at(snapshot: Mapping[str, Any]) -> datetime:
    """The instant whose data it holds; a copy was created later than that.

    Source: RDS API reference, DBSnapshot, SnapshotDatabaseTime and OriginalSnapshotCreateTime.
    """
    known = (snapshot.get(key) for key in ("SnapshotDatabaseTime", "OriginalSnapshotCreateTime"))
    at: datetime = next((one for one in known if one is not None), snapshot["SnapshotCreateTime"])
    return at


def _all(access: Access, source: Source) -> list[dict[str, Any]]:
    """Those of this database, and not of another that once had its name."""
    if source.is_cluster:
        identity = source.about.get("DbClusterResourceId")
        found = access.pages(
            "rds", "describe_db_cluster_snapshots", "DBClusterSnapshots", DBClusterIdentifier=source.name
        )
        its = "DbClusterResourceId"
    else:
        identity = source.about.get("DbiResourceId")
        found = access.pages("rds", "describe_db_snapshots", "DBSnapshots", DBInstanceIdentifier=source.name)
        its = "DbiResourceId"
    return [
        one
        for one in found
        if one["SnapshotType"] in KINDS and one.get("SnapshotCreateTime") and one.get(its, identity) == identity
    ]


def create(making: Making, chosen: Chosen, isolated: Isolated, progress: Progress) -> None:
    restore(making, chosen, isolated, progress, name_in(chosen.pick.origin))


def restore(making: Making, chosen: Chosen, isolated: Isolated, progress: Progress, snapshot: str) -> None:
    """Ask for the restore of a snapshot of that region.

    Args:
        snapshot: its name.
    """
    client = making.client("rds", once=True)
    if chosen.is_cluster:
        client.restore_db_cluster_from_snapshot(
            DBClusterIdentifier=making.announce("cluster"), SnapshotIdentifier=snapshot, Engine=chosen.engine,
            EngineVersion=chosen.version, **parts.cluster(making, chosen, isolated),
        )  # fmt: skip
        parts.create_server(making, chosen, isolated, progress)
        return
    client.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=making.announce("instance"), DBSnapshotIdentifier=snapshot,
        **parts.instance(making, chosen, isolated),
    )  # fmt: skip


def name_in(arn: str) -> str:
    """The name of a snapshot, which may have colons of its own."""
    return arn.split(":", 6)[6]


# In another region ------------------------------------------------------------------------------------------------


def pick_far(access: Access, settings: Environment, source: Source, to: datetime | None) -> Pick:
    """The newest snapshot, and the key that encrypts its copy.

    Raises:
        Invalid: the source is encrypted, and no key of the other region is named.
        Refused: there is no snapshot, or the key is of another account or region.
    """
    drill = settings.drill
    key, region = (drill.kms_key or "", drill.region or "") if drill else ("", "")
    if region == access.place.region:
        raise Invalid(f"{region} is where {source.name} is already", "name another one: drill: {region: ...}")
    if source.about.get("StorageEncrypted") and not key:
        raise Invalid(
            f"{source.name} is encrypted, and no key is named for its copy in {region}",
            "a key is of one region: drill: {kms_key: arn:aws:kms:...}",
        )
    if key.startswith("arn:"):
        access.ensure_ours(key, region=region)
    found = pick(access, settings, source, to)
    return Pick(found.taken_at, found.restorable_at, found.origin, kms_key=key, size_gib=found.size_gib)


def create_far(making: Making, chosen: Chosen, isolated: Isolated, progress: Progress) -> None:
    """Copy the snapshot over, wait until it is there, and restore that."""
    kind = "cluster-snapshot" if chosen.is_cluster else "snapshot"
    client = making.client("rds", once=True)
    copy: Callable[..., Any] = client.copy_db_cluster_snapshot if chosen.is_cluster else client.copy_db_snapshot
    which = "DBClusterSnapshotIdentifier" if chosen.is_cluster else "DBSnapshotIdentifier"
    key = {"KmsKeyId": chosen.pick.kms_key} if chosen.pick.kms_key else {}
    name = making.announce(kind)
    copy(
        **{f"Source{which}": chosen.pick.origin, f"Target{which}": name}, **key, CopyTags=False,
        SourceRegion=making.access.place.region, Tags=making.tags(kind),
    )  # fmt: skip
    waiting.await_snapshot(making, kind, progress)
    restore(making, chosen, isolated, progress, name)
