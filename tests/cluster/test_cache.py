"""The ledger in Redis of a cluster, through port-forwards: who loses what when a master's pod dies or its node does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import real_stores
from cluster.manifests import node
from cluster.real_app import ALLOWED, DB, service
from cluster.real_stores import PASSWORD, address_of, told
from cluster.standin.server import Standin
from redis_clients import served
from writers import Workload

from ftchaos import survivors
from ftchaos.audit import Audit, classify, self_test
from ftchaos.clock import now
from ftchaos.cloud import ClusterMysql, ClusterRedis
from ftchaos.platforms.kubernetes import survey
from ftchaos.platforms.kubernetes.access import Access, Place
from ftchaos.platforms.kubernetes.cache import Cache
from ftchaos.platforms.kubernetes.servers import Servers

SHARDS, ALONE, FORGETFUL, PAIR = "shards", "alone", "forgetful", "pair"
"""A Redis Cluster whose servers forget all when they die; a master without replicas that does not, and one that does;
and two servers."""


@pytest.fixture(scope="module")
def stores(process: Standin) -> Iterator[Standin]:
    process.reset()
    process.settings(second_s=0.02)
    process.create(*(node(f"node-{zone}{number}", f"zone-{zone}", **ALLOWED) for zone in "abc" for number in (1, 2)))
    real_stores.space(process)
    real_stores.secret(process, "cache", password=PASSWORD)
    real_stores.begin_redis(process, SHARDS, 6, clustered=True, appendonly=False)
    real_stores.begin_redis(process, ALONE, 1)
    real_stores.begin_redis(process, FORGETFUL, 1, appendonly=False)
    real_stores.begin_redis(process, PAIR, 2)
    yield process
    process.reset()

    assert process.messages() == ""


class Writers:
    """Clients that write to a cache of the cluster from outside, as a run begins them."""

    def __init__(self, cluster: Standin, name: str, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        access = Access(Place("staging", "standin", (DB,), str(cluster.kubeconfig)))
        given = ClusterRedis(service=f"{DB}/{name}", secret=f"{DB}/cache")
        self.servers = Servers(access, ClusterMysql(address="db.example.com:3306", secret=f"{DB}/cache"), given)
        self.cache: Cache = self.servers.find_cache(survey.pods(access, [DB]), given)
        (folder / "secret").write_text(PASSWORD)
        manner = {**self.cache.manner, "secret_file": str(folder / "secret")}
        nodes = [[one.host, one.port] for one in self.cache.nodes]
        self.where = {"nodes": nodes, "shards": dict(self.cache.shards), **manner}
        self.workload = Workload(folder, redis={**self.where, "wait": self.cache.waits})
        self.workload.wait_attempted(100)

    def master(self, letter: str) -> str:
        """The pod that led a shard at the begin."""
        return next(name for name, one in self.cache.leads.items() if one == letter).partition("/")[2]

    def until_served(self, kind: str) -> None:
        """Return when writes of a kind that were begun from now on are acknowledged."""
        since_at = now()
        self.cluster.until(lambda: served(self.folder, kind)[-1:] > [since_at], f"{kind} is written to again", 30)

    def audit(self) -> Audit:
        ledger = self.workload.end()
        path, file = self.folder / "config.json", self.folder / "survivors.json"
        path.write_text(json.dumps({"ledgers": [str(self.workload.folder)], "survivors": str(file), **self.where}))
        subprocess.run([sys.executable, "-m", "ftchaos.survivors", str(path)], check=True)
        self.servers.end()
        found = survivors.kept(file) or []

        assert "" == self_test(ledger, found)
        return classify(ledger, found, None)


def lost(audit: Audit) -> set[str]:
    """The kinds of writers of which acknowledged writes are lost."""
    return {kind for kind, one in audit.stores.items() if one.classes.lost}


def kill(cluster: Standin, name: str) -> None:
    before = cluster.core.read_namespaced_pod(name, DB).metadata.uid
    cluster.core.delete_namespaced_pod(name, DB, grace_period_seconds=0)
    cluster.until(
        lambda: before not in [one["metadata"]["uid"] for one in cluster.all("v1", "Pod", DB)], f"{name} is gone"
    )


def lead_to(cluster: Standin, pod: str) -> None:
    """Let the Service ``leader`` lead to one pod, as operators do."""
    selector = {"app": PAIR, "statefulset.kubernetes.io/pod-name": pod}
    path = f"/api/v1/namespaces/{DB}/services/leader"
    cluster.request("PATCH", path, {"spec": {"selector": None}})
    cluster.request("PATCH", path, {"spec": {"selector": selector}})


def follow(cluster: Standin, one: str, other: str) -> None:
    told(cluster, one, f"REPLICAOF {address_of(cluster, other)} {real_stores.REDIS_PORT}")
    cluster.until(lambda: "state=online" in told(cluster, other, "INFO replication"), f"{one} follows {other}", 20)


def test_replica_takes_over_from_a_master_whose_node_dies_and_clients_follow_it(
    stores: Standin, tmp_path: Path
) -> None:
    writers = Writers(stores, SHARDS, tmp_path)
    where = stores.core.read_namespaced_pod(writers.master("b"), DB).spec.node_name
    stores.kill_nodes(where)
    writers.until_served("redis-b")
    stores.revive_nodes(where)
    writers.until_served("redis-wait-b")
    found = writers.audit()

    assert 6 == len(writers.cache.nodes)
    assert {"a", "b", "c"} == set(writers.cache.shards)
    assert lost(found) <= {"redis-b"}
    assert found.total.ok > 300


@pytest.mark.parametrize(("name", "is_lost"), [(ALONE, set()), (FORGETFUL, {"redis-a"})])
def test_master_alone_comes_back_with_what_its_volume_keeps(
    stores: Standin, tmp_path: Path, name: str, is_lost: set[str]
) -> None:
    writers = Writers(stores, name, tmp_path)
    kill(stores, f"{name}-0")
    writers.until_served("redis-a")
    found = writers.audit()

    assert (1, False, {"a"}) == (len(writers.cache.nodes), writers.cache.waits, set(writers.cache.shards))
    assert {"redis-a"} == set(found.stores)
    assert is_lost == lost(found)


def test_clients_follow_a_service_from_a_master_that_steps_down_to_the_new_one(stores: Standin, tmp_path: Path) -> None:
    stores.create(service(DB, "leader", real_stores.REDIS_PORT))
    lead_to(stores, f"{PAIR}-0")
    follow(stores, f"{PAIR}-1", f"{PAIR}-0")
    writers = Writers(stores, "leader", tmp_path)
    told(stores, f"{PAIR}-1", "REPLICAOF NO ONE")
    follow(stores, f"{PAIR}-0", f"{PAIR}-1")
    lead_to(stores, f"{PAIR}-1")
    writers.until_served("redis-a")
    writers.until_served("redis-wait-a")
    found = writers.audit()

    assert (1, True) == (len(writers.cache.nodes), writers.cache.waits)
    assert lost(found) <= {"redis-a"}
