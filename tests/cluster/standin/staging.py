"""The application in a cluster, as the real one is laid out, with weaknesses planted on demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cluster.standin.reach import Obj, Reach

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ZONE = "topology.kubernetes.io/zone"
API, WEBSOCKET, WORKER, MONITORING, DB = (
    f"file-transfer-{name}" for name in ("api", "websocket", "worker", "monitoring", "db")
)
SPACES = (API, WEBSOCKET, WORKER, MONITORING, DB)
CONTEXT = "standin"
_CLASS = "gp3"


@dataclass(frozen=True)
class Weaknesses:
    """What is wrong with the staging; nothing by default.

    Attributes:
        one_zone: all replicas of the API are in one zone.
        no_budget: the API has no PodDisruptionBudget.
        bound_to_a_zone: MySQL's volumes are bound to zones, so that a lost one is waited for; they always are where
            there is a volume, and without this MySQL has none.
        at_maximum: the API's autoscaler has as many replicas as it may have, and more load than they carry.
        no_eviction: the workers' budget lets no pod go, ever.
        no_anti_affinity: the websocket servers may all be on one node, and are.
        always_ready: the readiness probe of the API says yes without asking.
    """

    one_zone: bool = False
    no_budget: bool = False
    bound_to_a_zone: bool = False
    at_maximum: bool = False
    no_eviction: bool = False
    no_anti_affinity: bool = False
    always_ready: bool = False


@dataclass
class Staging:
    """What was built.

    Attributes:
        cluster: where it is.
        nodes: names of the nodes by zone.
        weaknesses: what was planted.
    """

    cluster: Reach
    weaknesses: Weaknesses
    nodes: dict[str, list[str]] = field(default_factory=dict)

    def pods(self, namespace: str, app: str) -> list[Any]:
        """The pods of a workload."""
        return list(self.cluster.core.list_namespaced_pod(namespace, label_selector=f"app={app}").items)

    def ready(self, kind: str, namespace: str, name: str) -> tuple[int, int]:
        """How many replicas of a Deployment or StatefulSet are ready, and how many it is to have."""
        shape = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}}
        found = self.cluster.request("GET", self.cluster.path(shape))
        return found["status"].get("readyReplicas", 0), found["spec"]["replicas"]

    @property
    def whole(self) -> bool:
        """Whether every replica of the application is ready."""
        return all(ready == wanted for ready, wanted in (self.ready(*one) for one in WORKLOADS))


WORKLOADS = (
    ("Deployment", API, "api"),
    ("Deployment", WEBSOCKET, "websocket"),
    ("Deployment", WORKER, "worker"),
    ("Deployment", MONITORING, "prometheus"),
    ("StatefulSet", DB, "redis"),
    ("StatefulSet", DB, "mysql"),
)


def build(cluster: Reach, weaknesses: Weaknesses | None = None, *, listen: bool = False) -> Staging:
    """Build it in an empty cluster and wait until every replica is ready.

    Args:
        listen: whether pods can really be connected to, at their pod IP and port; see ``cluster.standin.listeners``.
    """
    weak = weaknesses or Weaknesses()
    nodes = {zone: [f"ip-10-0-{number}-{one}" for one in range(3)] for number, zone in enumerate(ZONES)}
    made = Staging(cluster, weak, nodes)
    cluster.create(*(_node(name, zone) for zone, names in nodes.items() for name in names), _storage_class())
    cluster.create(*(_space(name) for name in SPACES))
    for name in SPACES:
        cluster.until(lambda name=name: cluster.all("v1", "ServiceAccount", name), f"the account of {name}")
    cluster.create(*objects(weak, listen=listen))
    cluster.until(lambda: made.whole, "the staging", 60)
    if weak.at_maximum:
        _saturate(cluster)
    return made


def objects(weak: Weaknesses, *, listen: bool = False) -> list[Obj]:
    """The manifests of the application, as a repository would have them."""
    api_spread: Obj = _spread("api")
    if weak.one_zone:
        api_spread = {"nodeSelector": {ZONE: ZONES[0]}}
    probe = {"exec": {"command": ["true"]}} if weak.always_ready else {"httpGet": {"path": "/healthz", "port": 8000}}
    websocket: Obj = _apart("websocket")
    if weak.no_anti_affinity:
        websocket = {"nodeSelector": {"kubernetes.io/hostname": "ip-10-0-0-0"}}
    settled: Obj = {} if weak.bound_to_a_zone else {"volumes": [{"name": "data", "emptyDir": {}}]}
    found = [
        _workload("Deployment", API, "api", 6, 8000, {"readinessProbe": probe}, listen, api_spread),
        _workload("Deployment", WEBSOCKET, "websocket", 3, 8001, _http(8001), listen, websocket),
        _workload("Deployment", WORKER, "worker", 3, 8002, _http(8002), listen, _spread("worker")),
        _workload("Deployment", MONITORING, "prometheus", 1, 9090, _http(9090), listen, {}),
        _workload("DaemonSet", MONITORING, "node-exporter", 0, 9100, {}, False, {}),
        _workload("StatefulSet", DB, "redis", 3, 6379, _tcp(6379), listen, {**_apart("redis"), **_empty()}),
        _workload("StatefulSet", DB, "mysql", 3, 3306, _tcp(3306), listen, {**_apart("mysql"), **settled}),
        *(_service(space, name, port) for space, name, port in _PORTS),
        *(_config(space) for space in SPACES),
        *(_secret(space) for space in (API, WORKER, DB)),
        _budget(WEBSOCKET, "websocket", maxUnavailable=1),
        _budget(WORKER, "worker", **({"maxUnavailable": 0} if weak.no_eviction else {"maxUnavailable": 1})),
        _budget(DB, "redis", minAvailable=2),
        _budget(DB, "mysql", minAvailable=2),
        _autoscaler(),
        _policy(listen),
    ]
    if weak.bound_to_a_zone:
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": _CLASS,
                "resources": {"requests": {"storage": "20Gi"}}}  # fmt: skip
        found[6]["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": spec}]
    return found if weak.no_budget else [*found, _budget(API, "api", minAvailable=4)]


_PORTS = ((API, "api", 8000), (WEBSOCKET, "websocket", 8001), (MONITORING, "prometheus", 9090), (DB, "redis", 6379),
          (DB, "mysql", 3306))  # fmt: skip


def _saturate(cluster: Any) -> None:
    cluster.load(API, "api", 5000)

    def limited() -> bool:
        found = cluster.all("autoscaling/v2", "HorizontalPodAutoscaler", API)[0]
        conditions = (found.get("status") or {}).get("conditions") or []
        ready = cluster.request("GET", f"/apis/apps/v1/namespaces/{API}/deployments/api")["status"].get("readyReplicas")
        return ready == 9 and any(one.get("reason") == "TooManyReplicas" for one in conditions)

    cluster.until(limited, "the autoscaler is at its maximum")


def _meta(space: str, name: str) -> Obj:
    labels = {"app": name, "app.kubernetes.io/part-of": "file-transfer"}
    return {"name": name, "namespace": space, "labels": labels}


def _node(name: str, zone: str) -> Obj:
    labels = {ZONE: zone, "topology.kubernetes.io/region": zone[:-1], "kubernetes.io/hostname": name}
    spec = {"providerID": f"aws:///{zone}/i-0{int.from_bytes(name.encode()[-8:], 'big'):016x}"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}


def _space(name: str) -> Obj:
    labels = {"app.kubernetes.io/part-of": "file-transfer"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _storage_class() -> Obj:
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": _CLASS},
            "provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer"}  # fmt: skip


def _workload(
    kind: str, space: str, name: str, replicas: int, port: int, container: Obj, listen: bool, pod: Obj
) -> Obj:
    metadata: Obj = {"labels": {"app": name}, **({"annotations": {"standin/listen": "yes"}} if listen else {})}
    resources = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
    one = {
        "name": name,
        "image": f"registry.example.com/file-transfer/{name}:1.4.2",
        "resources": resources,
        **container,
    }
    one["ports"] = [{"name": "main", "containerPort": port}]
    spec: Obj = {"selector": {"matchLabels": {"app": name}}}
    spec["template"] = {"metadata": metadata, "spec": {"containers": [one], **pod}}
    if kind != "DaemonSet":
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": _meta(space, name), "spec": spec}


def _http(port: int) -> Obj:
    return {"readinessProbe": {"httpGet": {"path": "/healthz", "port": port}}}


def _tcp(port: int) -> Obj:
    return {"readinessProbe": {"tcpSocket": {"port": port}}}


def _spread(name: str) -> Obj:
    selector = {"matchLabels": {"app": name}}
    rule = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
    return {"topologySpreadConstraints": [rule]}


def _apart(name: str) -> Obj:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": name}}}
    return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def _empty() -> Obj:
    return {"volumes": [{"name": "data", "emptyDir": {}}]}


def _service(space: str, name: str, port: int) -> Obj:
    spec: Obj = {"selector": {"app": name}, "ports": [{"name": "main", "port": port, "targetPort": "main"}]}
    if space == DB:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(space, name), "spec": spec}


def _config(space: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _meta(space, "settings"),
        "data": {"LOG_LEVEL": "info"},
    }


def _secret(space: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _meta(space, "database"),
        "stringData": {"password": "of-tests"},
    }


def _budget(space: str, name: str, **spec: Any) -> Obj:
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _meta(space, name),
            "spec": {"selector": {"matchLabels": {"app": name}}, **spec}}  # fmt: skip


def _autoscaler() -> Obj:
    target = {"type": "Utilization", "averageUtilization": 70}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
        "minReplicas": 6,
        "maxReplicas": 9,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    metadata = _meta(API, "api")
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


def _policy(listen: bool) -> Obj:
    """Only the application may reach the databases, and where they listen for real, the witness of tests."""
    part = {"matchLabels": {"app.kubernetes.io/part-of": "file-transfer"}}
    peers: list[Obj] = [{"namespaceSelector": part}, *([{"ipBlock": {"cidr": "127.0.0.1/32"}}] if listen else [])]
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers}]}
    metadata = _meta(DB, "application-only")
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
