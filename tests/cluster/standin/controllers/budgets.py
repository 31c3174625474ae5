"""PodDisruptionBudgets: how many pods may be evicted at this moment."""

from __future__ import annotations

import math
from typing import Any

from cluster.standin import selectors
from cluster.standin.controllers.deployments import share
from cluster.standin.controllers.loop import Loop, active, condition, key_of, owner_of, with_conditions
from cluster.standin.eviction import is_ready
from cluster.standin.store import Change

Obj = dict[str, Any]
_TABLE = "poddisruptionbudgets.policy"


class Budgets:
    """The disruption controller."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("poddisruptionbudgets", lambda change: self._loop.due(self._reconcile, *key_of(change.record.obj)))
        loop.on("pods", self._hear_pod)

    def _hear_pod(self, change: Change) -> None:
        labels = change.record.obj["metadata"].get("labels") or {}
        for mine in self._loop.store.objects(_TABLE, change.record.obj["metadata"]["namespace"]):
            if selectors.of_object(mine["spec"].get("selector"))(labels):
                self._loop.due(self._reconcile, *key_of(mine))

    def _reconcile(self, namespace: str, name: str) -> None:
        mine = self._registry.get("poddisruptionbudgets", namespace, name)
        if mine is None:
            return
        matches, spec = selectors.of_object(mine["spec"].get("selector")), mine["spec"]
        found = self._loop.store.objects("pods", namespace)
        pods = [pod for pod in found if active(pod) and matches(pod["metadata"].get("labels") or {})]
        names = {pod["metadata"]["name"] for pod in pods}
        disrupted = {pod: at for pod, at in (mine.get("status") or {}).get("disruptedPods", {}).items() if pod in names}
        healthy = sum(is_ready(pod) for pod in pods if pod["metadata"]["name"] not in disrupted)
        expected = len(pods)
        if "maxUnavailable" in spec or isinstance(spec.get("minAvailable"), str):
            expected = self._expected(pods)
        if "maxUnavailable" in spec:
            desired = max(0, expected - share(spec["maxUnavailable"], expected, math.ceil))
        else:
            desired = share(spec.get("minAvailable", 1), expected, math.ceil)
        allowed = max(0, healthy - desired) if expected > 0 else 0
        new = {"message": ""} | condition(
            "DisruptionAllowed", "True" if allowed else "False", "SufficientPods" if allowed else "InsufficientPods"
        )
        conditions = with_conditions((mine.get("status") or {}).get("conditions"), new)
        self._registry.status(
            "poddisruptionbudgets", mine, currentHealthy=healthy, desiredHealthy=desired, expectedPods=expected,
            disruptionsAllowed=allowed, disruptedPods=disrupted, conditions=conditions,
            observedGeneration=mine["metadata"]["generation"],
        )  # fmt: skip

    def _expected(self, pods: list[Obj]) -> int:
        """How many pods their controllers are to have; one without a controller counts for itself."""
        owners, alone = {}, 0
        for pod in pods:
            owner = owner_of(pod)
            if owner is None:
                alone += 1
                continue
            plural = {"ReplicaSet": "replicasets", "StatefulSet": "statefulsets"}.get(owner["kind"])
            found = self._registry.get(plural, pod["metadata"]["namespace"], owner["name"]) if plural else None
            owners[owner["uid"]] = found["spec"]["replicas"] if found else 0
        return alone + sum(owners.values())
