"""The doctor's judgement of an environment on AWS: each weakness is found alone, and what was not read is unknown."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ftchaos.platforms.aws.claims import Seen, Unread, judged

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
DATABASE: dict[str, Any] = {
    "MultiAZ": True, "SecondaryAvailabilityZone": ZONES[1], "AvailabilityZone": ZONES[0], "BackupRetentionPeriod": 30,
    "LatestRestorableTime": NOW - timedelta(minutes=5), "StorageEncrypted": True, "DeletionProtection": True,
    "DBSubnetGroup": {"Subnets": [{"SubnetAvailabilityZone": {"Name": zone}} for zone in ZONES]},
}  # fmt: skip
CLUSTER: dict[str, Any] = {
    "BackupRetentionPeriod": 30, "LatestRestorableTime": NOW, "StorageEncrypted": True, "DeletionProtection": True,
    "AvailabilityZones": list(ZONES),
    "DBClusterMembers": [
        {"DBInstanceIdentifier": "a", "IsClusterWriter": True}, {"DBInstanceIdentifier": "b", "IsClusterWriter": False},
    ],
    "Instances": [
        {"DBInstanceIdentifier": "a", "AvailabilityZone": ZONES[0]},
        {"DBInstanceIdentifier": "b", "AvailabilityZone": ZONES[1]},
    ],
}  # fmt: skip
REDIS: dict[str, Any] = {
    "MultiAZ": "enabled", "AutomaticFailover": "enabled", "AtRestEncryptionEnabled": True,
    "NodeGroups": [
        {"NodeGroupId": "0001", "NodeGroupMembers": [{"PreferredAvailabilityZone": zone} for zone in ZONES[:2]]},
    ],
}  # fmt: skip
QUOTAS = [
    {"AccountQuotaName": name, "Used": 1, "Max": 40}
    for name in ("DBInstances", "ManualSnapshots", "DBClusters", "ManualClusterSnapshots")
]
SOUND = Seen(
    NOW, 900.0, "ftchaos=allowed", DATABASE,
    replicas=[{"DBInstanceIdentifier": "r", "AvailabilityZone": ZONES[1]}],
    redis=REDIS,
    servers=[{"Placement": {"AvailabilityZone": zone}} for zone in ZONES],
    plan={"BackupPlan": {"Rules": [{"Lifecycle": {"DeleteAfterDays": 30}}]}},
    points=[{"CreationDate": NOW - timedelta(hours=5), "Status": "COMPLETED"}],
    secret={"RotationEnabled": True, "LastRotatedDate": NOW, "NextRotationDate": NOW + timedelta(days=30)},
    versioning={"files": "Enabled"},
    quotas=QUOTAS,
    subnets=[{"AvailabilityZone": zone} for zone in ZONES[:2]],
)  # fmt: skip


@pytest.mark.parametrize("database", [DATABASE, CLUSTER])
def test_sound_environment_meets_every_claim(database: dict[str, Any]) -> None:
    findings = judged(dataclasses.replace(SOUND, database=database))

    assert {"met"} == {one.status for one in findings}
    assert 17 == len(findings)


def _weak(part: str, **changes: Any) -> dict[str, Any]:
    return {part: {**getattr(SOUND, part), **changes}}


@pytest.mark.parametrize(
    ("claim", "changes"),
    [
        ("database in several zones", _weak("database", MultiAZ=False)),
        ("database in several zones", {"database": {**CLUSTER, "Instances": CLUSTER["Instances"][:1]}}),
        ("backups kept for 30 days", _weak("database", BackupRetentionPeriod=1)),
        ("backups kept for 30 days", _weak("database", BackupRetentionPeriod=29)),
        ("point-in-time recovery", _weak("database", LatestRestorableTime=NOW - timedelta(minutes=16))),
        ("point-in-time recovery", _weak("database", LatestRestorableTime=None)),
        ("database encrypted", _weak("database", StorageEncrypted=False)),
        ("deletion protection", _weak("database", DeletionProtection=False)),
        ("database may be in three zones", _weak("database", DBSubnetGroup={"Subnets": []})),
        ("replicas in other zones", {"replicas": [{"DBInstanceIdentifier": "r", "AvailabilityZone": ZONES[0]}]}),
        ("replicas in other zones", {"replicas": []}),
        ("Redis in several zones", _weak("redis", MultiAZ="disabled")),
        ("Redis in several zones", _weak("redis", NodeGroups=[{"NodeGroupId": "1", "NodeGroupMembers": [{}, {}]}])),
        ("Redis encrypted", _weak("redis", AtRestEncryptionEnabled=False)),
        ("servers in three zones", {"servers": SOUND.servers[:2]}),  # type: ignore[index]
        ("servers in three zones", {"servers": []}),
        ("backup plan", {"plan": {"BackupPlan": {"Rules": [{"Lifecycle": {"DeleteAfterDays": 7}}]}}}),
        ("backup plan", {"plan": {"BackupPlan": {"Rules": []}}}),
        ("newest recovery point", {"points": [{"CreationDate": NOW - timedelta(days=3), "Status": "COMPLETED"}]}),
        ("newest recovery point", {"points": [{"CreationDate": NOW, "Status": "PARTIAL"}]}),
        ("secret rotated", {"secret": {"RotationEnabled": False}}),
        ("secret rotated", _weak("secret", NextRotationDate=NOW - timedelta(days=1))),
        ("buckets versioned", {"versioning": {"files": "Enabled", "other": "Suspended"}}),
        ("quotas for a drill", {"quotas": [{**one, "Used": 40} for one in QUOTAS]}),
        ("a place for drills", {"subnets": [{"AvailabilityZone": ZONES[0]}] * 2}),
        ("permission to read", {"denied": ["rds:DescribeDBInstances"]}),
    ],
)  # fmt: skip
def test_weakness_is_found_alone_and_with_a_hint(claim: str, changes: dict[str, Any]) -> None:
    findings = [one for one in judged(dataclasses.replace(SOUND, **changes)) if one.status != "met"]

    assert claim in [one.claim for one in findings]
    assert {"not met"} == {one.status for one in findings}
    assert all(one.hint for one in findings)
    assert 1 == len(findings)


def test_what_was_not_read_is_unknown_and_never_met() -> None:
    nothing = Unread("rds:DescribeDBInstances is not allowed", denied="rds:DescribeDBInstances")
    parts = {one.name: nothing for one in dataclasses.fields(Seen) if one.name not in ("at", "rpo_s", "tag", "denied")}
    findings = judged(dataclasses.replace(SOUND, **parts))

    assert {"unknown"} == {one.status for one in findings if one.claim != "permission to read"}
    assert all("allow rds:DescribeDBInstances" == one.hint for one in findings if one.status == "unknown")


def test_key_that_is_missing_in_the_configuration_is_named() -> None:
    unnamed = dataclasses.replace(SOUND, versioning=Unread("no bucket is named", unnamed="buckets"))
    (finding,) = (one for one in judged(unnamed) if one.status != "met")

    assert ("unknown", "name it in the configuration: buckets") == (finding.status, finding.hint)


def test_quota_that_rds_does_not_name_is_unknown() -> None:
    (finding,) = (one for one in judged(dataclasses.replace(SOUND, quotas=[])) if one.status != "met")

    assert "unknown" == finding.status
