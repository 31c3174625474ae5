"""The real application in the stand-in: its API, MySQL and workers are pods that run; clients come in by a service.

``begin`` stages it in an empty stand-in, with Redis outside of the cluster, as ElastiCache is. MySQL is a StatefulSet
of one pod, whose volume stays. What clients and ftchaos use is in :class:`RealApp`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app_stack import Stack
from cluster.manifests import ZONE, budget, node
from cluster.standin.server import Standin

from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import seed, template
from ftchaos.platforms.lab import redis
from ftchaos.platforms.lab.app.config import AppConfig, Database
from ftchaos.platforms.lab.app.services import QUEUE
from ftchaos.platforms.lab.layout import API_PORT, MYSQL_PORT, PUBLIC_PORT

Obj = dict[str, Any]
API, WORKER, DB = "file-transfer-api", "file-transfer-worker", "file-transfer-db"
SPACES = (API, WORKER, DB)
ALLOWED = {"ftchaos": "allowed"}
ZONES = ("zone-a", "zone-b", "zone-c")
SECRET = "database"
_WRITE_THEN = 'printf %s "$1" > "$2"/config.json && exec "$3" -m "$4" --config "$2"/config.json'
COPY_THEN = 'test -e "$1" || cp -a --sparse=always --reflink=auto "$0" "$1"; shift; exec "$@"'


@dataclass(frozen=True)
class RealApp:
    """What was staged.

    Attributes:
        public_url: where clients come in.
        mysql: address of the service ``mysql``.
        password: of MySQL's accounts ``app`` and ``ftchaos``; the Secret ``database`` of each namespace has it.
        redis: the servers of Redis, by name; ``redis.kill`` and the like harm them.
        redis_cluster: addresses of the nodes of the cache.
        sentinels: addresses of those that watch the queue.
    """

    cluster: Standin
    public_url: str
    mysql: tuple[str, int]
    password: str
    redis: Stack
    redis_cluster: tuple[tuple[str, int], ...]
    sentinels: tuple[tuple[str, int], ...]

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig

    def pods(self, namespace: str, app: str) -> list[Any]:
        """The pods of a workload that are not on their way out."""
        found = self.cluster.core.list_namespaced_pod(namespace, label_selector=f"app={app}").items
        return [one for one in found if one.metadata.deletion_timestamp is None]

    def ready(self, namespace: str, app: str) -> list[Any]:
        """Those of them that are ready."""
        return [
            one for one in self.pods(namespace, app)
            if any(two.type == "Ready" and two.status == "True" for two in one.status.conditions or [])
        ]  # fmt: skip

    def process_of(self, pod: Any) -> int:
        """The pid of a pod's process; 0 where none runs."""
        return int(self.cluster.command("process", namespace=pod.metadata.namespace, name=pod.metadata.name))


