"""RDS instances with real servers, statuses that take time, failovers that move, and restores that copy."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.kms.models import kms_backends
from moto.rds.models import DBInstance, DBSubnetGroup, OptionGroup

from ftchaos.mysql import template
from standin import database as databases
from standin.call import Answer, Call, Refused
from standin.database import Database
from standin.world import ACCOUNT, Instance, Place, World, aware, ec2, now, rds

BUSY = ("creating", "backing-up", "modifying", "rebooting", "deleting", "resetting-master-credentials")


class Rds:
    """The handlers of RDS instances."""

    def __init__(self, world: World) -> None:
        self.world = world
        _amend(world)
        self.handlers = {
            ("rds", name): getattr(self, method)
            for name, method in {
                "CreateDBInstance": "create",
                "CreateDBInstanceReadReplica": "create_replica",
                "PromoteReadReplica": "promote",
                "ModifyDBInstance": "modify",
                "RebootDBInstance": "reboot",
                "DeleteDBInstance": "delete",
                "RestoreDBInstanceToPointInTime": "restore_point",
                "RestoreDBInstanceFromDBSnapshot": "restore_snapshot",
                "CreateDBSnapshot": "create_snapshot",
                "CopyDBSnapshot": "copy_snapshot",
                "DeleteDBSnapshot": "delete_snapshot",
                "DeleteDBSubnetGroup": "delete_subnet_group",
                "DeleteDBParameterGroup": "delete_parameter_group",
                "CreateDBSubnetGroup": "create_subnet_group",
                "DescribeDBInstanceAutomatedBackups": "automated_backups",
                "DescribeEvents": "events",
            }.items()
        }

    # Beginnings -------------------------------------------------------------------------------------------------

    def create(self, call: Call) -> Any:
        if call.params.get("DBClusterIdentifier"):
            return None
        self._check_groups(call.region, call.params)
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        model = rds(call.region).databases[call.params["DBInstanceIdentifier"]]
        image, _ = databases.fresh()
        record = self.register(call.region, model, call.params)
        self.world.beside(self._bring_up, record, image, call.params.get("MasterUserPassword"))
        return {"DBInstance": model}

    def create_replica(self, call: Call) -> Any:
        source = self._need(call, call.params["SourceDBInstanceIdentifier"])
        if source.model.status != "available":
            raise _state(source, "have a replica")
        if not source.model.backup_retention_period:
            raise Refused("InvalidDBInstanceState", "Automated backups are not enabled for this database instance.")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        model = rds(call.region).databases[call.params["DBInstanceIdentifier"]]
        model.tags = call.params.get("Tags", [])
        model.multi_az = call.params.get("MultiAZ", False)
        model.deletion_protection = call.params.get("DeletionProtection", False)
        model.backup_retention_period = 0
        record = self.register(call.region, model, call.params)
        self.world.beside(self._bring_up_replica, record, source)
        return {"DBInstance": model}

    def promote(self, call: Call) -> Any:
        record = self._need(call, call.params["DBInstanceIdentifier"])
        if not record.model.is_replica or record.model.status != "available":
            raise _state(record, "be promoted")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        source = self.world.instance(call.region, record.model.source_db_instance_identifier)
        if source:
            source.model.replicas.remove(record.model.db_instance_identifier)
        record.model.source_db_instance_identifier = None
        self._in(record, "modifying", self.world.settings.modifying_s, record.database.stop_following)
        return {"DBInstance": record.model}

    def restore_point(self, call: Call) -> Any:
        name = call.params.get("SourceDBInstanceIdentifier")
        if not name:
            raise Refused("InvalidParameterCombination", "SourceDBInstanceIdentifier is needed here.")
        source = self._need(call, name)
        if not source.model.backup_retention_period:
            raise Refused("PointInTimeRestoreNotEnabled", f"Point in time restore is not enabled on {name}.")
        wanted = call.params.get("RestoreTime")
        latest = self.latest(source)
        if wanted and call.params.get("UseLatestRestorableTime"):
            raise Refused("InvalidParameterCombination", "RestoreTime and UseLatestRestorableTime exclude each other.")
        if not wanted and not call.params.get("UseLatestRestorableTime"):
            raise Refused("InvalidParameterCombination", "RestoreTime or UseLatestRestorableTime is needed.")
        if latest is None or (wanted and aware(wanted) > latest):
            raise Refused("InvalidParameterValue", f"The instance cannot be restored to a time later than {latest}.")
        if wanted and aware(wanted) < source.earliest_at:
            raise Refused(
                "InvalidParameterValue", f"The instance cannot be restored to a time earlier than {source.earliest_at}."
            )
        at = aware(wanted) if wanted else latest
        key = source.model.kms_key_id if source.model.storage_encrypted else None
        name = call.params["TargetDBInstanceIdentifier"]
        model = self._restored(call.region, call.params, name, source.model, key, call.moto)
        if not isinstance(model, DBInstance):
            return model
        record = self.register(call.region, model, call.params)
        self.world.beside(self._bring_up_point, record, source, at)
        return {"DBInstance": model}

    def restore_snapshot(self, call: Call) -> Any:
        snapshot = self._snapshot(call, call.params["DBSnapshotIdentifier"])
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
        record = self.register(region, model, params)
        self.world.beside(self._bring_up, record, self.world.images[snapshot.arn], None)
        self._tell(record, f"Restored from snapshot {snapshot.resource_id}", "restoration")
        return {"DBInstance": model}

    # Changes ----------------------------------------------------------------------------------------------------

    def modify(self, call: Call) -> Any:
        record = self._need(call, call.params["DBInstanceIdentifier"])
        if record.model.status not in ("available", "storage-optimization"):
            raise _state(record, "be modified")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        password = call.params.get("MasterUserPassword")
        if password and record.database:
            status, delay_s = "resetting-master-credentials", self.world.settings.password_s
            self._in(record, status, delay_s, record.database.account, record.model.master_username, password)
        else:
            self._in(record, "modifying", self.world.settings.modifying_s)
        if "MultiAZ" in call.params:
            self._give_standby(record)
        return {"DBInstance": record.model}

    def reboot(self, call: Call) -> Any:
        record = self._need(call, call.params["DBInstanceIdentifier"])
        if record.model.status != "available":
            raise _state(record, "be rebooted")
        if call.params.get("ForceFailover"):
            if not record.model.multi_az:
                raise Refused(
                    "InvalidParameterCombination", "Cannot specify ForceFailover: the DB instance is not Multi-AZ."
                )
            if not self.world.settings.failover_bites:
                self._in(record, "rebooting", self.world.settings.failover_s)
                return {"DBInstance": record.model}
            self.world.beside(self.failover, record, "Multi-AZ instance failover")
            record.model.status = "rebooting"
            return {"DBInstance": record.model}
        self._in(record, "rebooting", self.world.settings.rebooting_s, self._restart, record)
        return {"DBInstance": record.model}

    def failover(self, record: Instance, words: str) -> None:
        """Let the standby take over: the server dies, and comes back on the same data in the other zone."""
        settings, model, place = self.world.settings, record.model, record.place
        model.status = "rebooting"
        place.proxy.lead(None)
        record.database.kill()
        self._tell(record, f"{words} started.", "failover")
        begun = time.monotonic()
        record.database.begin()
        time.sleep(max(0.0, begun + settings.failover_s - time.monotonic()))
        model.availability_zone, model.secondary_availability_zone = (
            model.secondary_availability_zone,
            model.availability_zone,
        )
        place.zone = model.availability_zone
        place.proxy.lead(record.database.port)
        self.world.place_changed(place)
        model.status = "available"
        self._tell(record, f"{words} completed", "failover")

    def delete(self, call: Call) -> Any:
        record = self._need(call, call.params["DBInstanceIdentifier"])
        if record.model.status in BUSY:
            raise _state(record, "be deleted")
        alone = not record.model.db_cluster_identifier and not record.model.is_replica
        if alone and not call.params.get("SkipFinalSnapshot") and not call.params.get("FinalDBSnapshotIdentifier"):
            raise Refused("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required.")
        if record.model.deletion_protection:
            raise Refused(
                "InvalidParameterCombination",
                "Cannot delete protected DB Instance, please disable deletion protection and try again.",
            )
        record.model.status = "deleting"
        self.world.beside(self._remove, record, dict(call.params), call.region)
        return {"DBInstance": record.model}

    # Snapshots --------------------------------------------------------------------------------------------------

    def create_snapshot(self, call: Call) -> Any:
        record = self._need(call, call.params["DBInstanceIdentifier"])
        if record.model.status != "available":
            raise _state(record, "be backed up")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        snapshot = rds(call.region).database_snapshots[call.params["DBSnapshotIdentifier"]]
        self.take(record, snapshot)
        return {"DBSnapshot": snapshot}

    def take(self, record: Instance, snapshot: Any) -> None:
        """Copy the data of an instance for a snapshot, which is available after a while."""
        snapshot.status, snapshot.percent_progress = "creating", 0
        image = self.world.images[snapshot.arn] = self.world.path("snapshot")
        record.database.image(image)
        self.world.beside(self._complete, snapshot, self.world.settings.snapshot_s, record.database.mend, image)

    def copy_snapshot(self, call: Call) -> Any:
        source = self._snapshot(call, call.params["SourceDBSnapshotIdentifier"])
        if source.status != "available":
            raise Refused("InvalidDBSnapshotState", f"{source.resource_id} is {source.status}.")
        if source.encrypted and source.region != call.region and not call.params.get("KmsKeyId"):
            raise Refused("InvalidParameterCombination", "An encrypted snapshot needs a KmsKeyId of this region.")
        if call.params.get("KmsKeyId"):
            _check_key(call.region, call.params["KmsKeyId"])
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        target = rds(call.region).database_snapshots[call.params["TargetDBSnapshotIdentifier"]]
        image = self.world.images[target.arn] = self.world.path("copy")
        template.copy(self.world.images[source.arn], image)
        target.status, target.percent_progress, target.source_region = "creating", 0, source.region
        target.source_db_snapshot_identifier = source.arn
        if source.region != call.region:
            target.database._db_subnet_group_name = None  # it is of the other region
        self.world.beside(self._complete, target, self.world.settings.copy_s)
        return {"DBSnapshot": target}

    def delete_snapshot(self, call: Call) -> Any:
        snapshot = self._snapshot(call, call.params["DBSnapshotIdentifier"])
        if snapshot.status != "available":
            raise Refused("InvalidDBSnapshotState", f"{snapshot.resource_id} is {snapshot.status}.")
        call_answer = call.moto()
        if call_answer.ok and (image := self.world.images.pop(snapshot.arn, None)):
            shutil.rmtree(image, ignore_errors=True)
        return call_answer

    def automated_backups(self, call: Call) -> Any:
        wanted = call.params.get("DBInstanceIdentifier")
        found = []
        for record in self.world.instances.values():
            model, latest = record.model, self.latest(record)
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
                    "RestoreWindow": {"EarliestTime": record.earliest_at, "LatestTime": latest},
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

    # Groups -----------------------------------------------------------------------------------------------------

    def create_subnet_group(self, call: Call) -> Any:
        zones = {ec2(call.region).get_subnet(subnet).availability_zone for subnet in call.params["SubnetIds"]}
        if len(zones) < 2:
            raise Refused(
                "DBSubnetGroupDoesNotCoverEnoughAZs",
                "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement.",
            )
        return None

    def delete_subnet_group(self, call: Call) -> Any:
        name = call.params["DBSubnetGroupName"].lower()
        for model in [*rds(call.region).databases.values(), *rds(call.region).clusters.values()]:
            group = getattr(model, "db_subnet_group", None)
            if getattr(group, "name", group) == name:
                raise Refused(
                    "InvalidDBSubnetGroupStateFault",
                    f"Cannot delete the subnet group '{name}' because at least one database instance:"
                    f" {model.resource_id} is still using it.",
                )
        return None

    def delete_parameter_group(self, call: Call) -> Any:
        name = call.params["DBParameterGroupName"]
        for model in rds(call.region).databases.values():
            if model.db_parameter_group_name == name:
                raise Refused("InvalidDBParameterGroupState", f"{model.resource_id} still uses {name}.")
        return None

    def events(self, call: Call) -> Any:
        kinds = ("db-instance", "db-cluster", "db-snapshot", "db-cluster-snapshot")
        return {"Events": self.world.found_events(call.region, call.params, kinds)}

    # What happens beside ----------------------------------------------------------------------------------------

    def latest(self, record: Instance) -> datetime.datetime | None:
        """The latest restorable time, None while there is none; whole seconds, as the service gives it."""
        at = now() - datetime.timedelta(seconds=self.world.settings.lag_s)
        at = at.replace(microsecond=0)
        return at if at >= record.earliest_at.replace(microsecond=0) else None

    def register(self, region: str, model: Any, params: dict[str, Any]) -> Instance:
        """Keep a record of a new instance, which is ``creating``, and give it an address and a zone."""
        group = getattr(model, "db_subnet_group", None)
        if group is None:
            group = model.db_subnet_group = _default_subnet_group(region)
        subnets = {subnet.availability_zone: subnet.id for subnet in group._subnets}
        zone = params.get("AvailabilityZone")
        if zone is None:
            zone = model.availability_zone if model.availability_zone in subnets else min(subnets)
        if zone not in subnets:
            raise Refused("InvalidVPCNetworkStateFault", f"the subnet group has no subnet in {zone}")
        model.availability_zone = zone
        model.dbi_resource_id = f"db-{abs(hash((model.arn, time.time()))):026X}"[:29]
        model.instance_create_time = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        model.status = "creating"
        place = Place(self.world.board.proxy(), region, subnets, zone)
        record = Instance(model, place)
        with self.world.lock:
            self.world.instances[model.arn] = record
        self._give_standby(record)
        self.world.place_changed(place)
        return record

    def _give_standby(self, record: Instance) -> None:
        """A Multi-AZ instance has its standby in the next zone of its subnet group."""
        model = record.model
        others = [zone for zone in sorted(record.place.subnets) if zone != model.availability_zone]
        model.secondary_availability_zone = others[0] if model.multi_az and others else None

    def _bring_up(self, record: Instance, image: Path, password: str | None) -> None:
        begun = time.monotonic()
        database = Database(self.world.path(record.model.db_instance_identifier), image)
        database.options = self._options(record)
        database.begin()
        if password:
            database.account(record.model.master_username, password)
        self._go_live(record, database, begun)

    def _bring_up_replica(self, record: Instance, source: Instance) -> None:
        begun = time.monotonic()
        _, password = databases.fresh()
        database = Database(self.world.path(record.model.db_instance_identifier), source.database.first_image)
        database.read_only = True
        database.begin()
        database.follow(source.place.proxy.port, password)
        self._go_live(record, database, begun)

    def _bring_up_point(self, record: Instance, source: Instance, at: datetime.datetime) -> None:
        image = self.world.path("point")
        source.database.restore(image, at)
        self._tell(record, f"Restored from {source.model.resource_id} at {at:%Y-%m-%d %H:%M:%S}", "restoration")
        self._bring_up(record, image, None)

    def _go_live(self, record: Instance, database: Database, begun: float) -> None:
        settings, model = self.world.settings, record.model
        if record.gone:
            database.forget()
            return
        record.database = database
        time.sleep(max(0.0, begun + settings.creating_s - time.monotonic()))
        self._tell(record, "DB instance created", "creation")
        if model.backup_retention_period and settings.backing_up_s:
            model.status = "backing-up"
            self._tell(record, "Backing up DB instance", "backup")
            time.sleep(settings.backing_up_s)
            self._tell(record, "Finished DB Instance backup", "backup")
        record.place.proxy.lead(database.port)
        model.status = "available"

    def _restart(self, record: Instance) -> None:
        record.place.proxy.lead(None)
        record.database.kill()
        record.database.options = self._options(record)
        record.database.begin()
        record.place.proxy.lead(record.database.port)
        self._tell(record, "DB instance restarted", "availability")

    def _in(self, record: Instance, status: str, least_s: float, work: Any = None, *arguments: Any) -> None:
        """Let an instance be in a status for a while, and until some work is done."""

        def pass_time() -> None:
            begun = time.monotonic()
            if work:
                # What changes takes effect at the end of the time only.
                if status == "resetting-master-credentials":
                    time.sleep(least_s)
                work(*arguments)
            time.sleep(max(0.0, begun + least_s - time.monotonic()))
            if not record.gone:
                record.model.status = "available"

        record.model.status = status
        self.world.beside(pass_time)

    def _remove(self, record: Instance, params: dict[str, Any], region: str) -> None:
        final = params.get("FinalDBSnapshotIdentifier")
        if final and not params.get("SkipFinalSnapshot"):
            snapshot = rds(region).create_db_snapshot(record.model.db_instance_identifier, final)
            self.take(record, snapshot)
        time.sleep(self.world.settings.deleting_s)
        with self.world.lock:
            record.gone = True
            record.place.proxy.end()
            if record.database:
                record.database.forget()
            self.world.instances.pop(record.model.arn, None)
            rds(region).delete_db_instance(
                record.model.db_instance_identifier,
                skip_final_snapshot=True,
                delete_automated_backups=params.get("DeleteAutomatedBackups", True),
            )
        self._tell(record, "DB instance deleted", "deletion")

    def _complete(self, snapshot: Any, after_s: float, work: Any = None, *arguments: Any) -> None:
        begun = time.monotonic()
        if work:
            work(*arguments)
        time.sleep(max(0.0, begun + after_s - time.monotonic()))
        snapshot.status, snapshot.percent_progress = "available", 100

    def _tell(self, record: Instance, message: str, category: str) -> None:
        model = record.model
        self.world.event(model.region, "db-instance", model.db_instance_identifier, model.arn, message, category)

    # Questions --------------------------------------------------------------------------------------------------

    def _need(self, call: Call, name: str) -> Instance:
        record = self.world.instance(call.region, name.rpartition(":")[2])
        if record is None:
            raise Refused("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
        return record

    def _snapshot(self, call: Call, name: str) -> Any:
        region = name.split(":")[3] if name.startswith("arn:") else call.region
        found = rds(region).database_snapshots.get(name.split(":snapshot:")[-1])
        if found is None:
            raise Refused("DBSnapshotNotFound", f"DBSnapshot not found: {name}", 404)
        if found.arn not in self.world.images:
            raise Refused("InvalidDBSnapshotState", f"{name} has no image: it was made by moto alone.")
        return found

    def _check_groups(self, region: str, params: dict[str, Any]) -> None:
        name = params.get("DBSubnetGroupName")
        if name and name not in rds(region).subnet_groups:
            raise Refused("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
        for group in params.get("VpcSecurityGroupIds", []):
            if ec2(region).get_security_group_from_id(group) is None:
                raise Refused("InvalidParameterValue", f"Invalid security group: {group}")
        group = params.get("DBParameterGroupName")
        if group and not group.startswith("default.") and group not in rds(region).db_parameter_groups:
            raise Refused("DBParameterGroupNotFound", f"DBParameterGroup not found: {group}", 404)

    def _options(self, record: Instance) -> dict[str, Any]:
        """The server options that its parameter group asks for."""
        wanted = {}
        for group in record.model.db_parameter_groups():
            for name, parameter in group.parameters.items():
                if name in ("event_scheduler", "read_only", "max_connections", "local_infile"):
                    wanted[name.replace("_", "-")] = parameter["ParameterValue"]
        return wanted

    def _restored(
        self, region: str, params: dict[str, Any], name: str, source: Any, key: str | None, make: Callable[[], Answer]
    ) -> Any:
        """moto's model of a restored instance, with exactly what the call gives, and the defaults for the rest."""
        if name in rds(region).databases:
            raise Refused("DBInstanceAlreadyExists", "DB instance already exists")
        self._check_groups(region, params)
        if key:
            _check_key(region, params.get("KmsKeyId") or key)
        _have_default_options(region, params.get("OptionGroupName", ""), source)
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
            model.db_subnet_group = _default_subnet_group(region)
        default = ec2(region).get_default_security_group(model.db_subnet_group.vpc_id).id
        model.vpc_security_group_ids = list(params.get("VpcSecurityGroupIds", [])) or [default]
        return model


