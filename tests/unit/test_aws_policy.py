"""The policy: made of the table of calls, small enough for IAM, and narrowed to an environment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from click.testing import CliRunner

from ftchaos.cli import policy as command
from ftchaos.platforms.aws import policy
from ftchaos.platforms.aws.calls import CALLS, KINDS, OWNER, Kind, Operation, action

# IAM allows this many characters in a managed policy, white space not counted.
LARGEST = 6144
DATABASES = "arn:aws:rds:{region}:{account}:db:*"


@pytest.mark.parametrize("kind", KINDS)
def test_policy_fits_into_a_managed_policy_of_iam(kind: Kind) -> None:
    text = json.dumps(policy.document([kind], "111122223333", ["us-east-1", "us-west-2"]), separators=(",", ":"))

    assert len(text) <= LARGEST


def test_reading_is_part_of_every_kind_and_nothing_else_is_part_of_reading() -> None:
    read = _actions(policy.document(["read"]))

    assert {one.permission for one in CALLS if one.kind == "read"} <= read
    assert not {each for each in read if re.search(r":(Create|Delete|Stop|Reboot|Modify|Put|Restore|Failover)", each)}
    for kind in KINDS:
        assert read <= _actions(policy.document([kind]))


def test_whoever_drills_or_harms_may_read_who_writes_to_the_database_and_nobody_else() -> None:
    allowed = {kind: "secretsmanager:GetSecretValue" in _actions(policy.document([kind])) for kind in KINDS}

    assert {"read": False, "drill": True, "faults": True} == allowed


def test_environment_narrows_account_region_and_tag() -> None:
    calls = [
        Operation("faults", "rds:RebootDBInstance", resources=(DATABASES,), condition="tagged"),
        Operation("faults", "rds:DeleteDBInstance", resources=(DATABASES,), condition="owned"),
    ]  # fmt: skip
    tagged, owned = policy.document(["faults"], "111122223333", ["us-gov-west-1"], "chaos=yes", calls)["Statement"]

    assert ["arn:aws-us-gov:rds:us-gov-west-1:111122223333:db:*"] == tagged["Resource"]
    assert {"aws:ResourceTag/chaos": "yes", "aws:RequestedRegion": ["us-gov-west-1"]} == tagged["Condition"][
        "StringEquals"
    ]
    assert {f"aws:ResourceTag/{OWNER}": "false"} == owned["Condition"]["Null"]


def test_evidence_in_a_bucket_takes_what_is_said_of_it_below_its_prefix_alone() -> None:
    asked = ["aws", "--kind", "drill", "--reports", "s3://evidence/fleet"]
    printed = json.loads(CliRunner().invoke(command.policy, asked, catch_exceptions=False).output)["Statement"]
    listing, objects = printed[-2:]
    told = re.findall(r"`(s3:\w+)`", (Path(__file__).parents[2] / "docs" / "evidence.md").read_text())

    assert printed[:-2] == policy.document(["drill"])["Statement"]
    assert {*told} == {*listing["Action"], *objects["Action"]}
    assert (["arn:aws:s3:::evidence"], ["arn:aws:s3:::evidence/fleet/*"]) == (listing["Resource"], objects["Resource"])
    assert {"StringLikeIfExists": {"s3:prefix": "fleet/*"}} == listing["Condition"]
    whole = policy.document(["drill"], regions=["cn-north-1"], evidence=("evidence", ""))["Statement"][-1]
    assert ["arn:aws-cn:s3:::evidence/*"] == whole["Resource"]


def test_permission_has_the_name_that_iam_has_for_it() -> None:
    assert "elasticloadbalancing:SetSubnets" == action("elbv2", "SetSubnets")
    assert "s3:ListAllMyBuckets" == Operation("read", "s3:ListBuckets", "s3:ListAllMyBuckets").permission


def test_each_line_of_the_table_is_an_operation_that_exists_and_stands_there_once() -> None:
    session = botocore.session.get_session()

    assert len(CALLS) == len({one.name for one in CALLS})
    for service in {one.name.split(":")[0] for one in CALLS}:
        names = {one.name.split(":")[1] for one in CALLS if one.name.startswith(f"{service}:")}
        assert set() == names - set(session.get_service_model(service).operation_names)


def test_each_line_of_the_table_is_called_by_some_code() -> None:
    source = "".join(path.read_text() for path in Path(policy.__file__).parent.rglob("*.py") if path.name != "calls.py")

    assert [] == [one.name for one in CALLS if not re.search(rf"\b{xform_name(one.name.split(':')[1])}\b", source)]


def _actions(document: dict) -> set[str]:  # type: ignore[type-arg]
    return {each for statement in document["Statement"] for each in statement["Action"]}
