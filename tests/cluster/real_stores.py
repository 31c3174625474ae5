"""Real servers of Redis and MySQL as StatefulSets in the stand-in, whose pods come back on their volumes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from cluster.real_app import ALLOWED, COPY_THEN, DB, service, workload
from cluster.standin import addresses
from cluster.standin.server import Standin

from ftchaos.mysql import flavour as flavours
from ftchaos.mysql import seed, template
from ftchaos.platforms.lab import redis
from ftchaos.platforms.lab.layout import MYSQL_PORT

Obj = dict[str, Any]
REDIS_PORT = 6379
REDIS = "--bind {address} --bind-source-addr {address} --port 6379 --dir {volume} --protected-mode no"
CLUSTERED = (
    "--cluster-enabled yes --cluster-announce-ip {address} --cluster-node-timeout 2000 "
    "--cluster-require-full-coverage no --cluster-replica-validity-factor 0"
)
PASSWORD = "nobody is to see this"
SECRET = "cache"


def space(cluster: Standin, name: str = DB) -> None:
    """A namespace that may be harmed."""
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": ALLOWED}})
    cluster.until(lambda: cluster.all("v1", "ServiceAccount", name), f"the account of {name}")


def secret(cluster: Standin, name: str, **values: str) -> None:
    metadata = {"name": name, "namespace": DB}
    cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})


def begin_redis(
    cluster: Standin, name: str, replicas: int, *, clustered: bool = False, appendonly: bool = True
) -> list[str]:
    """Servers of Redis behind a Service of that name, each with a volume; the names of the pods, once all are ready.

    In a Redis Cluster the first half of them lead; else the first one does, and nobody follows it yet.

    Args:
        appendonly: whether they keep what was written; what they know of the Redis Cluster they keep either way.
    """
    argv = ["redis-server", *REDIS.split(), "--save", "", "--requirepass", PASSWORD, "--masterauth", PASSWORD]
    argv += ["--appendonly", "yes" if appendonly else "no", *(CLUSTERED.split() if clustered else [])]
    cluster.create(service(DB, name, REDIS_PORT), _stateful(name, replicas, REDIS_PORT, argv))
    names = [f"{name}-{number}" for number in range(replicas)]
    cluster.until(lambda: len(_ready(cluster, name)) == replicas, f"{name} is ready", 30)
    if clustered:
        _meet(cluster, names)
    return names


def _meet(cluster: Standin, names: list[str]) -> None:
    where = [f"{address_of(cluster, name)}:{REDIS_PORT}" for name in names]
    create = ["redis-cli", "--no-auth-warning", "-a", PASSWORD, "--cluster", "create", *where]
    subprocess.run([*create, "--cluster-replicas", "1", "--cluster-yes"], check=True, capture_output=True, timeout=60)

    def whole() -> bool:
        followed = sum("state=online" in told(cluster, name, "INFO replication") for name in names)
        return followed * 2 == len(names) and all(_is_ok(cluster, name) for name in names)

    cluster.until(whole, "the Redis Cluster is whole", 30)


def _is_ok(cluster: Standin, name: str) -> bool:
    return "cluster_state:ok" in told(cluster, name, "CLUSTER INFO")


def begin_mysql(cluster: Standin, name: str, replicas: int) -> str:
    """Servers of MySQL with equal data, of which the first takes writes; the password of the account ``ftchaos``."""
    found = flavours.find(None)
    source = template.template(found, seed.SMALLEST_BYTES, lambda line: None)
    server = found.server_argv(
        Path("{volume}/data"), server_id=1, bind="{address}", port=MYSQL_PORT, options={"read-only": 1}
    )
    begin = 'case "$0" in *-0) exec "$@" --read-only=0;; *) exec "$@";; esac'
    argv = ["sh", "-c", COPY_THEN, str(source), "{volume}/data", "sh", "-c", begin, "{name}", *server]
    cluster.create(service(DB, name, MYSQL_PORT), _stateful(name, replicas, MYSQL_PORT, argv))
    cluster.until(lambda: len(_ready(cluster, name)) == replicas, f"{name} is ready", 30)
    return template.secret(source)


def told(cluster: Standin, name: str, command: str) -> str:
    """What a server of Redis answers to a command on one line."""
    text = f"AUTH {PASSWORD!r}\r\n{command}".replace("'", '"')
    return redis.ask(address_of(cluster, name), REDIS_PORT, text)


def address_of(cluster: Standin, name: str) -> str:
    """Where the process of a pod listens."""
    return addresses.inside(str(cluster.core.read_namespaced_pod(name, DB).status.pod_ip))


def _ready(cluster: Standin, app: str) -> list[Any]:
    found = cluster.core.list_namespaced_pod(DB, label_selector=f"app={app}").items
    ready = [{two.type: two.status for two in one.status.conditions or []}.get("Ready") == "True" for one in found]
    return [one for one, is_ready in zip(found, ready, strict=True) if is_ready]


def _stateful(name: str, replicas: int, port: int, argv: list[str]) -> Obj:
    made = workload("StatefulSet", DB, name, replicas, port, argv, {"tcpSocket": {"port": port}}, {})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    made["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel", "volumeClaimTemplates": templates}
    return made
