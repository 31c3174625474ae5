"""What outlives the servers of an Aurora cluster: snapshots of its volume, and restores of it."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftchaos.mysql import template
from standin.aurora import Aurora, Cluster
from standin.call import Call, Refused
from standin.groups import check_groups, check_key, put_into_groups
from standin.snapshots import Snapshots
from standin.world import World, aware, rds


class Volumes:
    """The handlers of cluster snapshots and of restores of clusters."""

    def __init__(self, world: World, aurora: Aurora, snapshots: Snapshots) -> None:
        self.world = world
        self._aurora = aurora
        self._snapshots = snapshots
        aurora.final = self.snapshot
        self.handlers: dict[tuple[str, str], Any] = {
            ("rds", "CreateDBClusterSnapshot"): self.create,
            ("rds", "CopyDBClusterSnapshot"): self.copy,
            ("rds", "DeleteDBClusterSnapshot"): self.delete,
            ("rds", "RestoreDBClusterFromSnapshot"): self.restore_snapshot,
            ("rds", "RestoreDBClusterToPointInTime"): self.restore_point,
        }

    # Snapshots --------------------------------------------------------------------------------------------------

    def create(self, call: Call) -> Any:
        cluster = self._aurora.need(call.region, call.params["DBClusterIdentifier"])
        if cluster.model.status != "available":
            raise Refused("InvalidDBClusterStateFault", f"the cluster is {cluster.model.status}")
        return {
            "DBClusterSnapshot": self.snapshot(
                cluster, call.params["DBClusterSnapshotIdentifier"], tags=call.params.get("Tags")
            )
        }

    def snapshot(self, cluster: Cluster, name: str, **more: Any) -> Any:
        """moto's model of a new snapshot of a cluster, with the data behind it."""
        model = cluster.model
        made = rds(model.region).create_db_cluster_snapshot(model.db_cluster_identifier, name, **more)
        if cluster.writer:
            self._snapshots.take(cluster.writer, made)
        elif cluster.image:
            self._keep(made, cluster.image, "snapshot_s")
        return made

    def copy(self, call: Call) -> Any:
        source = self.find(call.region, call.params["SourceDBClusterSnapshotIdentifier"])
        key = call.params.get("KmsKeyId")
        _ensure_available(source)
        if source.encrypted and source.region != call.region and not key:
            raise Refused("InvalidParameterCombination", "An encrypted snapshot needs a KmsKeyId of this region.")
        if key:
            check_key(call.region, key)
        answer = call.moto()
        if not answer.ok:
            return answer
        target = rds(call.region).cluster_snapshots[call.params["TargetDBClusterSnapshotIdentifier"]]
        target.source_db_cluster_snapshot_arn = source.arn
        self._keep(target, self.world.images[source.arn], "copy_s")
        return {"DBClusterSnapshot": target}

    def delete(self, call: Call) -> Any:
        snapshot = self.find(call.region, call.params["DBClusterSnapshotIdentifier"])
        _ensure_available(snapshot)
        answer = call.moto()
        if answer.ok and (image := self.world.images.pop(snapshot.arn, None)):
            shutil.rmtree(image, ignore_errors=True)
        return answer

    def find(self, region: str, name: str) -> Any:
        """moto's model of a cluster snapshot by its name in a region, or by its ARN."""
        there = name.split(":")[3] if name.startswith("arn:") else region
        found = rds(there).cluster_snapshots.get(name.split(":cluster-snapshot:")[-1])
        if found is None:
            raise Refused("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot not found: {name}", 404)
        return found

    # Restores ---------------------------------------------------------------------------------------------------

    def restore_snapshot(self, call: Call) -> Any:
        snapshot = self.find(call.region, call.params["SnapshotIdentifier"])
        return self.restore_from(call.region, call.params, snapshot)

    def restore_from(self, region: str, params: dict[str, Any], snapshot: Any) -> Any:
        """Restore a cluster from a snapshot of the same region.

        Args:
            region: where.
            params: as those of ``RestoreDBClusterFromSnapshot``.
            snapshot: moto's.
        """
        _ensure_available(snapshot)
        if snapshot.region != region:
            raise Refused("DBClusterSnapshotNotFoundFault", f"{snapshot.arn} is in another region", 404)
        self._check(region, params, snapshot)
        model = rds(region).create_db_cluster(
            {**snapshot.cluster.get_cfg(), "db_cluster_identifier": params["DBClusterIdentifier"]}
        )
        image = self.world.path("volume")
        template.copy(self.world.images[snapshot.arn], image)
        return self._restored(model, params, lambda: image, f"snapshot {snapshot.resource_id}")

    def restore_point(self, call: Call) -> Any:
        source = self._aurora.need(call.region, call.params["SourceDBClusterIdentifier"])
        params = call.params
        wanted, use_latest = params.get("RestoreToTime"), params.get("UseLatestRestorableTime")
        if bool(wanted) == bool(use_latest):
            raise Refused("InvalidParameterCombination", "either RestoreToTime or UseLatestRestorableTime is needed")
        is_clone = params.get("RestoreType", "full-copy") == "copy-on-write"
        if is_clone and wanted:
            raise Refused("InvalidParameterCombination", "a copy-on-write is of the latest restorable time")
        newest = self._aurora.latest(source)
        if newest is None or (wanted and not source.earliest_at.replace(microsecond=0) <= aware(wanted) <= newest):
            raise Refused("InvalidRestoreFault", f"RestoreToTime is not between {source.earliest_at} and {newest}.")
        writer = source.writer
        if writer is None:
            raise Refused("InvalidDBClusterStateFault", "the stand-in restores no cluster without a writer")
        self._check(call.region, params, source.model)
        answer = call.moto()
        if not answer.ok:
            return answer
        at: datetime.datetime = aware(wanted) if wanted else newest

        def volume() -> Path:
            image = self.world.path("volume")
            writer.restore(image, None if is_clone else at)
            return image

        model = rds(call.region).clusters[params["DBClusterIdentifier"]]
        return self._restored(model, params, volume, f"{at:%Y-%m-%d %H:%M:%S}")

    # What happens beside ----------------------------------------------------------------------------------------

    def _check(self, region: str, params: dict[str, Any], source: Any) -> None:
        if params["DBClusterIdentifier"] in rds(region).clusters:
            raise Refused("DBClusterAlreadyExistsFault", "DB Cluster already exists")
        check_groups(region, params)
        if source.storage_encrypted:
            check_key(region, params.get("KmsKeyId") or source.kms_key_id)

    def _restored(self, model: Any, params: dict[str, Any], volume: Callable[[], Path], of: str) -> Any:
        """A new cluster with exactly what the call gives, the defaults for the rest, and soon its volume."""
        model.deletion_protection = params.get("DeletionProtection", False)
        model.copy_tags_to_snapshot = params.get("CopyTagsToSnapshot", False)
        model.tags = list(params.get("Tags", []))
        if "BackupRetentionPeriod" in params:
            model.backup_retention_period = params["BackupRetentionPeriod"]
        put_into_groups(model.region, model, params)
        self.world.beside(self._fill, self._aurora.adopt(model, None, None), volume, of)
        return {"DBCluster": model}

    def _fill(self, cluster: Cluster, volume: Callable[[], Path], of: str) -> None:
        begun = time.monotonic()
        cluster.image = volume()
        self.world.last("creating_s", begun)
        cluster.model.status = "available"
        self._aurora.tell(cluster, f"Restored cluster to {of}", "restoration")

    def _keep(self, snapshot: Any, image: Path, duration: str) -> None:
        """Let a snapshot have a copy of an image, and be available after a duration of the settings."""
        kept = self.world.images[snapshot.arn] = self.world.path("snapshot")
        template.copy(image, kept)
        snapshot.status, snapshot.percent_progress = "creating", 0
        self.world.beside(self._snapshots.complete, snapshot, duration)


def _ensure_available(snapshot: Any) -> None:
    if snapshot.status != "available":
        raise Refused("InvalidDBClusterSnapshotStateFault", f"{snapshot.resource_id} is {snapshot.status}.")
