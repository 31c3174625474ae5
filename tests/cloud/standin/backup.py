"""AWS Backup: recovery points that are real snapshots, and restore jobs that restore them."""

from __future__ import annotations

import datetime
import json
import time
import uuid
from typing import Any

from moto.backup.models import backup_backends

from standin import processes
from standin.call import Answer, Call, Refused
from standin.restores import Restores
from standin.snapshots import Snapshots
from standin.world import ACCOUNT, Instance, World, now, rds

_MADE = Answer(200, [], b"")
# Text in the metadata of a restore, by what RDS wants.
_FLAGS = ("MultiAZ", "DeletionProtection", "PubliclyAccessible", "CopyTagsToSnapshot", "AutoMinorVersionUpgrade")
_TEXTS = ("DBInstanceIdentifier", "DBInstanceClass", "DBSubnetGroupName", "DBParameterGroupName", "AvailabilityZone")


class Backup:
    """The handlers of AWS Backup that moto lacks."""

    def __init__(self, world: World, restores: Restores, snapshots: Snapshots) -> None:
        self.world = world
        self._restores = restores
        self._snapshots = snapshots
        self._points: dict[str, dict[str, Any]] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        self._backups: dict[str, dict[str, Any]] = {}
        self._selections: dict[str, dict[str, Any]] = {}
        world.resets.append(self._reset)
        self.handlers: dict[tuple[str, str], Any] = {
            ("backup", name): getattr(self, method)
            for name, method in {
                "ListRecoveryPointsByBackupVault": "list_by_vault",
                "ListRecoveryPointsByResource": "list_by_resource",
                "DescribeRecoveryPoint": "describe_point",
                "DeleteRecoveryPoint": "delete_point",
                "GetRecoveryPointRestoreMetadata": "metadata",
                "ListProtectedResources": "protected",
                "StartRestoreJob": "start_restore",
                "DescribeRestoreJob": "describe_restore",
                "ListRestoreJobs": "list_restores",
                "StartBackupJob": "start_backup",
                "DescribeBackupJob": "describe_backup",
                "ListBackupJobs": "list_backups",
                "CreateBackupSelection": "create_selection",
                "GetBackupSelection": "selection",
                "ListBackupSelections": "list_selections",
                "DeleteBackupSelection": "delete_selection",
            }.items()
        }

    def add_point(self, instance: str, vault: str, at: str, region: str = "us-east-1") -> str:
        """A recovery point of an instance as it is now, which says that it is from another time.

        Args:
            instance: its name.
            vault: name of the vault.
            at: the time that it says, in ISO 8601.
            region: where.

        Returns:
            its ARN.
        """
        record = self.world.instance(region, instance)
        assert record is not None, instance
        point = self._add(record, vault, datetime.datetime.fromisoformat(at))
        processes.until(lambda: self._complete(point)["Status"] == "COMPLETED", 60, "the recovery point")
        return str(point["RecoveryPointArn"])

    # Recovery points --------------------------------------------------------------------------------------------

    def list_by_vault(self, call: Call) -> Any:
        self._vault(call)
        return {"RecoveryPoints": self._in_vault(call)}

    def list_by_resource(self, call: Call) -> Any:
        wanted = call.params["ResourceArn"]
        return {
            "RecoveryPoints": [self._complete(one) for one in self._points.values() if one["ResourceArn"] == wanted]
        }

    def describe_point(self, call: Call) -> Any:
        return self._point(call)

    def delete_point(self, call: Call) -> Any:
        point = self._point(call)
        del self._points[point["RecoveryPointArn"]]
        rds(call.region).database_snapshots.pop(point["RecoveryPointArn"].split(":snapshot:")[1], None)
        return {}

    def protected(self, call: Call) -> Any:
        newest: dict[str, dict[str, Any]] = {}
        for one in sorted(self._points.values(), key=lambda one: one["CreationDate"]):
            newest[one["ResourceArn"]] = one
        results = [
            {
                "ResourceArn": arn,
                "ResourceType": "RDS",
                "LastBackupTime": one["CreationDate"],
                "ResourceName": arn.rpartition(":")[2],
                "LastBackupVaultArn": one["BackupVaultArn"],
                "LastRecoveryPointArn": one["RecoveryPointArn"],
            }
            for arn, one in newest.items()
        ]
        return {"Results": results}

    def metadata(self, call: Call) -> Any:
        """What a restore needs; as with the service, there is what the instance had."""
        point = self._point(call)
        model = self._snapshot(point).database
        said = {
            "DBInstanceIdentifier": model.db_instance_identifier,
            "DBInstanceClass": model.db_instance_class,
            "Engine": model.engine,
            "EngineVersion": model.engine_version,
            "LicenseModel": model.license_model,
            "StorageType": model.storage_type,
            "AllocatedStorage": str(model.allocated_storage),
            "AvailabilityZone": model.availability_zone,
            "DBSubnetGroupName": model.db_subnet_group.name,
            "DBParameterGroupName": model.db_parameter_groups()[0].name,
            "OptionGroupName": model.option_group_name,
            "VpcSecurityGroupIds": json.dumps(model.vpc_security_group_ids),
            "MultiAZ": str(bool(model.multi_az)).lower(),
            "DeletionProtection": str(bool(model.deletion_protection)).lower(),
            "PubliclyAccessible": str(bool(model.publicly_accessible)).lower(),
            "CopyTagsToSnapshot": str(bool(model.copy_tags_to_snapshot)).lower(),
            "AutoMinorVersionUpgrade": str(bool(model.auto_minor_version_upgrade)).lower(),
            "Port": "3306",
        }
        return {
            "BackupVaultArn": point["BackupVaultArn"],
            "RecoveryPointArn": point["RecoveryPointArn"],
            "RestoreMetadata": said,
            "ResourceType": "RDS",
        }

    # Jobs -------------------------------------------------------------------------------------------------------

    def start_restore(self, call: Call) -> Any:
        arn = call.params["RecoveryPointArn"]
        if arn not in self._points:
            raise Refused("ResourceNotFoundException", f"no recovery point {arn}")
        if "IamRoleArn" not in call.params:
            raise Refused("MissingParameterValueException", "IamRoleArn is needed")
        token = call.params.get("IdempotencyToken")
        for job in self._jobs.values():
            if token and job["token"] == token:
                return {"RestoreJobId": job["RestoreJobId"]}
        name = str(uuid.uuid4()).upper()
        self._jobs[name] = {
            "AccountId": ACCOUNT,
            "RestoreJobId": name,
            "RecoveryPointArn": arn,
            "CreationDate": now(),
            "Status": "PENDING",
            "PercentDone": "0.00%",
            "IamRoleArn": call.params["IamRoleArn"],
            "ResourceType": "RDS",
            "token": token,
            "region": call.region,
        }
        self.world.beside(self._restore, self._jobs[name], call.params["Metadata"])
        return {"RestoreJobId": name}

    def describe_restore(self, call: Call) -> Any:
        job = self._jobs.get(call.params["RestoreJobId"])
        if job is None:
            raise Refused("ResourceNotFoundException", "no such restore job")
        return job

    def list_restores(self, call: Call) -> Any:
        status = call.params.get("ByStatus")
        jobs = [one for one in self._jobs.values() if one["region"] == call.region and status in (None, one["Status"])]
        return {"RestoreJobs": jobs}

    def start_backup(self, call: Call) -> Any:
        self._vault(call)
        record = self.world.instances.get(call.params["ResourceArn"])
        if record is None:
            raise Refused("ResourceNotFoundException", f"no resource {call.params['ResourceArn']}")
        point = self._add(record, call.params["BackupVaultName"], now())
        name = str(uuid.uuid4()).upper()
        self._backups[name] = {
            **{key: point[key] for key in ("BackupVaultName", "BackupVaultArn", "RecoveryPointArn", "ResourceArn")},
            "BackupJobId": name,
            "CreationDate": point["CreationDate"],
            "State": "RUNNING",
            "ResourceType": "RDS",
            "IamRoleArn": call.params["IamRoleArn"],
        }
        return {key: self._backups[name][key] for key in ("BackupJobId", "RecoveryPointArn", "CreationDate")}

    def describe_backup(self, call: Call) -> Any:
        job = self._backups.get(call.params["BackupJobId"])
        if job is None:
            raise Refused("ResourceNotFoundException", "no such backup job")
        return self._as_it_stands(job)

    def list_backups(self, call: Call) -> Any:
        return {"BackupJobs": [self._as_it_stands(job) for job in self._backups.values()]}

    # Selections -------------------------------------------------------------------------------------------------

    def create_selection(self, call: Call) -> Any:
        name = str(uuid.uuid4())
        self._selections[name] = {
            "SelectionId": name,
            "BackupPlanId": call.params["BackupPlanId"],
            "CreationDate": now(),
            "BackupSelection": call.params["BackupSelection"],
        }
        return {key: self._selections[name][key] for key in ("SelectionId", "BackupPlanId", "CreationDate")}

    def selection(self, call: Call) -> Any:
        found = self._selections.get(call.params["SelectionId"])
        if found is None:
            raise Refused("ResourceNotFoundException", "no such selection")
        return found

    def list_selections(self, call: Call) -> Any:
        found = [
            {
                "SelectionId": one["SelectionId"],
                "SelectionName": one["BackupSelection"]["SelectionName"],
                "BackupPlanId": one["BackupPlanId"],
                "CreationDate": one["CreationDate"],
                "IamRoleArn": one["BackupSelection"].get("IamRoleArn"),
            }
            for one in self._selections.values()
            if one["BackupPlanId"] == call.params["BackupPlanId"]
        ]
        return {"BackupSelectionsList": found}

    def delete_selection(self, call: Call) -> Any:
        if self._selections.pop(call.params["SelectionId"], None) is None:
            raise Refused("ResourceNotFoundException", "no such selection")
        return {}

    # ------------------------------------------------------------------------------------------------------------

    def _add(self, record: Instance, vault: str, at: datetime.datetime) -> dict[str, Any]:
        model = record.model
        found = backup_backends[ACCOUNT][model.region].vaults[vault]
        name = f"awsbackup:job-{uuid.uuid4()}"
        snapshot = rds(model.region).create_db_snapshot(
            model.db_instance_identifier, name, snapshot_type="awsbackup", original_created_at=at.replace(tzinfo=None)
        )
        snapshot.created = at.astimezone(datetime.UTC).replace(tzinfo=None)
        self._snapshots.take(record.database, snapshot)
        self._points[snapshot.arn] = {
            "RecoveryPointArn": snapshot.arn,
            "BackupVaultName": vault,
            "BackupVaultArn": found.backup_vault_arn,
            "ResourceArn": model.arn,
            "ResourceName": model.db_instance_identifier,
            "ResourceType": "RDS",
            "CreationDate": at,
            "CompletionDate": at + datetime.timedelta(minutes=5),
            "IsEncrypted": bool(model.storage_encrypted),
            "EncryptionKeyArn": model.kms_key_id if model.storage_encrypted else None,
            "BackupSizeInBytes": 20 * 2**30,
            "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/service-role/AWSBackupDefaultServiceRole",
            "Lifecycle": {"DeleteAfterDays": 30},
        }
        found.num_of_recovery_points += 1
        return self._points[snapshot.arn]

    def _complete(self, point: dict[str, Any]) -> dict[str, Any]:
        """A recovery point as it stands: it is complete once its snapshot is."""
        ready = self._snapshot(point).status == "available"
        return {**point, "Status": "COMPLETED" if ready else "CREATING"}

    def _restore(self, job: dict[str, Any], metadata: dict[str, str]) -> None:
        job["Status"] = "RUNNING"
        self.world.last("restore_job_s")
        region, snapshot = job["region"], self._snapshot(self._points[job["RecoveryPointArn"]])
        params: dict[str, Any] = {name: metadata[name] for name in _TEXTS if metadata.get(name)}
        params |= {name: metadata[name] == "true" for name in _FLAGS if name in metadata}
        if metadata.get("VpcSecurityGroupIds"):
            params["VpcSecurityGroupIds"] = json.loads(metadata["VpcSecurityGroupIds"])

        def make() -> Answer:
            kind, snapshot.snapshot_type = snapshot.snapshot_type, "manual"  # moto looks for no others
            try:
                rds(region).restore_db_instance_from_db_snapshot(
                    snapshot.resource_id, {"db_instance_identifier": params["DBInstanceIdentifier"]}
                )
            finally:
                snapshot.snapshot_type = kind
            return _MADE

        try:
            model = self._restores.restore_from(region, params, snapshot, make)["DBInstance"]
        except Exception as error:  # noqa: BLE001 - the job fails with whatever the other service said
            job |= {"Status": "FAILED", "StatusMessage": str(error), "CompletionDate": now()}
            return
        job["CreatedResourceArn"] = model.arn
        while model.status != "available" and model.arn in self.world.instances:
            time.sleep(0.02)
        job |= {"Status": "COMPLETED", "PercentDone": "100.00%", "CompletionDate": now()}

    def _as_it_stands(self, job: dict[str, Any]) -> dict[str, Any]:
        snapshot = rds("us-east-1").database_snapshots.get(job["RecoveryPointArn"].split(":snapshot:")[1])
        return {**job, "State": "COMPLETED" if snapshot and snapshot.status == "available" else "RUNNING"}

    def _vault(self, call: Call) -> Any:
        found = backup_backends[ACCOUNT][call.region].vaults.get(call.params["BackupVaultName"])
        if found is None:
            raise Refused("ResourceNotFoundException", f"no backup vault {call.params['BackupVaultName']}")
        return found

    def _in_vault(self, call: Call) -> list[dict[str, Any]]:
        resource, kind = call.params.get("ByResourceArn"), call.params.get("ByResourceType")
        return [
            self._complete(one)
            for one in self._points.values()
            if one["BackupVaultName"] == call.params["BackupVaultName"]
            and resource in (None, one["ResourceArn"])
            and kind in (None, one["ResourceType"])
        ]

    def _point(self, call: Call) -> dict[str, Any]:
        self._vault(call)
        found = self._points.get(call.params["RecoveryPointArn"])
        if found is None or found["BackupVaultName"] != call.params["BackupVaultName"]:
            raise Refused("ResourceNotFoundException", f"no recovery point {call.params['RecoveryPointArn']}")
        return self._complete(found)

    def _snapshot(self, point: dict[str, Any]) -> Any:
        _, _, _, region, _, _, name = point["RecoveryPointArn"].split(":", 6)
        return rds(region).database_snapshots[name]

    def _reset(self) -> None:
        for kept in (self._points, self._jobs, self._backups, self._selections):
            kept.clear()
