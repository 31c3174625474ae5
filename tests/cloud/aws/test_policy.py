"""The policy under moto's enforcement of IAM: it is enough for what it is for, and each part of it is needed."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from ftchaos import config
from ftchaos.cli import cli
from ftchaos.platforms.aws import examination
from ftchaos.platforms.aws.access import Access, Denied, Place
from ftchaos.platforms.aws.calls import CALLS

# Those of the doctor's services for which moto asks IAM; the others take any request.
ENFORCED = ("ec2", "elasticache", "rds")


@pytest.fixture
def as_user(place: Place, stage: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Become a user who may do what a policy allows, and nothing else."""
    iam = stage("iam")

    def become(policy: dict[str, Any]) -> None:
        for statement in policy["Statement"]:
            statement["Resource"] = "*"  # moto asks for each action on "*", whatever it is called for
        iam.create_user(UserName="ftchaos")
        iam.put_user_policy(UserName="ftchaos", PolicyName="ftchaos", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName="ftchaos")["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        _enforce(place, "0")

    yield become
    _enforce(place, "inf")


def _enforce(place: Place, after: str) -> None:
    url = f"{place.endpoint}/moto-api/reset-auth"
    urllib.request.urlopen(urllib.request.Request(url, after.encode(), {"Content-Type": "text/plain"})).close()


def _printed(*options: str) -> dict[str, Any]:
    outcome = CliRunner().invoke(cli, ["policy", "aws", *options])
    assert outcome.exit_code == 0, outcome.output
    printed: dict[str, Any] = json.loads(outcome.stdout)
    return printed


def _settings(place: Place) -> config.Config:
    return config.Config.model_validate(
        {
            "environments": {
                "staging": {
                    "platform": "aws", "account": place.account, "region": place.region, "endpoint": place.endpoint,
                    "mysql": {"instance": "a", "secret": "a"}, "redis": {"replication_group": "a"},
                    "drill": {"vpc": "vpc-0123abcd"}, "buckets": ["files"],
                }
            }
        }
    )  # fmt: skip


def test_reading_is_enough_for_the_doctor(place: Place, as_user: Callable[..., None]) -> None:
    as_user(_printed("--kind", "read"))
    first, *_ = examination.examine(_settings(place), "staging", lambda _: None)

    assert ("permission to read", "met") == (first.claim, first.status)


def test_permission_that_is_missing_is_named(place: Place, as_user: Callable[..., None]) -> None:
    policy = _printed("--kind", "read")
    for statement in policy["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != "ec2:DescribeSubnets"]
    as_user(policy)
    findings = {one.claim: one for one in examination.examine(_settings(place), "staging", lambda _: None)}

    assert "denied: ec2:DescribeSubnets" == findings["permission to read"].seen
    assert ("unknown", "allow ec2:DescribeSubnets") == (
        findings["a place for drills"].status,
        findings["a place for drills"].hint,
    )


@pytest.mark.parametrize("service", ENFORCED)
def test_nothing_but_reading_is_allowed_to_who_may_read(
    place: Place, as_user: Callable[..., None], only_calls_of_the_table: set[str], service: str
) -> None:
    as_user(_printed("--kind", "read"))
    forbidden: dict[str, tuple[str, dict[str, Any]]] = {
        "ec2": ("stop_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
        "elasticache": ("delete_replication_group", {"ReplicationGroupId": "a"}),
        "rds": ("delete_db_instance", {"DBInstanceIdentifier": "a"}),
    }
    operation, parameters = forbidden[service]

    with pytest.raises(Denied, match="is not allowed to this identity"):
        getattr(Access(place).client(service, once=True), operation)(**parameters)
    only_calls_of_the_table.clear()


def test_policy_of_an_environment_names_its_account_and_regions(tmp_path: Any) -> None:
    (tmp_path / "ftchaos.yaml").write_text(
        'environments: {staging: {platform: aws, account: "111122223333", region: eu-west-1, '
        "drill: {region: eu-west-3}}}"
    )
    options = ("--environment", "staging", "--config", str(tmp_path / "ftchaos.yaml"))
    text = json.dumps(_printed(*options))

    assert "arn:aws:secretsmanager:eu-west-1:111122223333:secret:*" in text
    assert '"aws:RequestedRegion": ["eu-west-1", "eu-west-3"]' in text
    assert {one.permission for one in CALLS} <= {
        each for statement in json.loads(text)["Statement"] for each in statement["Action"]
    }
