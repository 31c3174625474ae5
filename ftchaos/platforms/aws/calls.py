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
            ``owning`` the request gives what it makes that tag; empty where the action knows no such condition.
        also: further permissions that the call needs, for the same resources and conditions.
        passes: the service that is given a role by it.
        keys: whether it needs the key of an encrypted database, through RDS.
        beside: other kinds that make the call, too.
    """

    kind: Kind
    name: str
    action: str = ""
    resources: tuple[str, ...] = ("*",)
    condition: Literal["", "tagged", "owned", "owning"] = ""
    also: tuple[str, ...] = ()
    keys: bool = False
    passes: str = ""
    beside: tuple[Kind, ...] = ()

    @property
    def permission(self) -> str:
        """What IAM calls it."""
        service, operation = self.name.split(":")
        return self.action or f"{PREFIXES.get(service, service)}:{operation}"


OWNER = "ftchaos-run"  # the key of the tag that carries the id of the run that made something

BALANCERS = "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/*"
CACHE = "arn:aws:elasticache:{region}:{account}:"
EC2 = "arn:aws:ec2:{region}:{account}:"
RDS = "arn:aws:rds:{region}:{account}:"
FIS = "arn:aws:fis:{region}:{account}:"
GROUPS = "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*"
SECRETS = "arn:aws:secretsmanager:{region}:{account}:secret:*"

KEYS = ("kms:CreateGrant", "kms:DescribeKey")
"""Source: RDS user guide, encrypting Amazon RDS resources, what the caller of a restore needs."""
TAGGED = ("rds:AddTagsToResource",)  # what RDS asks for beside a call that gives tags
ANY = (f"{RDS}*",)  # what kind of resource is meant, the action says; whose it is, its condition

CALLS: tuple[Operation, ...] = (
    # Read
    Operation("read", "sts:GetCallerIdentity"),
    Operation("read", "arc-zonal-shift:ListManagedResources"),
    Operation("read", "arc-zonal-shift:ListZonalShifts"),
    Operation("read", "autoscaling:DescribeAutoScalingGroups"),
    Operation("read", "backup:GetBackupPlan"),
    Operation("read", "backup:ListBackupPlans"),
    Operation("read", "backup:ListRecoveryPointsByResource"),
    Operation("read", "ec2:DescribeAvailabilityZones"),
    Operation("read", "ec2:DescribeInstances"),
    Operation("read", "ec2:DescribeNetworkAcls"),
    Operation("read", "ec2:DescribeSubnets"),
    Operation("read", "elasticache:DescribeCacheClusters"),
    Operation("read", "elasticache:DescribeCacheSubnetGroups"),
    Operation("read", "elasticache:DescribeEvents"),
    Operation("read", "elasticache:DescribeReplicationGroups"),
    Operation("read", "elbv2:DescribeLoadBalancers"),
    Operation("read", "fis:GetExperiment"),
    Operation("read", "fis:GetExperimentTemplate"),
    Operation("read", "fis:ListExperimentResolvedTargets"),
    Operation("read", "fis:ListExperiments"),
    Operation("read", "rds:DescribeAccountAttributes"),
    Operation("read", "rds:DescribeDBClusters"),
    Operation("read", "rds:DescribeDBInstances"),
    Operation("read", "rds:DescribeEvents"),
    Operation("read", "resourcegroupstaggingapi:GetResources", "tag:GetResources"),
    Operation("read", "s3:GetBucketVersioning", resources=("arn:aws:s3:::*",)),
    Operation("read", "secretsmanager:DescribeSecret", resources=(SECRETS,)),
    # Drills
    Operation("drill", "backup:DescribeRestoreJob"),
    Operation("drill", "backup:GetRecoveryPointRestoreMetadata"),
    Operation("drill", "backup:ListRecoveryPointsByBackupVault"),
    Operation("drill", "backup:ListRestoreJobs"),
    Operation("drill", "backup:StartRestoreJob", resources=(f"{RDS}snapshot:awsbackup:*",), passes="backup"),
    Operation("drill", "ec2:AuthorizeSecurityGroupIngress", resources=(f"{EC2}security-group/*",), condition="owned"),
    # It names a VPC beside what it makes, and tags only that.
    Operation(
        "drill", "ec2:CreateSecurityGroup", resources=(f"{EC2}security-group/*", f"{EC2}vpc/*"),
        also=("ec2:CreateTags",),
    ),
    Operation("drill", "ec2:DeleteSecurityGroup", resources=(f"{EC2}security-group/*",), condition="owned"),
    Operation("drill", "ec2:DescribeSecurityGroups"),
    Operation("drill", "ec2:RevokeSecurityGroupEgress", resources=(f"{EC2}security-group/*",), condition="owned"),
    # What AWS Backup has restored carries no tag yet.
    Operation("drill", "rds:AddTagsToResource", resources=(f"{RDS}db:ftchaos-*",)),
    *(
        Operation("drill", f"rds:{name}", resources=ANY, condition="owning", also=TAGGED, keys=True)
        for name in (
            "CopyDBClusterSnapshot", "CopyDBSnapshot", "CreateDBInstance", "RestoreDBClusterFromSnapshot",
            "RestoreDBClusterToPointInTime", "RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime",
        )
    ),
    *(
        Operation("drill", f"rds:{name}", resources=ANY, condition="owning", also=TAGGED)
        for name in ("CreateDBClusterParameterGroup", "CreateDBParameterGroup", "CreateDBSubnetGroup")
    ),
    *(
        Operation("drill", f"rds:{name}", resources=ANY, condition="owned")
        for name in (
            "DeleteDBCluster", "DeleteDBClusterParameterGroup", "DeleteDBClusterSnapshot", "DeleteDBInstance",
            "DeleteDBParameterGroup", "DeleteDBSnapshot", "DeleteDBSubnetGroup", "ModifyDBCluster",
            "ModifyDBClusterParameterGroup", "ModifyDBInstance", "ModifyDBParameterGroup",
        )
    ),
    *(
        Operation("drill", f"rds:{name}")
        for name in (
            "DescribeDBClusterParameterGroups", "DescribeDBClusterParameters", "DescribeDBClusterSnapshots",
            "DescribeDBInstanceAutomatedBackups", "DescribeDBParameterGroups", "DescribeDBParameters",
            "DescribeDBSnapshots", "DescribeDBSubnetGroups", "DescribeOptionGroups", "ListTagsForResource",
        )
    ),
    Operation("drill", "pricing:GetProducts"),
    # Faults
    Operation("faults", "secretsmanager:GetSecretValue", resources=(SECRETS,), beside=("drill",)),
    Operation("faults", "arc-zonal-shift:CancelZonalShift", resources=(BALANCERS,), condition="tagged"),
    Operation("faults", "arc-zonal-shift:StartZonalShift", resources=(BALANCERS,), condition="tagged"),
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
        "faults", "elasticache:ModifyReplicationGroup", resources=(f"{CACHE}replicationgroup:*",), condition="tagged"
    ),
    # The nodes of a replication group carry its tags.
    Operation("faults", "elasticache:RebootCacheCluster", resources=(f"{CACHE}cluster:*",), condition="tagged"),
    Operation("faults", "elasticache:TestFailover", resources=(f"{CACHE}replicationgroup:*",), condition="tagged"),
    Operation(
        "faults", "fis:StartExperiment", resources=(f"{FIS}experiment/*", f"{FIS}experiment-template/*"),
        also=("fis:TagResource",),
    ),
    Operation("faults", "fis:StopExperiment", resources=(f"{FIS}experiment/*",), condition="owned"),
    Operation("faults", "elbv2:SetSubnets", resources=(BALANCERS,), condition="tagged"),
    Operation(
        "faults", "rds:FailoverDBCluster", resources=("arn:aws:rds:{region}:{account}:cluster:*",), condition="tagged"
    ),
    Operation("faults", "rds:RebootDBInstance", resources=("arn:aws:rds:{region}:{account}:db:*",), condition="tagged"),
)  # fmt: skip


def action(service: str, operation: str) -> str:
    """The permission that an operation needs, by its own name where the table has no other."""
    own = Operation("read", f"{service}:{operation}")
    return next((one.permission for one in CALLS if one.name == own.name), own.permission)
