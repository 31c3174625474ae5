"""An application in a cluster of three zones, and hands that do what controllers and kubelets would.

The stand-in's own controllers rest: with these a test says when anything happens, and every crash finds the same
cluster. The hands are few: pods that are to go are gone, those that are missing are made on a node that takes them,
nodes report Ready, budgets are counted.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.standin.server import Standin

Obj = dict[str, Any]
SPACE, ALLOWED = "app", {"ftchaos": "allowed"}
ZONES = ("a", "b", "c")
ZONE = "topology.kubernetes.io/zone"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


def namespace(cluster: Standin, name: str, labels: dict[str, str] | None = None) -> None:
    """A namespace that pods can be made in."""
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})
    if not cluster.all("v1", "ServiceAccount", name):
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        cluster.create(account)


def build(cluster: Standin) -> None:
    """Six nodes in three zones; six of ``api``, three of ``redis``, and an agent on each node."""
    cluster.settings(controllers=False)
    namespace(cluster, SPACE, ALLOWED)
    for zone, number in itertools.product(ZONES, (1, 2)):
        metadata = {"name": f"node-{zone}{number}", "labels": {ZONE: zone, **ALLOWED}, "annotations": {"team": "sre"}}
        spec = {"providerID": f"cloud://{zone}{number}"}
        put(cluster, {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}, READY)
    for name in ("api-1", "agent", "redis"):
        kind = {"api-1": "ReplicaSet", "agent": "DaemonSet", "redis": "StatefulSet"}[name]
        workload(cluster, kind, name, {"api-1": 6, "redis": 3}.get(name, 0))


def workload(cluster: Standin, kind: str, name: str, replicas: int) -> None:
    """A workload with its pods spread over the nodes."""
    labels = {"app": name.removesuffix("-1")}
    spec: Obj = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": _SPEC}}
    spec |= {} if kind == "DaemonSet" else {"replicas": replicas}
    spec |= {"serviceName": name} if kind == "StatefulSet" else {}
    metadata: Obj = {"name": name, "namespace": SPACE}
    if kind == "ReplicaSet":
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**metadata, "name": name[:-2]}}
        (made,) = cluster.create({**deployment, "spec": spec})
        metadata["ownerReferences"] = [_owner("Deployment", name[:-2], made)]
    status = {"desiredNumberScheduled": 6, "currentNumberScheduled": 6, "numberMisscheduled": 0, "numberReady": 6}
    (made,) = cluster.create({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec})
    if kind == "DaemonSet":
        cluster.request("PATCH", f"{cluster.path(made)}/status", {"status": status})
    for number in range(replicas or 6):
        zone, which = ZONES[number % 3], number // 3 % 2 + 1
        _put_pod(cluster, kind, made, number, f"node-{zone}{which}")


_SPEC: Obj = {"containers": [{"name": "main", "image": "main:1", "ports": [{"containerPort": 8080}]}],
              "volumes": [{"name": "scratch", "emptyDir": {}}]}  # fmt: skip
_serial = itertools.count(100)


def _put_pod(cluster: Standin, kind: str, owner: Obj, number: int | None, node: str) -> None:
    name = f"{owner['metadata']['name']}-{next(_serial) if number is None else number}"
    made = pod(name, node, owner["spec"]["template"]["metadata"]["labels"])
    made["metadata"]["ownerReferences"] = [_owner(kind, owner["metadata"]["name"], owner)]
    put(cluster, made, READY)


def pod(name: str, node: str, labels: dict[str, str], namespace: str = SPACE) -> Obj:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**_SPEC, "nodeName": node}}


def budget(least: int) -> Obj:
    """For the pods of ``api``."""
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": "api"}}}
    metadata = {"name": "api", "namespace": SPACE}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}


def put(cluster: Standin, obj: Obj, status: Obj) -> None:
    """Create an object with its status."""
    (made,) = cluster.create(obj)
    cluster.request("PATCH", f"{cluster.path(made)}/status", {"status": status})


def _owner(kind: str, name: str, made: Obj) -> Obj:
    uid = made["metadata"]["uid"]
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}


def pods(cluster: Standin, app: str = "") -> list[Obj]:
    return [one for one in cluster.all("v1", "Pod", SPACE) if app in ("", one["metadata"]["labels"]["app"])]


@contextmanager
def hands(cluster: Standin, *, kubelets: bool = True) -> Iterator[None]:
    """Work meanwhile.

    Args:
        kubelets: whether pods of a StatefulSet that are to go do so.
    """
    ended, failed = threading.Event(), list[Exception]()

    def work() -> None:
        while not ended.wait(0.03):
            try:
                reconcile(cluster, kubelets=kubelets)
            except Exception as error:  # noqa: BLE001 - told below
                failed.append(error)
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

    assert [] == failed


def reconcile(cluster: Standin, *, kubelets: bool = True) -> None:
    """One round."""
    nodes = {one["metadata"]["name"]: one for one in cluster.all("v1", "Node")}
    for one in nodes.values():
        if not one.get("status", {}).get("conditions"):
            cluster.request(
                "PATCH", f"{cluster.path({'apiVersion': 'v1', 'kind': 'Node', **one})}/status", {"status": READY}
            )
    left = []
    for one in pods(cluster):
        stays = one["metadata"]["name"].startswith("redis") and not kubelets
        lost = one["spec"]["nodeName"] not in nodes or _evicts(nodes[one["spec"]["nodeName"]])
        if ("deletionTimestamp" in one["metadata"] and not stays) or lost:
            cluster.core.delete_namespaced_pod(one["metadata"]["name"], SPACE, grace_period_seconds=0)
        else:
            left.append(one)
    open_ = sorted(name for name, one in nodes.items() if not one["spec"].get("unschedulable"))
    for kind, name, wanted in (("ReplicaSet", "api-1", 6), ("StatefulSet", "redis", 3), ("DaemonSet", "agent", 6)):
        app = name.removesuffix("-1")
        have = [one for one in left if one["metadata"]["labels"]["app"] == app]
        if len(have) < wanted:
            (owner,) = [one for one in cluster.all("apps/v1", kind, SPACE) if one["metadata"]["name"] == name]
            _make(cluster, kind, owner, have, wanted, open_, nodes)
    _count_budgets(cluster, sum(one["metadata"]["labels"]["app"] == "api" for one in pods(cluster)))


def _evicts(node: Obj) -> bool:
    """Whether it is tainted so that its pods go; none here tolerates anything."""
    return any(taint["effect"] == "NoExecute" for taint in node["spec"].get("taints") or ())


def _make(
    cluster: Standin, kind: str, owner: Obj, have: list[Obj], wanted: int, open_: list[str], nodes: dict[str, Obj]
) -> None:
    if kind == "DaemonSet":
        tainted = {
            name
            for name, one in nodes.items()
            if any(t["key"] == "ftchaos-outage" for t in one["spec"].get("taints") or ()) or _evicts(one)
        }
        for node in sorted(set(nodes) - {one["spec"]["nodeName"] for one in have} - tainted):
            _put_pod(cluster, kind, owner, None, node)
        return
    names = {one["metadata"]["name"] for one in have}
    for number in range(wanted):
        if kind == "StatefulSet" and f"{owner['metadata']['name']}-{number}" not in names:
            _put_pod(cluster, kind, owner, number, open_[0])
    for _ in range(wanted - len(have) if kind == "ReplicaSet" else 0):
        _put_pod(cluster, kind, owner, None, open_[next(_serial) % len(open_)])


def _count_budgets(cluster: Standin, healthy: int) -> None:
    for one in cluster.all("policy/v1", "PodDisruptionBudget", SPACE):
        least = one["spec"]["minAvailable"]
        status = {"currentHealthy": healthy, "desiredHealthy": least, "expectedPods": 6,
                  "disruptionsAllowed": max(0, healthy - least), "disruptedPods": None,
                  "observedGeneration": one["metadata"]["generation"]}  # fmt: skip
        path = cluster.path({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", **one})
        cluster.request("PATCH", f"{path}/status", {"status": status})
