"""RDS instances with real servers, statuses that take time, and failovers that move."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

from moto.rds.models import DBInstance

from standin import database as databases
from standin.call import Call, Refused
from standin.database import Database
from standin.groups import check_groups, default_subnet_group, family_of, options
from standin.records import BUSY, latest, need, state, tell
from standin.snapshots import Snapshots
from standin.world import Instance, Place, World, rds


class Instances:
    """The handlers of instances."""

    def __init__(self, world: World, snapshots: Snapshots) -> None:
        self.world = world
        self._snapshots = snapshots
        _amend(world)
        self.handlers: dict[tuple[str, str], Any] = {
            ("rds", name): getattr(self, method)
            for name, method in {
                "CreateDBInstance": "create",
                "CreateDBInstanceReadReplica": "create_replica",
                "PromoteReadReplica": "promote",
                "ModifyDBInstance": "modify",
                "RebootDBInstance": "reboot",
                "DeleteDBInstance": "delete",
                "DescribeEvents": "events",
            }.items()
        }

    def create(self, call: Call) -> Any:
        if call.params.get("DBClusterIdentifier"):
            return None
        check_groups(call.region, call.params)
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        model = rds(call.region).databases[call.params["DBInstanceIdentifier"]]
        image, _ = databases.fresh()
        record = self.register(call.region, model, call.params)
        self.world.beside(self.bring_up, record, image, call.params.get("MasterUserPassword"))
        return {"DBInstance": model}

    def create_replica(self, call: Call) -> Any:
        source = need(self.world, call.region, call.params["SourceDBInstanceIdentifier"])
        if source.model.status != "available":
            raise state(source, "have a replica")
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
        record = need(self.world, call.region, call.params["DBInstanceIdentifier"])
        if not record.model.is_replica or record.model.status != "available":
            raise state(record, "be promoted")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        source = self.world.instance(call.region, record.model.source_db_instance_identifier)
        if source:
            source.model.replicas.remove(record.model.db_instance_identifier)
        record.model.source_db_instance_identifier = None
        self._in(record, "modifying", "modifying_s", record.database.stop_following)
        return {"DBInstance": record.model}

    # Changes ----------------------------------------------------------------------------------------------------

    def modify(self, call: Call) -> Any:
        record = need(self.world, call.region, call.params["DBInstanceIdentifier"])
        if record.model.status not in ("available", "storage-optimization"):
            raise state(record, "be modified")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        password = call.params.get("MasterUserPassword")
        if password and record.database:
            status = "resetting-master-credentials"
            self._in(record, status, "password_s", record.database.account, record.model.master_username, password)
        else:
            self._in(record, "modifying", "modifying_s")
        if "MultiAZ" in call.params:
            self._give_standby(record)
        return {"DBInstance": record.model}

    def reboot(self, call: Call) -> Any:
        record = need(self.world, call.region, call.params["DBInstanceIdentifier"])
        if record.model.status != "available":
            raise state(record, "be rebooted")
        if call.params.get("ForceFailover"):
            if not record.model.multi_az:
                raise Refused(
                    "InvalidParameterCombination", "Cannot specify ForceFailover: the DB instance is not Multi-AZ."
                )
            if not self.world.settings.failover_bites:
                self._in(record, "rebooting", "failover_s")
                return {"DBInstance": record.model}
            record.model.status = "rebooting"
            self.world.beside(self.failover, record, "Multi-AZ instance failover")
            return {"DBInstance": record.model}
        self._in(record, "rebooting", "rebooting_s", self._restart, record)
        return {"DBInstance": record.model}

    def failover(self, record: Instance, words: str) -> None:
        """Let the standby take over: the server dies, and comes back on the same data in the other zone."""
        model, place = record.model, record.place
        model.status = "rebooting"
        place.proxy.lead(None)
        record.database.kill()
        tell(self.world, record, f"{words} started.", "failover")
        begun = time.monotonic()
        record.database.begin()
        self.world.last("failover_s", begun)
        model.availability_zone, model.secondary_availability_zone = (
            model.secondary_availability_zone,
            model.availability_zone,
        )
        place.zone = model.availability_zone
        place.proxy.lead(record.database.port)
        self.world.place_changed(place)
        model.status = "available"
        tell(self.world, record, f"{words} completed", "failover")

    def delete(self, call: Call) -> Any:
        record = need(self.world, call.region, call.params["DBInstanceIdentifier"])
        if record.model.status in BUSY:
            raise state(record, "be deleted")
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

    def events(self, call: Call) -> Any:
        kinds = ("db-instance", "db-cluster", "db-snapshot", "db-cluster-snapshot")
        return {"Events": self.world.found_events(call.region, call.params, kinds)}

    # What happens beside ----------------------------------------------------------------------------------------

    def register(self, region: str, model: Any, params: dict[str, Any]) -> Instance:
        """Keep a record of a new instance, which is ``creating``, and give it an address and a zone."""
        group = getattr(model, "db_subnet_group", None)
        if group is None:
            group = model.db_subnet_group = default_subnet_group(region)
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

    def bring_up(self, record: Instance, image: Path, password: str | None) -> None:
        """Begin the server of an instance on an image, with a master password where it gets a new one."""
        begun = time.monotonic()
        database = self.world.database(record.model.db_instance_identifier, image)
        database.options = options(record)
        database.begin()
        if password:
            database.account(record.model.master_username, password)
        self._go_live(record, database, begun)

    def bring_up_point(self, record: Instance, source: Instance, at: datetime.datetime) -> None:
        """Begin the server of an instance on what another one held at a second."""
        image = self.world.path("point")
        source.database.restore(image, at)
        tell(self.world, record, f"Restored from {source.model.resource_id} at {at:%Y-%m-%d %H:%M:%S}", "restoration")
        self.bring_up(record, image, None)

    def _bring_up_replica(self, record: Instance, source: Instance) -> None:
        begun = time.monotonic()
        _, password = databases.fresh()
        database = self.world.database(record.model.db_instance_identifier, source.database.first_image)
        database.read_only = True
        database.begin()
        database.follow(source.place.proxy.port, password)
        self._go_live(record, database, begun)

    def _go_live(self, record: Instance, database: Database, begun: float) -> None:
        settings, model = self.world.settings, record.model
        if record.gone:
            database.forget()
            return
        record.database = database
        self.world.last("creating_s", begun)
        tell(self.world, record, "DB instance created", "creation")
        if model.backup_retention_period and settings.backing_up_s:
            model.status = "backing-up"
            tell(self.world, record, "Backing up DB instance", "backup")
            self.world.last("backing_up_s")
            tell(self.world, record, "Finished DB Instance backup", "backup")
        record.place.proxy.lead(database.port)
        model.status = "available"

    def _give_standby(self, record: Instance) -> None:
        """A Multi-AZ instance has its standby in the next zone of its subnet group."""
        model = record.model
        others = [zone for zone in sorted(record.place.subnets) if zone != model.availability_zone]
        model.secondary_availability_zone = others[0] if model.multi_az and others else None

    def _restart(self, record: Instance) -> None:
        record.place.proxy.lead(None)
        record.database.kill()
        record.database.options = options(record)
        record.database.begin()
        record.place.proxy.lead(record.database.port)
        tell(self.world, record, "DB instance restarted", "availability")

    def _in(self, record: Instance, status: str, duration: str, work: Any = None, *arguments: Any) -> None:
        """Let an instance be in a status for a duration of the settings, and until some work is done."""

        def pass_time() -> None:
            begun = time.monotonic()
            if work:
                # What changes takes effect at the end of the time only.
                if status == "resetting-master-credentials":
                    self.world.last(duration)
                work(*arguments)
            self.world.last(duration, begun)
            if not record.gone:
                record.model.status = "available"

        record.model.status = status
        self.world.beside(pass_time)

    def _remove(self, record: Instance, params: dict[str, Any], region: str) -> None:
        final = params.get("FinalDBSnapshotIdentifier")
        if final and not params.get("SkipFinalSnapshot"):
            snapshot = rds(region).create_db_snapshot(record.model.db_instance_identifier, final)
            self._snapshots.take(record.database, snapshot)
        self.world.last("deleting_s")
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
        tell(self.world, record, "DB instance deleted", "deletion")


def _amend(world: World) -> None:
    """Let moto's instances answer with the addresses of the real servers, and lag as the settings demand."""

    def endpoint(self: DBInstance) -> dict[str, Any] | None:
        record = world.instances.get(self.arn)
        if record is None or record.database is None:
            return None
        return {"Address": "127.0.0.1", "Port": record.place.proxy.port, "HostedZoneId": "Z2R2ITUGPM61AM"}

    def newest(self: DBInstance) -> datetime.datetime | None:
        record = world.instances.get(self.arn)
        if record is None or not self.backup_retention_period:
            return None
        return latest(world, record)

    def details(self: DBInstance) -> tuple[str, str]:
        return family_of(self), f"default.{family_of(self)}"

    DBInstance.default_db_parameter_group_details = details  # type: ignore[method-assign]
    DBInstance.endpoint = property(endpoint)  # type: ignore[assignment]
    DBInstance.latest_restorable_time = property(newest)  # type: ignore[assignment]
    DBInstance.save_automated_backup = lambda self: None  # type: ignore[method-assign]
