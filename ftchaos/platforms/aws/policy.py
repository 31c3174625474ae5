"""The least that IAM must allow for what ftchaos does, made of the table of its calls; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ftchaos.platforms.aws.calls import CALLS, KEYS, OWNER, Kind, Operation

# Of these, requests go to one region for all, or their ARNs have none: a condition on the region would deny them.
GLOBAL = ("iam", "pricing", "s3", "sts")


def document(
    kinds: Sequence[Kind],
    account: str = "*",
    regions: Sequence[str] = (),
    tag: str = "ftchaos=allowed",
    calls: Iterable[Operation] = CALLS,
    evidence: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """An IAM policy.

    Args:
        kinds: what is to be allowed; reading always is.
        account: 12 digits, or ``*``.
        regions: those that calls may go to; empty for any.
        tag: what a resource carries that may be harmed, like ``key=value``.
        evidence: the bucket where it is kept, and the prefix of its keys.
    """
    grouped: dict[tuple[str, tuple[str, ...], str, bool], set[str]] = {}
    chosen = [one for one in calls if one.kind == "read" or {one.kind, *one.beside} & set(kinds)]
    for one in chosen:
        for permission in (one.permission, *one.also):
            everywhere = permission.split(":")[0] in GLOBAL
            grouped.setdefault((one.kind, one.resources, one.condition, everywhere), set()).add(permission)
    statements = [
        _statement(
            kind, permissions, _arns(resources, account, regions), _conditions(condition, tag, everywhere, regions)
        )
        for (kind, resources, condition, everywhere), permissions in grouped.items()
    ]
    if any(one.keys for one in chosen):
        statements.append(_keys(account, regions))
    for service in sorted({one.passes for one in chosen} - {""}):
        statements.append(_role(service, account, regions))
    if evidence is not None:
        statements += _store(*evidence, _partition(next(iter(regions), "")))
    for number, statement in enumerate(statements, 1):
        statement["Sid"] += str(number)
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(kind: str, permissions: set[str], arns: list[str], conditions: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"Sid": kind.capitalize(), "Effect": "Allow", "Action": sorted(permissions)}
    return made | {"Resource": arns} | ({"Condition": conditions} if conditions else {})


def _keys(account: str, regions: Sequence[str]) -> dict[str, Any]:
    """Keys of encrypted databases: no call of ours uses one, but RDS does in our name."""
    arns = _arns(("arn:aws:kms:{region}:{account}:key/*",), account, regions)
    return _statement("keys", set(KEYS), arns, {"StringLike": {"kms:ViaService": ["rds.*.amazonaws.com*"]}})


def _role(service: str, account: str, regions: Sequence[str]) -> dict[str, Any]:
    """Roles that a service works with in our stead, and no other service."""
    given = {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}
    return _statement("role", {"iam:PassRole"}, _arns(("arn:aws:iam::{account}:role/*",), account, regions), given)


def _store(bucket: str, prefix: str, partition: str) -> list[dict[str, Any]]:
    """What evidence in a bucket takes: it is listed, read and put, and never deleted.

    Whether an object is absent a bucket tells only those who may list it; such a question has no prefix. Source: Amazon
    S3 API reference, GetObject.
    """
    whole = f"arn:{partition}:s3:::{bucket}"
    below = {"StringLikeIfExists": {"s3:prefix": f"{prefix}*"}}
    return [
        _statement("evidence", {"s3:ListBucket"}, [whole], below),
        _statement("evidence", {"s3:GetObject", "s3:PutObject"}, [f"{whole}/{prefix}*"], {}),
    ]


def _arns(patterns: Sequence[str], account: str, regions: Sequence[str]) -> list[str]:
    """Each pattern in each region."""
    return sorted(
        {
            pattern.format(region=region, account=account).replace("arn:aws:", f"arn:{_partition(region)}:")
            for pattern in patterns
            for region in regions or ("*",)
        }
    )


def _partition(region: str) -> str:
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _conditions(condition: str, tag: str, everywhere: bool, regions: Sequence[str]) -> dict[str, Any]:
    equal: dict[str, Any] = {}
    if condition == "tagged":
        key, value = tag.split("=", 1)
        equal[f"aws:ResourceTag/{key}"] = value
    if regions and not everywhere:
        equal["aws:RequestedRegion"] = list(regions)
    conditions: dict[str, Any] = {"StringEquals": equal} if equal else {}
    if condition in ("owned", "owning"):
        whose = "ResourceTag" if condition == "owned" else "RequestTag"
        conditions["Null"] = {f"aws:{whose}/{OWNER}": "false"}
    return conditions
