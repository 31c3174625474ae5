"""ReplicaSets: as many pods as they say, whichever."""

from __future__ import annotations

from typing import Any

from cluster.standin.controllers.loop import Loop, active, key_of, owned_by, owner_of
from cluster.standin.eviction import is_ready
from cluster.standin.kinds import named
from cluster.standin.store import Change
from cluster.standin.times import clone

Obj = dict[str, Any]


class ReplicaSets:
    """The controller of ReplicaSets."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("replicasets", lambda change: self._loop.due(self._reconcile, *key_of(change.record.obj)))
        loop.on("pods", self._hear_pod)

    def _hear_pod(self, change: Change) -> None:
        owner = owner_of(change.record.obj)
        if owner is not None and owner["kind"] == "ReplicaSet":
            self._loop.due(self._reconcile, change.record.obj["metadata"]["namespace"], owner["name"])

    def _reconcile(self, namespace: str, name: str) -> None:
        mine = self._registry.get("replicasets", namespace, name)
        if mine is None:
            return
        pods = [pod for pod in self._loop.pods_of(mine["metadata"]["uid"]) if active(pod)]
        wanted = mine["spec"]["replicas"]
        if "deletionTimestamp" not in mine["metadata"]:
            for _ in range(wanted - len(pods)):
                made = self._registry.create(named("pods"), namespace, pod_of(mine, {"generateName": f"{name}-"}))
                self._loop.event(
                    mine, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", "replicaset-controller"
                )
            for pod in sorted(pods, key=_worth)[: max(0, len(pods) - wanted)]:
                self._registry.delete(named("pods"), *key_of(pod))
                self._loop.event(
                    mine, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}", "replicaset-controller"
                )
        pods = [pod for pod in self._loop.pods_of(mine["metadata"]["uid"]) if active(pod)]
        ready = sum(map(is_ready, pods))
        values = {"replicas": len(pods), "fullyLabeledReplicas": len(pods), "readyReplicas": ready}
        values |= {"availableReplicas": ready, "observedGeneration": mine["metadata"]["generation"]}
        self._registry.status("replicasets", mine, **values)


def pod_of(owner: Obj, metadata: Obj, template: Obj | None = None) -> Obj:
    """A pod as a template says, with more metadata."""
    template = clone(template or owner["spec"]["template"])
    own = template.get("metadata") or {}
    merged = {**own, **metadata, "ownerReferences": owned_by(owner)}
    for name in ("labels", "annotations"):
        merged[name] = {**(own.get(name) or {}), **(metadata.get(name) or {})}
    return {"metadata": merged, "spec": template["spec"]}


def _worth(pod: Obj) -> tuple[bool, bool, int]:
    """Which pod goes first: one without a node, then one that is not ready, then the youngest."""
    version = -int(pod["metadata"]["resourceVersion"])
    return bool(pod["spec"].get("nodeName")), is_ready(pod), version