def _state(record: Instance, what: str) -> Refused:
    return Refused(
        "InvalidDBInstanceState",
        f"DB instance {record.model.db_instance_identifier} is {record.model.status} and cannot {what}.",
    )


def _have_default_options(region: str, name: str, source: Any) -> None:
    """Default option groups are there always; moto knows none."""
    if name.startswith("default:"):
        version = ".".join(source.engine_version.split(".")[:2])
        rds(region).option_groups.setdefault(name, OptionGroup(rds(region), name, source.engine, version))


def _check_key(region: str, key: str) -> None:
    """Refuse a key of another region, and one that nobody can use any more."""
    found = kms_backends[ACCOUNT][region].keys.get(key.rpartition("/")[2])
    if key.startswith("arn:") and (found is None or found.key_state != "Enabled"):
        raise Refused("KMSKeyNotAccessibleFault", f"The KMS key {key} does not exist, is not enabled, or is not yours.")


def _default_subnet_group(region: str) -> Any:
    backend = rds(region)
    if "default" not in backend.subnet_groups:
        vpc = ec2(region).default_vpc
        subnets = [subnet for subnet in ec2(region).get_default_subnets().values() if subnet.vpc_id == vpc.id]
        backend.subnet_groups["default"] = DBSubnetGroup(backend, "default", "default", subnets, [])
    return backend.subnet_groups["default"]


def _amend(world: World) -> None:
    """Let moto's instances answer with the addresses of the real servers, and lag as the settings demand."""

    def endpoint(self: DBInstance) -> dict[str, Any] | None:
        record = world.instances.get(self.arn)
        if record is None or record.database is None:
            return None
        return {"Address": "127.0.0.1", "Port": record.place.proxy.port, "HostedZoneId": "Z2R2ITUGPM61AM"}

    def latest(self: DBInstance) -> datetime.datetime | None:
        record = world.instances.get(self.arn)
        if record is None or not self.backup_retention_period:
            return None
        at = (now() - datetime.timedelta(seconds=world.settings.lag_s)).replace(microsecond=0)
        return at if at >= record.earliest_at.replace(microsecond=0) else None

    DBInstance.endpoint = property(endpoint)  # type: ignore[assignment]
    DBInstance.latest_restorable_time = property(latest)  # type: ignore[assignment]
    DBInstance.save_automated_backup = lambda self: None  # type: ignore[method-assign]