@contextmanager
def begin(
    cluster: Standin, folder: Path, *, flavour: str | None = None, replicas: int = 3, workers: int = 1,
    second_s: float = 0.02,
) -> Iterator[RealApp]:  # fmt: skip
    """The application in an empty cluster, until the end of the context; whole within some seconds.

    Args:
        folder: for the files of Redis.
        flavour: of MySQL; the first that this machine has.
        second_s: how long a second of the cluster lasts; processes take the real time that they take.
    """
    cluster.settings(second_s=second_s)
    outside = Stack(folder)
    try:
        outside.begin(redis.prepare(outside.layout, folder))
        found = flavours.find(flavour)
        source = template.template(found, seed.SMALLEST_BYTES, lambda line: None)
        password = template.secret(source)
        names = [f"node-{zone[-1]}{number}" for zone in ZONES for number in (1, 2)]
        cluster.create(*(node(name, f"zone-{name[5]}", **ALLOWED) for name in names))
        for space in SPACES:
            _namespace(cluster, space, password)
        mysql, api = cluster.create(service(DB, "mysql", MYSQL_PORT), service(API, "api", PUBLIC_PORT, API_PORT))
        address = (mysql["spec"]["clusterIP"], MYSQL_PORT)
        config = AppConfig(
            zone="{zone}",
            listen=("{address}", API_PORT),
            mysql=Database(*address, "app", str((source.parent / "secret").resolve()), "filetransfer"),
            sentinels=tuple(redis.sentinel_addresses(outside.layout, ZONES[0])),
            queue=QUEUE,
            redis_cluster=tuple(redis.cluster_addresses(outside.layout, ZONES[0])),
        )
        cluster.create(
            _mysql(found, source),
            _part(API, "api", replicas, config, {"httpGet": {"path": "/health", "port": API_PORT}}),
            _part(WORKER, "worker", workers, config, {}),
            budget("api", API, minAvailable=replicas - 1),
        )
        url = f"http://{api['spec']['clusterIP']}:{PUBLIC_PORT}"
        made = RealApp(cluster, url, address, password, outside, config.redis_cluster, config.sentinels)
        redis.wait_ready(outside.layout)
        wanted = ((DB, "mysql", 1), (API, "api", replicas), (WORKER, "worker", workers))
        cluster.until(
            lambda: all(len(made.ready(space, app)) == count for space, app, count in wanted), "the application", 60
        )
        yield made
    finally:
        cluster.reset()
        outside.end()


def _namespace(cluster: Standin, name: str, password: str) -> None:
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": ALLOWED}})
    cluster.until(lambda: cluster.all("v1", "ServiceAccount", name), f"the account of {name}")
    data = {"username": "ftchaos", "password": password}
    metadata = {"name": SECRET, "namespace": name}
    cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})


def service(space: str, name: str, port: int, target: int = 0) -> Obj:
    metadata = {"name": name, "namespace": space, "annotations": {"standin/serve": "yes"}}
    ports = [{"name": "main", "port": port, "targetPort": target or port}]
    spec = {"selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _part(space: str, name: str, replicas: int, config: AppConfig, probe: Obj) -> Obj:
    """A Deployment of the API or of the workers, which are told by a file where everything is."""
    module = f"ftchaos.platforms.lab.app.{name}"
    argv = ["sh", "-c", _WRITE_THEN, "sh", config.dump(), "{volume}", sys.executable, module]
    spread = {"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
              "labelSelector": {"matchLabels": {"app": name}}}  # fmt: skip
    pod = {"volumes": [{"name": "data", "emptyDir": {}}], "topologySpreadConstraints": [spread]}
    return workload("Deployment", space, name, replicas, API_PORT, argv, probe, pod)


def _mysql(flavour: flavours.Flavour, source: Path) -> Obj:
    server = flavour.server_argv(
        Path("{volume}/data"), server_id=1, bind="{address}", port=MYSQL_PORT, options={"read-only": 0}
    )
    argv = ["sh", "-c", COPY_THEN, str(source), "{volume}/data", *server]
    made = workload("StatefulSet", DB, "mysql", 1, MYSQL_PORT, argv, {"tcpSocket": {"port": MYSQL_PORT}}, {})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made["spec"] |= {"serviceName": "mysql", "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}
    return made


def workload(kind: str, space: str, name: str, replicas: int, port: int, argv: list[str], probe: Obj, pod: Obj) -> Obj:
    container: Obj = {"name": name, "image": f"registry.example.com/file-transfer/{name}:1.4.2"}
    container |= {"ports": [{"name": "main", "containerPort": port}], **({"readinessProbe": probe} if probe else {})}
    labels = {"app": name, "app.kubernetes.io/component": name}
    metadata = {"labels": labels, "annotations": {"standin/run": json.dumps(argv)}}
    spec: Obj = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
    spec["template"] = {"metadata": metadata, "spec": {"containers": [container], **pod}}
    about = {"name": name, "namespace": space, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": about, "spec": spec}
