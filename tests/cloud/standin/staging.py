"""A staging environment in the stand-in, as the real one is laid out, with weaknesses planted on demand."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standin.processes import until
from standin.server import ACCOUNT, REGION, Standin

INSTANCE = "file-transfer-staging"
REPLICAS = ("file-transfer-staging-replica-1", "file-transfer-staging-replica-2")
GROUP = "ft-staging"
SECRET = "ftchaos/staging/mysql"
MASTER = ("admin", "admin-of-staging")
BACKUP_ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/AWSBackupDefaultServiceRole"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
_AMI = "ami-12c6146b"  # one that moto knows
_ACCESS_DAYS = 40  # how long the database has been there


@dataclass(frozen=True)
class Weaknesses:
    """What is wrong with the staging; nothing by default.

    Attributes:
        single_az: the database has no standby.
        retention_days: for how long its backups are kept.
        backup_age_days: how old the newest recovery point of AWS Backup is.
        replica_beside_writer: a replica is in the writer's zone.
        deletion_protection: whether the database has it.
        tagged: whether anything is tagged ``ftchaos=allowed``.
        versioned: whether the buckets keep versions.
        encrypted: whether the database's disk is encrypted.
    """

    single_az: bool = False
    retention_days: int = 30
    backup_age_days: float = 0.2
    replica_beside_writer: bool = False
    deletion_protection: bool = True
    tagged: bool = True
    versioned: bool = True
    encrypted: bool = True


@dataclass
class Staging:
    """What was built.

    Attributes:
        standin: where it is.
        password: of the account ``ftchaos`` in the database.
        vpc: its id.
        subnets: their ids, by zone.
        acl: the id of the network ACL that all subnets have.
        group: the id of the database's security group.
        instances: ids of the EC2 instances outside of the auto scaling group, by zone.
        balancer: ARN of the load balancer.
        targets: ARN of its target group.
    """

    standin: Standin
    password: str = ""
    vpc: str = ""
    subnets: dict[str, str] = field(default_factory=dict)
    acl: str = ""
    group: str = ""
    instances: dict[str, str] = field(default_factory=dict)
    balancer: str = ""
    targets: str = ""
    account: str = ACCOUNT
    region: str = REGION

    @property
    def ca(self) -> Path:
        """The certificates that the databases are verified by."""
        return self.standin.ca

    def database(self, name: str = INSTANCE) -> dict[str, Any]:
        """What ``DescribeDBInstances`` says of one."""
        found = self.standin.client("rds").describe_db_instances(DBInstanceIdentifier=name)
        described: dict[str, Any] = found["DBInstances"][0]
        return described

    def await_available(self, name: str = INSTANCE, timeout_s: float = 30) -> dict[str, Any]:
        """What is said of an instance as soon as it is available."""

        def available() -> dict[str, Any] | None:
            described = self.database(name)
            return described if described["DBInstanceStatus"] == "available" else None

        found: dict[str, Any] = until(available, timeout_s, f"{name} available")
        return found

    def cache(self) -> dict[str, Any]:
        """What ``DescribeReplicationGroups`` says of the replication group."""
        found = self.standin.client("elasticache").describe_replication_groups(ReplicationGroupId=GROUP)
        described: dict[str, Any] = found["ReplicationGroups"][0]
        return described

    def await_cache(self, timeout_s: float = 30) -> dict[str, Any]:
        """What is said of the replication group as soon as it is available."""

        def available() -> dict[str, Any] | None:
            described = self.cache()
            return described if described["Status"] == "available" else None

        found: dict[str, Any] = until(available, timeout_s, f"{GROUP} available")
        return found


def build(standin: Standin, weaknesses: Weaknesses | None = None, *, replicas: int = 2, caches: bool = True) -> Staging:
    """Build a staging in an empty account.

    Args:
        standin: where; its latest restorable time lies 1 s back afterwards.
        weaknesses: what is wrong with it.
        replicas: how many replicas the database has; 0 saves a second or two.
        caches: whether ElastiCache is there; without it saves another.
    """
    wrong = weaknesses or Weaknesses()
    made = Staging(standin)
    standin.settings(creating_s=0, backing_up_s=0, lag_s=1)
    _network(made, wrong)
    if caches:
        _caches(made, wrong)
    _database(made, wrong)  # it comes up meanwhile
    _servers(made, wrong)
    _buckets(made, wrong)
    _replicas(made, wrong, replicas)
    _secret(made)
    standin.command("age", instance=INSTANCE, by_s=_ACCESS_DAYS * 86400)
    _backups(made, wrong)
    for name in REPLICAS[:replicas]:
        made.await_available(name)
    if caches:
        made.await_cache()
    standin.settings(creating_s=0.3, backing_up_s=0.3)
    standin.clear()
    return made


def _tags(wrong: Weaknesses, name: str = "") -> list[dict[str, str]]:
    tags = [{"Key": "environment", "Value": "staging"}]
    if wrong.tagged:
        tags.append({"Key": "ftchaos", "Value": "allowed"})
    if name:
        tags.append({"Key": "Name", "Value": name})
    return tags


def _spec(kind: str, wrong: Weaknesses, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": _tags(wrong, name)}]


def _network(made: Staging, wrong: Weaknesses) -> None:
    ec2 = made.standin.client("ec2")
    made.vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=_spec("vpc", wrong, "staging"))["Vpc"][
        "VpcId"
    ]
    made.acl = ec2.create_network_acl(VpcId=made.vpc)["NetworkAcl"]["NetworkAclId"]
    for egress in (False, True):
        ec2.create_network_acl_entry(
            NetworkAclId=made.acl, RuleNumber=100, Protocol="-1", RuleAction="allow", Egress=egress,
            CidrBlock="0.0.0.0/0",
        )  # fmt: skip
    for number, zone in enumerate(ZONES):
        subnet = ec2.create_subnet(
            VpcId=made.vpc, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=zone,
            TagSpecifications=_spec("subnet", wrong, f"staging-{zone[-1]}"),
        )["Subnet"]["SubnetId"]  # fmt: skip
        made.subnets[zone] = subnet
    acls = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [made.vpc]}])["NetworkAcls"]
    for association in [one for acl in acls for one in acl["Associations"]]:
        ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=made.acl)
    made.group = ec2.create_security_group(
        GroupName="staging-mysql", Description="MySQL from the application", VpcId=made.vpc
    )["GroupId"]


def _database(made: Staging, wrong: Weaknesses) -> None:
    rds = made.standin.client("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName="staging", DBSubnetGroupDescription="staging", SubnetIds=list(made.subnets.values())
    )
    rds.create_db_parameter_group(
        DBParameterGroupName="staging-mysql80", DBParameterGroupFamily="mysql8.0", Description="staging"
    )
    encryption = {"StorageEncrypted": True, "KmsKeyId": _key(made)} if wrong.encrypted else {}
    rds.create_db_instance(
        DBInstanceIdentifier=INSTANCE, DBInstanceClass="db.t3.medium", Engine="mysql", EngineVersion="8.0.36",
        AllocatedStorage=20, MasterUsername=MASTER[0], MasterUserPassword=MASTER[1], MultiAZ=not wrong.single_az,
        BackupRetentionPeriod=wrong.retention_days, DBSubnetGroupName="staging", VpcSecurityGroupIds=[made.group],
        DBParameterGroupName="staging-mysql80", DeletionProtection=wrong.deletion_protection,
        PubliclyAccessible=False, AvailabilityZone=ZONES[0],
        Tags=_tags(wrong), **encryption,
    )  # fmt: skip


def _key(made: Staging) -> str:
    return str(made.standin.client("kms").create_key(Description="staging")["KeyMetadata"]["Arn"])


def _replicas(made: Staging, wrong: Weaknesses, count: int) -> None:
    rds = made.standin.client("rds")
    if made.await_available()["ReadReplicaDBInstanceIdentifiers"] or not count:
        return
    zones = [ZONES[0], ZONES[2]] if wrong.replica_beside_writer else [ZONES[1], ZONES[2]]
    for name, zone in zip(REPLICAS[:count], zones, strict=False):
        rds.create_db_instance_read_replica(
            DBInstanceIdentifier=name, SourceDBInstanceIdentifier=INSTANCE, DBInstanceClass="db.t3.medium",
            AvailabilityZone=zone, Tags=_tags(wrong),
        )  # fmt: skip


def _servers(made: Staging, wrong: Weaknesses) -> None:
    ec2, scaling = made.standin.client("ec2"), made.standin.client("autoscaling")
    for zone, subnet in made.subnets.items():
        made.instances[zone] = ec2.run_instances(
            ImageId=_AMI, InstanceType="t3.small", MinCount=1, MaxCount=1, SubnetId=subnet,
            TagSpecifications=_spec("instance", wrong, f"staging-worker-{zone[-1]}"),
        )["Instances"][0]["InstanceId"]  # fmt: skip
    balancing = made.standin.client("elbv2")
    made.balancer = balancing.create_load_balancer(
        Name="staging", Subnets=list(made.subnets.values()), Tags=_tags(wrong)
    )["LoadBalancers"][0]["LoadBalancerArn"]
    made.targets = balancing.create_target_group(
        Name="staging-api", Protocol="HTTP", Port=8080, VpcId=made.vpc, TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    balancing.create_listener(
        LoadBalancerArn=made.balancer, Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": made.targets}],
    )  # fmt: skip
    ec2.create_launch_template(
        LaunchTemplateName="staging-api", LaunchTemplateData={"ImageId": _AMI, "InstanceType": "t3.small"}
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="staging-api", MinSize=3, MaxSize=6, DesiredCapacity=3,
        LaunchTemplate={"LaunchTemplateName": "staging-api", "Version": "$Latest"},
        VPCZoneIdentifier=",".join(made.subnets.values()), TargetGroupARNs=[made.targets],
        HealthCheckType="EC2", HealthCheckGracePeriod=0,
        Tags=[
            {
                **tag, "ResourceId": "staging-api", "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True
            }
            for tag in _tags(wrong)
        ],
    )  # fmt: skip


def _buckets(made: Staging, wrong: Weaknesses) -> None:
    s3 = made.standin.client("s3")
    for name in ("ft-staging-files", "ft-staging-evidence"):
        s3.create_bucket(Bucket=name)
        if wrong.versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": _tags(wrong)})


def _secret(made: Staging) -> None:
    made.password = made.standin.command("password")
    endpoint = made.database()["Endpoint"]
    made.standin.client("secretsmanager").create_secret(
        Name=SECRET,
        SecretString=json.dumps(
            {
                "username": "ftchaos", "password": made.password, "host": endpoint["Address"],
                "port": endpoint["Port"], "dbname": "filetransfer", "engine": "mysql",
                "dbInstanceIdentifier": INSTANCE,
            }
        ),
    )  # fmt: skip


def _caches(made: Staging, wrong: Weaknesses) -> None:
    caches = made.standin.client("elasticache")
    caches.create_cache_subnet_group(
        CacheSubnetGroupName="staging", CacheSubnetGroupDescription="staging", SubnetIds=list(made.subnets.values())
    )
    caches.create_replication_group(
        ReplicationGroupId=GROUP, ReplicationGroupDescription="staging", Engine="redis", CacheNodeType="cache.t3.micro",
        ClusterMode="enabled",
        NumNodeGroups=3, ReplicasPerNodeGroup=1, AutomaticFailoverEnabled=True, MultiAZEnabled=True,
        CacheSubnetGroupName="staging", Tags=_tags(wrong),
    )  # fmt: skip


def _backups(made: Staging, wrong: Weaknesses) -> None:
    backup = made.standin.client("backup")
    backup.create_backup_vault(BackupVaultName="staging")
    plan = backup.create_backup_plan(
        BackupPlan={
            "BackupPlanName": "staging",
            "Rules": [
                {
                    "RuleName": "daily", "TargetBackupVaultName": "staging", "ScheduleExpression": "cron(0 5 * * ? *)",
                    "Lifecycle": {"DeleteAfterDays": 30},
                }
            ],
        }
    )  # fmt: skip
    backup.create_backup_selection(
        BackupPlanId=plan["BackupPlanId"],
        BackupSelection={
            "SelectionName": "staging", "IamRoleArn": BACKUP_ROLE, "Resources": [made.database()["DBInstanceArn"]],
        },
    )  # fmt: skip
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=wrong.backup_age_days)
    made.standin.command("recovery_point", instance=INSTANCE, vault="staging", at=at.isoformat())
