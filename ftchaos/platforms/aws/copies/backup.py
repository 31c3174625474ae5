"""A copy from the newest recovery point of AWS Backup, which restores it by a job, in its own name and without tags.

The copy is tagged as soon as the job names it. Until then its undo finds it by that job and by its name.

Source: AWS Backup developer guide, restoring an RDS database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftchaos.clock import iso
from ftchaos.errors import Invalid, Refused, StepFailed
from ftchaos.platforms.aws.copies import parts, waiting
from ftchaos.platforms.aws.copies.chosen import Chosen, Isolated, Pick
from ftchaos.platforms.aws.copies.making import Making
from ftchaos.platforms.aws.copies.source import Source
from ftchaos.platforms.base import Progress

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.aws.access import Access

COMPLETED = "COMPLETED"
LOST = ("FAILED", "ABORTED")
KIND = "RDS"
OURS = (
    "DBInstanceClass", "Port", "DBSubnetGroupName", "DBParameterGroupName", "OptionGroupName", "MultiAZ",
    "PubliclyAccessible", "DeletionProtection", "AutoMinorVersionUpgrade", "CopyTagsToSnapshot",
)  # fmt: skip
"""What a copy is given beside what the recovery point has; the zone is left to RDS."""


def pick(access: Access, settings: Environment, source: Source, to: datetime | None) -> Pick:
    """The newest complete recovery point of the vault, and no newer than an instant where one is given.

    Raises:
        Invalid: no vault is named.
        Refused: there is no such point, none of them is complete, or the source is a cluster.
    """
    vault = settings.backup.vault if settings.backup else None
    if settings.backup is None or vault is None:
        raise Invalid("the environment names no vault of AWS Backup", "name one: backup: {vault: ...}")
    if source.is_cluster:
        raise Refused(
            f"{source.name} is a cluster, and recovery points are restored of instances only",
            "drill with another method",
        )
    found = list(
        access.pages(
            "backup", "list_recovery_points_by_backup_vault", "RecoveryPoints", BackupVaultName=vault,
            ByResourceArn=source.arn,
        )
    )  # fmt: skip
    ready = [one for one in found if one["Status"] == COMPLETED]
    fit = [one for one in ready if to is None or one["CreationDate"] <= to]
    if not fit:
        others = ", ".join(sorted({one["Status"] for one in found} - {COMPLETED}))
        before = f" from before {iso(to)}" if to else ""
        raise Refused(
            f"the vault {vault} has no complete recovery point of {source.name}{before}"
            + (f": others are {others}" if others else ""),
            "see the jobs of its backup plan",
        )
    newest = max(fit, key=lambda one: one["CreationDate"])
    latest = max(one["CreationDate"] for one in ready)
    return Pick(
        newest["CreationDate"].astimezone(UTC), latest.astimezone(UTC),
        access.ensure_ours(newest["RecoveryPointArn"]), vault=vault,
        role=settings.backup.role or newest.get("IamRoleArn", ""), size_gib=source.size_gib,
    )  # fmt: skip


def create(making: Making, chosen: Chosen, isolated: Isolated, progress: Progress) -> None:
    client = making.client("backup")
    said = client.get_recovery_point_restore_metadata(
        BackupVaultName=chosen.pick.vault, RecoveryPointArn=chosen.pick.origin
    )["RestoreMetadata"]
    name = making.announce("instance", recovery_point=chosen.pick.origin)
    job = making.client("backup", once=True).start_restore_job(
        RecoveryPointArn=chosen.pick.origin, IamRoleArn=chosen.pick.role, ResourceType=KIND,
        Metadata=metadata(making, chosen, isolated, said), CopySourceTagsToRestoredResource=False,
    )["RestoreJobId"]  # fmt: skip
    arn = making.access.ensure_ours(_await_made(making, client, job, progress))
    if arn.rpartition(":")[2] != name:
        raise StepFailed(f"AWS Backup restored {arn}, not {name}", "see its restore job, and whose that is")
    making.client("rds").add_tags_to_resource(ResourceName=arn, Tags=making.tags("instance"))


def metadata(making: Making, chosen: Chosen, isolated: Isolated, said: Mapping[str, str]) -> dict[str, str]:
    """What the restore job is given: what the recovery point has, and ours in its place."""
    given = parts.instance(making, chosen, isolated)
    ours = {key: str(given[key]).lower() if isinstance(given[key], bool) else str(given[key]) for key in OURS}
    groups = json.dumps(given["VpcSecurityGroupIds"])
    kept = {key: value for key, value in said.items() if key != "AvailabilityZone"}
    return {**kept, **ours, "DBInstanceIdentifier": making.name("instance"), "VpcSecurityGroupIds": groups}


def _await_made(making: Making, client: Any, job: str, progress: Progress) -> str:
    """The ARN of what the job makes, as soon as it says so.

    Raises:
        StepFailed: it failed, in its own words.
    """
    told = ""

    def ask() -> str:
        nonlocal told
        about = client.describe_restore_job(RestoreJobId=job)
        if about["Status"] in LOST:
            raise StepFailed(
                f"the restore job {job} is {about['Status']}: {about.get('StatusMessage', 'it does not say why')}",
                "see it in AWS Backup",
            )
        if about["Status"] != told:
            told = about["Status"]
            progress(f"the restore job {job} is {told}")
        return str(about.get("CreatedResourceArn", ""))

    return making.access.until(ask, bool, waiting.LONGEST_S, f"the restore job {job} names its copy", making.pace_s)
