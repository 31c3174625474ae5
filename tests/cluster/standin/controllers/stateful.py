"""StatefulSets: pods with names that stay, one after the other, and never two of the same name.

A pod on a dead node stays Terminating, since nobody can say that it has stopped: only its forced deletion, the node's
deletion or the out-of-service taint lets the next one of that name begin.
"""

from __future__ import annotations

from typing import Any

from cluster.standin.controllers.deployments import template_hash
from cluster.standin.controllers.loop import Loop, key_of, owned_by, owner_of
from cluster.standin.controllers.replicas import pod_of
from cluster.standin.eviction import is_ready
from cluster.standin.kinds import named
from cluster.standin.store import Change
from cluster.standin.times import clone

Obj = dict[str, Any]
_REVISION = "controller-revision-hash"


class StatefulSets:
    """The controller of StatefulSets."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("statefulsets", lambda change: self._loop.due(self._reconcile, *key_of(change.record.obj)))
        loop.on("pods", self._hear_pod)

    def _hear_pod(self, change: Change) -> None:
        owner = owner_of(change.record.obj)
        if owner is not None and owner["kind"] == "StatefulSet":
            self._loop.due(self._reconcile, change.record.obj["metadata"]["namespace"], owner["name"])

    def _reconcile(self, namespace: str, name: str) -> None:
        mine = self._registry.get("statefulsets", namespace, name)
        if mine is None:
            return
        if "deletionTimestamp" not in mine["metadata"]:
            self._act(mine, self._pods(mine))
        revision = f"{name}-{template_hash(mine['spec']['template'])}"
        pods = self._pods(mine)
        ready = sum(map(is_ready, pods.values()))
        updated = sum(one["metadata"]["labels"].get(_REVISION) == revision for one in pods.values())
        values = {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": updated}
        values |= {"updateRevision": revision, "currentReplicas": updated, "collisionCount": 0}
        if updated == mine["spec"]["replicas"]:
            values["currentRevision"] = revision
        self._registry.status("statefulsets", mine, **values, observedGeneration=mine["metadata"]["generation"])

    def _pods(self, mine: Obj) -> dict[int, Obj]:
        return {
            int(one["metadata"]["name"].rpartition("-")[2]): one for one in self._loop.pods_of(mine["metadata"]["uid"])
        }

    def _act(self, mine: Obj, pods: dict[int, Obj]) -> None:
        """The next step: one at a time, unless all may be at once."""
        spec, namespace = mine["spec"], mine["metadata"]["namespace"]
        ordered = spec["podManagementPolicy"] == "OrderedReady"
        revision = f"{mine['metadata']['name']}-{template_hash(spec['template'])}"
        for number in range(spec["replicas"]):
            pod = pods.get(number)
            if pod is None:
                self._create(mine, number, revision)
            elif pod["status"].get("phase") in ("Failed", "Succeeded") and "deletionTimestamp" not in pod["metadata"]:
                self._registry.delete(named("pods"), *key_of(pod))
            elif is_ready(pod) and "deletionTimestamp" not in pod["metadata"]:
                continue
            if ordered:
                return
        for number in sorted((one for one in pods if one >= spec["replicas"]), reverse=True):
            if "deletionTimestamp" not in pods[number]["metadata"]:
                self._registry.delete(named("pods"), namespace, pods[number]["metadata"]["name"])
            if ordered:
                return
        if spec["updateStrategy"]["type"] != "RollingUpdate":
            return
        for number in range(spec["replicas"] - 1, spec["updateStrategy"]["rollingUpdate"]["partition"] - 1, -1):
            pod = pods.get(number)
            if pod is None or not is_ready(pod) or "deletionTimestamp" in pod["metadata"]:
                return
            if pod["metadata"]["labels"].get(_REVISION) != revision:
                self._registry.delete(named("pods"), *key_of(pod))
                return

    def _create(self, mine: Obj, number: int, revision: str) -> None:
        name, namespace = f"{mine['metadata']['name']}-{number}", mine["metadata"]["namespace"]
        if self._registry.get("pods", namespace, name) is not None:
            return
        labels = {"statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(number)}
        pod = pod_of(mine, {"name": name, "labels": {**labels, _REVISION: revision}})
        pod["spec"] |= {"hostname": name, "subdomain": mine["spec"]["serviceName"]}
        for template in mine["spec"].get("volumeClaimTemplates") or []:
            claim = f"{template['metadata']['name']}-{name}"
            volume = {"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim}}
            pod["spec"].setdefault("volumes", []).append(volume)
            if self._registry.get("persistentvolumeclaims", namespace, claim) is None:
                labels = mine["spec"]["selector"].get("matchLabels") or {}
                metadata = {"name": claim, "labels": clone(labels)}
                made = {"metadata": metadata, "spec": clone(template["spec"])}
                self._registry.create(named("persistentvolumeclaims"), namespace, made)
        self._registry.create(named("pods"), namespace, pod)
        said = f"create Pod {name} in StatefulSet {mine['metadata']['name']} successful"
        self._loop.event(mine, "SuccessfulCreate", said, "statefulset-controller")


def daemon_pod(mine: Obj, node: str) -> Obj:
    """The pod of a DaemonSet for one node, which stays there whatever becomes of it."""
    pod = pod_of(mine, {"generateName": f"{mine['metadata']['name']}-"})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    pod["spec"]["affinity"] = {"nodeAffinity": required}
    stands = [("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
              ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"),
              ("unschedulable", "NoSchedule")]  # fmt: skip
    pod["spec"].setdefault("tolerations", []).extend(
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect} for key, effect in stands
    )
    pod["metadata"]["ownerReferences"] = owned_by(mine)
    return pod
