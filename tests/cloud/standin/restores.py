"""Restores of instances, to a point in time and from snapshots, into exactly what the call names and defaults else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.rds.models import DBInstance

from standin.call import Answer, Call, Refused
from standin.groups import check_groups, check_key, default_subnet_group, have_default_options
from standin.instances import Instances
from standin.records import latest, need, tell
from standin.snapshots import Snapshots
from standin.world import World, aware, ec2, rds


class Restores:
    """The handlers of restores."""

    def __init__(self, world: World, instances: Instances, snapshots: Snapshots) -> None:
        self.world = world
        self._instances = instances
        self._snapshots = snapshots
        self.handlers: dict[tuple[str, str], Any] = {
            ("rds", "RestoreDBInstanceToPointInTime"): self.restore_point,
            ("rds", "RestoreDBInstanceFromDBSnapshot"): self.restore_snapshot,
            ("rds", "DescribeDBInstanceAutomatedBackups"): self.automated_backups,
        }

    def restore_point(self, call: Call) -> Any:
        name = call.params.get("SourceDBInstanceIdentifier")
        if not name:
            raise Refused("InvalidParameterCombination", "SourceDBInstanceIdentifier is needed here.")
        source = need(self.world, call.region, name)
        if not source.model.backup_retention_period:
            raise Refused("PointInTimeRestoreNotEnabled", f"Point in time restore is not enabled on {name}.")
        wanted = call.params.get("RestoreTime")
        newest = latest(self.world, source)
        if wanted and call.params.get("UseLatestRestorableTime"):
            raise Refused("InvalidParameterCombination", "RestoreTime and UseLatestRestorableTime exclude each other.")
        if not wanted and not call.params.get("UseLatestRestorableTime"):
            raise Refused("InvalidParameterCombination", "RestoreTime or UseLatestRestorableTime is needed.")
        if newest is None or (wanted and aware(wanted) > newest):
            raise Refused("InvalidParameterValue", f"The instance cannot be restored to a time later than {newest}.")
        if wanted and aware(wanted) < source.earliest_at:
            raise Refused(
                "InvalidParameterValue", f"The instance cannot be restored to a time earlier than {source.earliest_at}."
            )
        at = aware(wanted) if wanted else newest
        key = source.model.kms_key_id if source.model.storage_encrypted else None
        name = call.params["TargetDBInstanceIdentifier"]
        model = self._restored(call.region, call.params, name, source.model, key, call.moto)
        if not isinstance(model, DBInstance):
            return model
        record = self._instances.register(call.region, model, call.params)
        self.world.beside(self._instances.bring_up_point, record, source, at)
        return {"DBInstance": model}

    def restore_snapshot(self, call: Call) -> Any:
        snapshot = self._snapshots.find(call.region, call.params["DBSnapshotIdentifier"])
        return self.restore_from(call.region, call.params, snapshot, call.moto)

    def restore_from(self, region: str, params: dict[str, Any], snapshot: Any, make: Callable[[], Answer]) -> Any:
        """Restore an instance from a snapshot.

        Args:
            region: where.
            params: as those of ``RestoreDBInstanceFromDBSnapshot``.
            snapshot: moto's.
            make: lets moto make its model.
        """
        if snapshot.status != "available":
            raise Refused("InvalidDBSnapshotState", f"{snapshot.resource_id} is {snapshot.status}.")
        key = snapshot.kms_key_id if snapshot.encrypted else None
        model = self._restored(region, params, params["DBInstanceIdentifier"], snapshot.database, key, make)
        if not isinstance(model, DBInstance):
            return model
        record = self._instances.register(region, model, params)
        self.world.beside(self._instances.bring_up, record, self.world.images[snapshot.arn], None)
        tell(self.world, record, f"Restored from snapshot {snapshot.resource_id}", "restoration")
        return {"DBInstance": model}

    def automated_backups(self, call: Call) -> Any:
        wanted = call.params.get("DBInstanceIdentifier")
        found = []
        for record in self.world.instances.values():
            model, newest = record.model, latest(self.world, record)
            if model.region != call.region or not model.backup_retention_period or record.gone:
                continue
            if wanted not in (None, model.db_instance_identifier):
                continue
            found.append(
                {
                    "DBInstanceArn": model.arn,
                    "DbiResourceId": model.dbi_resource_id,
                    "Region": model.region,
                    "DBInstanceIdentifier": model.db_instance_identifier,
                    "RestoreWindow": {"EarliestTime": record.earliest_at, "LatestTime": newest},
                    "Status": "active",
                    "Encrypted": model.storage_encrypted,
                    "BackupRetentionPeriod": model.backup_retention_period,
                    "AvailabilityZone": model.availability_zone,
                    "Engine": model.engine,
                    "EngineVersion": model.engine_version,
                    "InstanceCreateTime": aware(model.instance_create_time),
                    "DBInstanceAutomatedBackupsArn": f"{model.arn.replace(':db:', ':auto-backup:')}",
                }
            )
        return {"DBInstanceAutomatedBackups": found}

    def _restored(
        self, region: str, params: dict[str, Any], name: str, source: Any, key: str | None, make: Callable[[], Answer]
    ) -> Any:
        """moto's model of a restored instance, with exactly what the call gives, and the defaults for the rest."""
        if name in rds(region).databases:
            raise Refused("DBInstanceAlreadyExists", "DB instance already exists")
        check_groups(region, params)
        if key:
            check_key(region, params.get("KmsKeyId") or key)
        have_default_options(region, params.get("OptionGroupName", ""), source)
        made = make()
        if not made.ok:
            return made
        model = rds(region).databases[name]
        model.multi_az = params.get("MultiAZ", False)
        model.deletion_protection = params.get("DeletionProtection", False)
        model.publicly_accessible = params.get("PubliclyAccessible", False)
        model.db_instance_class = params.get("DBInstanceClass", source.db_instance_class)
        model.tags = list(params.get("Tags", source.tags if params.get("CopyTagsToSnapshot") else []))
        model.db_parameter_group_name = params.get("DBParameterGroupName")
        model.replicas, model.is_replica, model.source_db_instance_identifier = [], False, None
        if params.get("DBSubnetGroupName"):
            model.db_subnet_group = rds(region).subnet_groups[params["DBSubnetGroupName"]]
        else:
            model.db_subnet_group = default_subnet_group(region)
        default = ec2(region).get_default_security_group(model.db_subnet_group.vpc_id).id
        model.vpc_security_group_ids = list(params.get("VpcSecurityGroupIds", [])) or [default]
        return model
