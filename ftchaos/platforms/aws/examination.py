"""What the doctor reads of an environment: descriptions only, in few calls, and never a secret's value."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from ftchaos import clock
from ftchaos.config import Config, Environment
from ftchaos.errors import Inconclusive
from ftchaos.platforms.aws.access import Access, Denied, Place
from ftchaos.platforms.aws.claims import Described, Finding, Seen, Unread, judged

T = TypeVar("T")

READERS = 6


def examine(config: Config, name: str, progress: Callable[[str], None]) -> list[Finding]:
    """A finding for each documented claim of an environment, harming nothing.

    Raises:
        Invalid: the configuration, or that of the AWS SDK, is of no use.
        Refused: these credentials are of another account.
    """
    settings = config.declared(name)
    access = Access(Place.of(name, settings))
    access.ensure_right_place()
    return judged(_Reader(access, settings, progress).seen(config.objectives.rpo))


class _Reader:
    """Reads each part, and says so; a part that is denied or fails leaves the others be."""

    def __init__(self, access: Access, settings: Environment, progress: Callable[[str], None]) -> None:
        self._access, self._settings, self._progress = access, settings, progress
        self._denied: list[str] = []

    def seen(self, rpo_s: float) -> Seen:
        """Everything that the claims are about."""
        with ThreadPoolExecutor(READERS) as pool:
            database = pool.submit(self._part, "database", self._database)
            redis = pool.submit(self._part, "Redis", self._redis)
            servers = pool.submit(self._part, "servers", self._servers)
            plan = pool.submit(self._part, "backup plan", self._plan)
            secret = pool.submit(self._part, "secret", self._secret)
            versioning = pool.submit(self._part, "buckets", self._versioning)
            quotas = pool.submit(self._part, "quotas", self._quotas)
            subnets = pool.submit(self._part, "subnets", self._subnets)
            of = database.result()
            replicas = pool.submit(self._part, "replicas", lambda: self._replicas(of))
            points = pool.submit(self._part, "recovery points", lambda: self._points(of))
            return Seen(
                datetime.now(UTC), rpo_s, self._settings.tag, of, replicas.result(), redis.result(), servers.result(),
                plan.result(), points.result(), secret.result(), versioning.result(), quotas.result(),
                subnets.result(), self._denied,
            )  # fmt: skip

    def _part(self, what: str, read: Callable[[], T | Unread]) -> T | Unread:
        began_at = clock.now()
        try:
            found = read()
        except Denied as error:
            self._denied.append(error.action)
            found = Unread(f"{error.action} is not allowed", denied=error.action)
        except Inconclusive as error:
            found = Unread(error.fact)
        count = f"{len(found):,} " if isinstance(found, list) else ""
        said = f": {found.why}" if isinstance(found, Unread) else ""
        self._progress(f"{count}{what} read in {clock.now() - began_at:.1f} s{said}")
        return found

    def _database(self) -> Described | Unread:
        mysql = self._settings.mysql
        if mysql is None:
            return Unread("no database is named", unnamed="mysql")
        if mysql.instance:
            return self._one("rds", "describe_db_instances", "DBInstances", DBInstanceIdentifier=mysql.instance)
        cluster = self._one("rds", "describe_db_clusters", "DBClusters", DBClusterIdentifier=mysql.cluster)
        if isinstance(cluster, Unread):
            return cluster
        return {**cluster, "Instances": self._instances("db-cluster-id", [str(mysql.cluster)])}

    def _replicas(self, database: Described | Unread) -> list[Described] | Unread:
        if isinstance(database, Unread):
            return database
        if "Instances" in database:
            writers = {one["DBInstanceIdentifier"] for one in database["DBClusterMembers"] if one["IsClusterWriter"]}
            return [one for one in database["Instances"] if one["DBInstanceIdentifier"] not in writers]
        # One in another region is named by its ARN, and is described there only.
        names = [name for name in database.get("ReadReplicaDBInstanceIdentifiers", ()) if ":" not in name]
        return self._instances("db-instance-id", names) if names else []

    def _instances(self, by: str, values: list[str]) -> list[Described]:
        filters = [{"Name": by, "Values": values}]
        return list(self._access.pages("rds", "describe_db_instances", "DBInstances", Filters=filters))

    def _redis(self) -> Described | Unread:
        if self._settings.redis is None:
            return Unread("no replication group is named", unnamed="redis")
        name = self._settings.redis.replication_group
        return self._one(
            "elasticache", "describe_replication_groups", "ReplicationGroups", ReplicationGroupId=name
        )  # fmt: skip

    def _servers(self) -> list[Described]:
        key, value = self._settings.tag.split("=", 1)
        filters = [
            {"Name": f"tag:{key}", "Values": [value]}, {"Name": "instance-state-name", "Values": ["running"]},
        ]  # fmt: skip
        return list(
            self._access.pages(
                "ec2", "describe_instances", "Reservations[].Instances[]", Filters=filters,
                PaginationConfig={"PageSize": 1000},
            )
        )  # fmt: skip

    def _plan(self) -> Described | Unread:
        wanted = self._settings.backup.plan if self._settings.backup else None
        if wanted is None:
            return Unread("no backup plan is named", unnamed="backup.plan")
        for one in self._access.pages("backup", "list_backup_plans", "BackupPlansList"):
            if wanted in (one["BackupPlanName"], one["BackupPlanId"]):
                plan: Described = self._access.client("backup").get_backup_plan(BackupPlanId=one["BackupPlanId"])
                return plan
        return Unread(f"AWS Backup has no plan {wanted!r}")

    def _points(self, database: Described | Unread) -> list[Described] | Unread:
        if isinstance(database, Unread):
            return database
        if self._settings.backup is None:
            return Unread("no backup plan is named", unnamed="backup")
        arn = str(database.get("DBInstanceArn") or database.get("DBClusterArn"))
        points = self._access.pages(
            "backup", "list_recovery_points_by_resource", "RecoveryPoints", ResourceArn=self._access.ensure_ours(arn)
        )
        vault = self._settings.backup.vault
        return [one for one in points if vault in (None, one["BackupVaultName"])]

    def _secret(self) -> Described | Unread:
        name = self._settings.mysql.secret if self._settings.mysql else None
        if name is None:
            return Unread("no secret is named", unnamed="mysql.secret")
        secret: Described = self._access.client("secretsmanager").describe_secret(SecretId=name)
        return secret

    def _versioning(self) -> dict[str, str] | Unread:
        if not self._settings.buckets:
            return Unread("no bucket is named", unnamed="buckets")
        client = self._access.client("s3")
        return {
            name: client.get_bucket_versioning(Bucket=name, ExpectedBucketOwner=self._access.place.account).get(
                "Status", "Off"
            )
            for name in self._settings.buckets
        }

    def _quotas(self) -> list[Described]:
        quotas: list[Described] = self._access.client("rds").describe_account_attributes()["AccountQuotas"]
        return quotas

    def _subnets(self) -> list[Described] | Unread:
        drill = self._settings.drill
        if drill is None or not (drill.subnets or drill.vpc):
            return Unread("no place for drills is named", unnamed="drill.subnets")
        by = ("subnet-id", drill.subnets) if drill.subnets else ("vpc-id", [drill.vpc])
        filters = [{"Name": by[0], "Values": list(by[1])}]
        return list(self._access.pages("ec2", "describe_subnets", "Subnets", Filters=filters))

    def _one(self, service: str, operation: str, key: str, **which: Any) -> Described | Unread:
        found = list(self._access.pages(service, operation, key, **which))
        return found[0] if found else Unread(f"there is no {next(iter(which.values()))!r}")
