"""Aurora clusters: one volume that the writer has, readers that follow, and a failover that hands the volume over."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.rds.models import DBCluster

from standin import database as databases
from standin import processes
from standin.call import Call, Refused
from standin.database import Database
from standin.groups import check_groups, options, put_into_groups
from standin.instances import Instances
from standin.proxy import Proxy
from standin.records import BUSY
from standin.world import Instance, World, now, rds


@dataclass
class Cluster:
    """What is behind a cluster.

    Attributes:
        model: moto's.
        front: the address of the writer.
        back: the address of the readers, which has the same port.
        image: what its volume begins from; None until it is restored.
        password: of the master account, when it is new.
        earliest_at: before this nothing can be restored.
        members: the records of its instances, the writer first.
    """

    model: Any
    front: Proxy
    back: Proxy
    image: Path | None
    password: str | None
    earliest_at: datetime.datetime = field(default_factory=now)
    members: list[Instance] = field(default_factory=list)

    @property
    def writer(self) -> Database | None:
        """The server that has the volume; None where no instance is up."""
        return self.members[0].database if self.members else None

    def lead(self) -> None:
        """Let both addresses lead to who is there."""
        alive = [one.database.port if one.database and one.database.pid else None for one in self.members]
        self.front.lead(alive[0] if alive else None)
        self.back.lead(next((port for port in alive[1:] if port), alive[0] if alive else None))


class Aurora:
    """The handlers of clusters and of the instances in them."""

    def __init__(self, world: World, instances: Instances) -> None:
        self.world = world
        self._instances = instances
        self.clusters: dict[str, Cluster] = {}
        self.final: Callable[[Cluster, str], object] = lambda cluster, name: None
        world.resets.append(self._reset)
        self._amend()
        self.handlers: dict[tuple[str, str], Any] = {
            ("rds", "CreateDBCluster"): self.create,
            ("rds", "FailoverDBCluster"): self.failover,
            ("rds", "DeleteDBCluster"): self.delete,
            ("rds", "ModifyDBCluster"): self.modify,
            ("rds", "CreateDBInstance"): self.create_instance,
            ("rds", "DeleteDBInstance"): self.delete_instance,
        }

    def create(self, call: Call) -> Any:
        check_groups(call.region, call.params)
        answer = call.moto()
        if not answer.ok:
            return answer
        model = rds(call.region).clusters[call.params["DBClusterIdentifier"]]
        put_into_groups(call.region, model, call.params)
        cluster = self.adopt(model, databases.fresh()[0], call.params.get("MasterUserPassword"))
        self.world.beside(self._become_available, cluster)
        return {"DBCluster": model}

    def create_instance(self, call: Call) -> Any:
        name = call.params.get("DBClusterIdentifier")
        if not name:
            return self._instances.create(call)
        cluster = self.need(call.region, name)
        if cluster.image is None or cluster.model.status not in ("available", "modifying"):
            raise Refused("InvalidDBClusterStateFault", f"the cluster is {cluster.model.status}")
        answer = call.moto()
        if not answer.ok:
            return answer
        model = rds(call.region).databases[call.params["DBInstanceIdentifier"]]
        model.db_subnet_group = rds(call.region).subnet_groups.get(cluster.model.db_subnet_group)
        model.multi_az = False
        record = self._instances.register(call.region, model, call.params)
        cluster.members.append(record)
        self.world.beside(self._bring_up, cluster, record)
        return {"DBInstance": model}

    def failover(self, call: Call) -> Any:
        cluster = self.need(call.region, call.params["DBClusterIdentifier"])
        if cluster.model.status != "available":
            raise Refused("InvalidDBClusterStateFault", f"the cluster is {cluster.model.status}")
        target = call.params.get("TargetDBInstanceIdentifier")
        heirs = [one for one in cluster.members[1:] if target in (None, one.model.db_instance_identifier)]
        heirs = [one for one in heirs if one.model.status == "available"]
        if not heirs:
            raise Refused("InvalidDBInstanceState", f"no available reader {target or ''} could take over")
        cluster.model.status = "failing-over"
        self.world.beside(self._hand_over, cluster, heirs[0])
        return {"DBCluster": cluster.model}

    def modify(self, call: Call) -> Any:
        cluster = self.need(call.region, call.params["DBClusterIdentifier"])
        if cluster.model.status != "available":
            raise Refused("InvalidDBClusterStateFault", f"the cluster is {cluster.model.status}")
        check_groups(call.region, call.params)
        answer = call.moto()
        if answer.ok:
            cluster.model.status = "modifying"
            self.world.beside(self._change, cluster, call.params.get("MasterUserPassword"))
        return answer

    def delete(self, call: Call) -> Any:
        cluster = self.need(call.region, call.params["DBClusterIdentifier"])
        if cluster.model.deletion_protection:
            raise Refused("InvalidParameterCombination", "Cannot delete protected Cluster, disable its protection.")
        if [one for one in cluster.members if one.model.status != "deleting"]:
            raise Refused("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances.")
        if cluster.model.status in BUSY:
            raise Refused("InvalidDBClusterStateFault", f"the cluster is {cluster.model.status}")
        final = call.params.get("FinalDBSnapshotIdentifier")
        if bool(final) == bool(call.params.get("SkipFinalSnapshot")):
            raise Refused("InvalidParameterCombination", "either FinalDBSnapshotIdentifier or SkipFinalSnapshot")
        if final:
            self.final(cluster, final)
        cluster.model.status = "deleting"
        self.world.beside(self._remove, cluster, call.region)
        return {"DBCluster": cluster.model}

    def delete_instance(self, call: Call) -> Any:
        name = call.params["DBInstanceIdentifier"]
        for cluster in self.clusters.values():
            for record in cluster.members:
                if (record.model.region, record.model.db_instance_identifier) == (call.region, name):
                    if record is cluster.members[0] and len(cluster.members) > 1:
                        raise Refused("InvalidDBInstanceState", "the stand-in deletes the writer last")
                    answer = self._instances.delete(call)
                    self.world.beside(self._forget_member, cluster, record)
                    return answer
        return self._instances.delete(call)

    # What happens beside ----------------------------------------------------------------------------------------

    def adopt(self, model: Any, image: Path | None, password: str | None) -> Cluster:
        """Keep a record of a new cluster, which is ``creating``, and give it its two addresses."""
        front, back = _pair(self.world)
        cluster = Cluster(model, front, back, image, password)
        model.status, model.port = "creating", front.port
        self.clusters[model.arn] = cluster
        return cluster

    def _become_available(self, cluster: Cluster) -> None:
        self.world.last("creating_s")
        cluster.model.status = "available"

    def _bring_up(self, cluster: Cluster, record: Instance) -> None:
        begun = time.monotonic()
        assert cluster.image is not None
        database = self.world.database(record.model.db_instance_identifier, cluster.image)
        leads = record is cluster.members[0]
        database.read_only = not leads
        database.options = options(record)
        database.begin()
        if leads and cluster.password:
            database.account(cluster.model.master_username, cluster.password)
        if not leads:
            processes.until(lambda: cluster.members[0].model.status == "available", 60, "the writer")
            database.follow(cluster.front.port, databases.fresh()[1])
        record.database = database
        self.world.last("creating_s", begun)
        record.place.proxy.lead(database.port)
        cluster.lead()
        record.model.status = "available"

    def _hand_over(self, cluster: Cluster, heir: Instance) -> None:
        """The heir gets the volume, and with it every write; the old writer follows with the heir's copy."""
        writer = cluster.members[0]
        assert writer.database is not None
        assert heir.database is not None
        self.tell(cluster, f"Started cross AZ failover to DB instance: {heir.model.resource_id}", "failover")
        begun = time.monotonic()
        for record in (writer, heir):
            record.model.status = "rebooting"
            record.place.proxy.lead(None)
            record.database.kill()
        cluster.lead()
        writer.database, heir.database = heir.database, writer.database
        heir.database.begin()
        self.world.last("failover_s", begun)
        cluster.members.remove(heir)
        cluster.members.insert(0, heir)
        cluster.model.failover(heir.model)
        heir.place.proxy.lead(heir.database.port)
        cluster.lead()
        writer.database.begin()
        writer.place.proxy.lead(writer.database.port)
        cluster.lead()
        for record in (heir, writer):
            record.model.status = "available"
        cluster.model.status = "available"
        self.tell(cluster, f"Completed failover to DB instance: {heir.model.resource_id}", "failover")

    def _change(self, cluster: Cluster, password: str | None) -> None:
        writer = cluster.writer
        if password and writer:
            cluster.model.status = "resetting-master-credentials"
            self.world.last("password_s")
            writer.account(cluster.model.master_username, password)
        else:
            cluster.password = password or cluster.password
            self.world.last("modifying_s")
        cluster.model.status = "available"

    def _forget_member(self, cluster: Cluster, record: Instance) -> None:
        processes.until(lambda: record.gone, 60, "the deletion of a member")
        cluster.members.remove(record)
        cluster.lead()

    def _remove(self, cluster: Cluster, region: str) -> None:
        processes.until(lambda: not cluster.members, 60, "the members are gone")
        self.world.last("deleting_s")
        cluster.front.end()
        cluster.back.end()
        self.clusters.pop(cluster.model.arn, None)
        rds(region).clusters.pop(cluster.model.db_cluster_identifier, None)

    def latest(self, cluster: Cluster) -> datetime.datetime | None:
        """See :func:`standin.records.latest`."""
        at = (now() - datetime.timedelta(seconds=self.world.settings.lag_s)).replace(microsecond=0)
        return at if at >= cluster.earliest_at.replace(microsecond=0) else None

    def need(self, region: str, name: str) -> Cluster:
        """The record of a cluster, by its name or ARN; refused where there is none."""
        model = rds(region).clusters.get(name.rpartition(":")[2])
        if model is None or model.arn not in self.clusters:
            raise Refused("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
        return self.clusters[model.arn]

    def tell(self, cluster: Cluster, message: str, category: str) -> None:
        """Leave an event of a cluster."""
        model = cluster.model
        self.world.event(model.region, "db-cluster", model.db_cluster_identifier, model.arn, message, category)

    def _reset(self) -> None:
        for cluster in self.clusters.values():
            cluster.front.end()
            cluster.back.end()
        self.clusters.clear()

    def _amend(self) -> None:
        """Let moto's clusters answer with the addresses of the real servers, and keep their status."""
        DBCluster.endpoint = property(lambda model: "127.0.0.1")  # type: ignore[assignment]
        DBCluster.reader_endpoint = property(lambda model: "127.0.0.2")  # type: ignore[assignment]
        DBCluster.save_automated_backup = lambda model: None  # type: ignore[method-assign]
        DBCluster.status = property(  # type: ignore[assignment]
            lambda model: model._status, lambda model, value: setattr(model, "_status", value)
        )
        DBCluster.earliest_restorable_time = property(  # type: ignore[assignment]
            lambda model: self.clusters[model.arn].earliest_at if model.arn in self.clusters else None,
            lambda model, value: None,
        )
        DBCluster.latest_restorable_time = property(  # type: ignore[assignment]
            lambda model: self.latest(self.clusters[model.arn]) if model.arn in self.clusters else None
        )


def _pair(world: World) -> tuple[Proxy, Proxy]:
    """Two addresses with the same port."""
    while True:
        front = world.board.proxy()
        try:
            return front, world.board.proxy(front.port, "127.0.0.2")
        except OSError:
            front.end()
