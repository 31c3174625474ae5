"""The doctor of an environment: what is sound is met, what was planted is found, and nothing but reading is done."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from standin import staging
from standin.server import Standin

from ftchaos.cli import cli
from ftchaos.platforms.aws.access import Place

ROTATED = {"RotationRules": {"AutomaticallyAfterDays": 30}, "RotateImmediately": False}
WEAK = staging.Weaknesses(
    single_az=True, retention_days=1, backup_age_days=3, replica_beside_writer=True, deletion_protection=False,
    tagged=False, versioned=False, encrypted=False,
)  # fmt: skip


def _configured(folder: Path, place: Place, vpc: str = "vpc-0123abcd") -> list[str]:
    (folder / "ftchaos.yaml").write_text(
        f"""environments:
  staging:
    platform: aws
    account: "{place.account}"
    region: {place.region}
    endpoint: {place.endpoint}
    mysql: {{instance: {staging.INSTANCE}, secret: {staging.SECRET}}}
    redis: {{replication_group: {staging.GROUP}}}
    backup: {{plan: staging, vault: staging}}
    buckets: [ft-staging-files, ft-staging-evidence]
    drill: {{vpc: {vpc}}}
"""
    )
    return ["doctor", "--environment", "staging", "--config", str(folder / "ftchaos.yaml"), "--json"]


def _findings(outcome: Result) -> dict[str, dict[str, Any]]:
    return {one["claim"]: one for one in json.loads(outcome.stdout)}


def _examined(folder: Path, aws: Standin, weaknesses: staging.Weaknesses) -> Result:
    built = staging.build(aws, weaknesses)
    if not weaknesses.single_az:
        aws.client("secretsmanager").rotate_secret(SecretId=staging.SECRET, **ROTATED)
    aws.clear()
    place = Place("staging", aws.account, aws.region, endpoint=aws.endpoint)
    outcome = CliRunner().invoke(cli, _configured(folder, place, built.vpc))
    assert [] == aws.violations()
    assert not [one["operation"] for one in aws.calls() if not one["operation"].startswith(("Describe", "List", "Get"))]
    return outcome


def test_sound_staging_has_no_weakness_that_was_not_planted(aws: Standin, tmp_path: Path) -> None:
    outcome = _examined(tmp_path, aws, staging.Weaknesses())
    found = _findings(outcome)

    # The stand-in's Redis is not encrypted, and it knows no quotas.
    assert {"Redis encrypted"} == {claim for claim, one in found.items() if one["status"] == "not met"}
    assert {"quotas for a drill"} >= {claim for claim, one in found.items() if one["status"] == "unknown"}
    assert "6 servers read in" in outcome.stderr


def test_every_planted_weakness_is_found(aws: Standin, tmp_path: Path) -> None:
    outcome = _examined(tmp_path, aws, WEAK)
    found = {one["claim"] for one in _findings(outcome).values() if one["status"] == "not met"}

    assert found >= {
        "database in several zones", "backups kept for 30 days", "newest recovery point", "replicas in other zones",
        "deletion protection", "servers in three zones", "buckets versioned", "database encrypted", "secret rotated",
    }  # fmt: skip
    assert 1 == outcome.exit_code


def test_empty_account_is_unknown_or_unmet_and_nothing_is_met_by_chance(place: Place, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(cli, _configured(tmp_path, place))

    assert {"permission to read"} == {one["claim"] for one in _findings(outcome).values() if one["status"] == "met"}


def test_wrong_account_is_refused(place: Place, tmp_path: Path) -> None:
    arguments = _configured(tmp_path, dataclasses.replace(place, account="999999999999"))
    outcome = CliRunner().invoke(cli, arguments)

    assert "is in 999999999999" in str(outcome.exception)


@pytest.mark.parametrize(
    ("environments", "told"),
    [
        ("{staging: {platform: kubernetes}}", "does not say which context"),
        ("{staging: {platform: lab}}", "nothing is documented"),
        ("{other: {platform: lab}}", "no environment"),
        ("{staging: {platform: aws, protected: true}}", "has no 'account'"),
    ],
)
def test_environment_that_cannot_be_examined_is_said_to_be(tmp_path: Path, environments: str, told: str) -> None:
    (tmp_path / "ftchaos.yaml").write_text(f"environments: {environments}")
    outcome = CliRunner().invoke(
        cli, ["doctor", "--environment", "staging", "--config", str(tmp_path / "ftchaos.yaml")]
    )

    assert told in str(outcome.exception)
