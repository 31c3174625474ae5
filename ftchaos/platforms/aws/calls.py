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

EC2 = "arn:aws:ec2:{region}:{account}:"
GROUPS = "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*"
SECRETS = "arn:aws:secretsmanager:{region}:{account}:secret:*"

CALLS: tuple[Operation, ...] = (
    # Read
    Operation("read", "sts:GetCallerIdentity"),
    Operation("read", "autoscaling:DescribeAutoScalingGroups"),
    Operation("read", "backup:GetBackupPlan"),
    Operation("read", "backup:ListBackupPlans"),
    Operation("read", "backup:ListRecoveryPointsByResource"),
    Operation("read", "ec2:DescribeInstances"),
    Operation("read", "ec2:DescribeNetworkAcls"),
    Operation("read", "ec2:DescribeSubnets"),
    Operation("read", "elasticache:DescribeCacheClusters"),
    Operation("read", "elasticache:DescribeCacheSubnetGroups"),
    Operation("read", "elasticache:DescribeEvents"),
    Operation("read", "elasticache:DescribeReplicationGroups"),
    Operation("read", "elbv2:DescribeLoadBalancers"),
    Operation("read", "rds:DescribeAccountAttributes"),
    Operation("read", "rds:DescribeDBClusters"),
    Operation("read", "rds:DescribeDBInstances"),
    Operation("read", "rds:DescribeEvents"),
    Operation("read", "resourcegroupstaggingapi:GetResources", "tag:GetResources"),
    Operation("read", "s3:GetBucketVersioning", resources=("arn:aws:s3:::*",)),
    Operation("read", "secretsmanager:DescribeSecret", resources=(SECRETS,)),
    # Drills
    # Faults
    Operation("faults", "secretsmanager:GetSecretValue", resources=(SECRETS,)),
    Operation("faults", "autoscaling:ResumeProcesses", resources=(GROUPS,), condition="tagged"),
    Operation("faults", "autoscaling:SuspendProcesses", resources=(GROUPS,), condition="tagged"),
    Operation("faults", "autoscaling:UpdateAutoScalingGroup", resources=(GROUPS,), condition="tagged"),
    Operation(
        "faults", "ec2:CreateNetworkAcl", resources=(f"{EC2}network-acl/*", f"{EC2}vpc/*"), also=("ec2:CreateTags",)
    ),
    Operation("faults", "ec2:DeleteNetworkAcl", resources=(f"{EC2}network-acl/*",), condition="owned"),
    # It names an ACL of ours and a subnet, and on the way back an ACL that carries no tag: no condition fits all.
    Operation("faults", "ec2:ReplaceNetworkAclAssociation", resources=(f"{EC2}network-acl/*", f"{EC2}subnet/*")),
    Operation("faults", "ec2:StartInstances", resources=(f"{EC2}instance/*",), condition="tagged"),
    Operation("faults", "ec2:StopInstances", resources=(f"{EC2}instance/*",), condition="tagged"),
    Operation(
        "faults", "elasticache:TestFailover",
        resources=("arn:aws:elasticache:{region}:{account}:replicationgroup:*",), condition="tagged",
    ),
    Operation(
        "faults", "elbv2:SetSubnets",
        resources=("arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/*",), condition="tagged",
    ),
    Operation(
        "faults", "rds:FailoverDBCluster", resources=("arn:aws:rds:{region}:{account}:cluster:*",), condition="tagged"
    ),
    Operation("faults", "rds:RebootDBInstance", resources=("arn:aws:rds:{region}:{account}:db:*",), condition="tagged"),
)  # fmt: skip


def action(service: str, operation: str) -> str:
    """The permission that an operation needs, by its own name where the table has no other."""
    own = Operation("read", f"{service}:{operation}")
    return next((one.permission for one in CALLS if one.name == own.name), own.permission)
