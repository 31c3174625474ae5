"""Every API call that ftchaos makes, one line each: what may be called, and what permission it needs.

The policy is made of this table. The tests fail on a call that is not in it, and on a line that no code calls. Nothing
here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "drill", "faults"]
KINDS: tuple[Kind, ...] = ("read", "drill", "faults")
# What IAM calls a service, where that is not boto3's name of it.
PREFIXES = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}


@dataclass(frozen=True)
class Operation:
    """One call of an API.

    Attributes:
        kind: what it is for; drills and faults read as well.
        name: boto3's name of the service and the API's of the operation, like ``elbv2:SetSubnets``.
        action: the permission, where IAM has another name for it.
        resources: ARN patterns with ``{region}`` and ``{account}``; ``*`` where IAM knows none.
        condition: ``tagged`` the resource carries the tag of the configuration; ``owned`` the tag of what ftchaos made;
            empty where the action knows no such condition.
        also: further permissions that the call needs, for the same resources and conditions.
    """

    kind: Kind
    name: str
    action: str = ""
    resources: tuple[str, ...] = ("*",)
    condition: Literal["", "tagged", "owned"] = ""
    also: tuple[str, ...] = ()

    @property
    def permission(self) -> str:
        """What IAM calls it."""
        service, operation = self.name.split(":")
        return self.action or f"{PREFIXES.get(service, service)}:{operation}"


OWNER = "ftchaos-run"  # the key of the tag that carries the id of the run that made something

SECRETS = "arn:aws:secretsmanager:{region}:{account}:secret:*"

CALLS: tuple[Operation, ...] = (
    # Read
    Operation("read", "sts:GetCallerIdentity"),
    Operation("read", "backup:GetBackupPlan"),
    Operation("read", "backup:ListBackupPlans"),
    Operation("read", "backup:ListRecoveryPointsByResource"),
    Operation("read", "ec2:DescribeInstances"),
    Operation("read", "ec2:DescribeSubnets"),
    Operation("read", "elasticache:DescribeReplicationGroups"),
    Operation("read", "rds:DescribeAccountAttributes"),
    Operation("read", "rds:DescribeDBClusters"),
    Operation("read", "rds:DescribeDBInstances"),
    Operation("read", "s3:GetBucketVersioning", resources=("arn:aws:s3:::*",)),
    Operation("read", "secretsmanager:DescribeSecret", resources=(SECRETS,)),
    # Drills
    # Faults
)


def action(service: str, operation: str) -> str:
    """The permission that an operation needs, by its own name where the table has no other."""
    own = Operation("read", f"{service}:{operation}")
    return next((one.permission for one in CALLS if one.name == own.name), own.permission)
