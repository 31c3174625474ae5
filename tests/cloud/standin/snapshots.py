"""Snapshots of instances: images of real data folders, which take time, and travel to other regions."""

from __future__ import annotations

import shutil
import time
from typing import Any

from ftchaos.mysql import template
from standin.call import Call, Refused
from standin.database import Database
from standin.groups import check_key
from standin.records import need, state
from standin.world import World, rds


class Snapshots:
    """The handlers of snapshots."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handlers: dict[tuple[str, str], Any] = {
            ("rds", "CreateDBSnapshot"): self.create_snapshot,
            ("rds", "CopyDBSnapshot"): self.copy_snapshot,
            ("rds", "DeleteDBSnapshot"): self.delete_snapshot,
        }

    def create_snapshot(self, call: Call) -> Any:
        record = need(self.world, call.region, call.params["DBInstanceIdentifier"])
        if record.model.status != "available":
            raise state(record, "be backed up")
        call_answer = call.moto()
        if not call_answer.ok:
            return call_answer
        snapshot = rds(call.region).database_snapshots[call.params["DBSnapshotIdentifier"]]
        self.take(record.database, snapshot)
        return {"DBSnapshot": snapshot}

    def take(self, database: Database, snapshot: Any) -> None:
        """Copy the data of a server for a snapshot, of an instance or a cluster, which is available after a while."""
        snapshot.status, snapshot.percent_progress = "creating", 0
        image = self.world.images[snapshot.arn] = self.world.path("snapshot")
        database.image(image)
        self.world.beside(self.complete, snapshot, "snapshot_s", database.mend, image)

    def copy_snapshot(self, call: Call) -> Any:
        source = self.find(call.region, call.params["SourceDBSnapshotIdentifier"])
        if source.status != "available":
            raise Refused("InvalidDBSnapshotState", f"{source.resource_id} is {source.status}.")
        if source.encrypted and source.region != call.region and not call.params.get("KmsKeyId"):
            raise Refused("InvalidParameterCombination", "An encrypted snapshot needs a KmsKeyId of this region.")
        if call.params.get("KmsKeyId"):
            check_key(call.region, call.params["KmsKeyId"])
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
        self.world.beside(self.complete, target, "copy_s")
        return {"DBSnapshot": target}

    def delete_snapshot(self, call: Call) -> Any:
        snapshot = self.find(call.region, call.params["DBSnapshotIdentifier"])
        if snapshot.status != "available":
            raise Refused("InvalidDBSnapshotState", f"{snapshot.resource_id} is {snapshot.status}.")
        call_answer = call.moto()
        if call_answer.ok and (image := self.world.images.pop(snapshot.arn, None)):
            shutil.rmtree(image, ignore_errors=True)
        return call_answer

    def find(self, region: str, name: str) -> Any:
        """moto's model of a snapshot by its name in a region, or by its ARN."""
        there = name.split(":")[3] if name.startswith("arn:") else region
        found = rds(there).database_snapshots.get(name.split(":snapshot:")[-1])
        if found is None:
            raise Refused("DBSnapshotNotFound", f"DBSnapshot not found: {name}", 404)
        if found.arn not in self.world.images:
            raise Refused("InvalidDBSnapshotState", f"{name} has no image: it was made by moto alone.")
        return found

    def complete(self, snapshot: Any, duration: str, work: Any = None, *arguments: Any) -> None:
        """Let a snapshot be available after a duration of the settings, and some work."""
        begun = time.monotonic()
        if work:
            work(*arguments)
        self.world.last(duration, begun)
        snapshot.status, snapshot.percent_progress = "available", 100
