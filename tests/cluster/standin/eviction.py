"""Evictions, which PodDisruptionBudgets may forbid: ``pkg/registry/core/pod/storage/eviction.go``."""

from __future__ import annotations

from typing import Any

from cluster.standin import failures, selectors
from cluster.standin.asked import Asked
from cluster.standin.failures import Refused
from cluster.standin.kinds import named
from cluster.standin.registry import Registry
from cluster.standin.times import stamp

Obj = dict[str, Any]
_VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."
_TWO = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def is_ready(pod: Obj) -> bool:
    """Whether a pod's condition Ready is True."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Evictions:
    """Answers to POSTs of evictions."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def evict(self, asked: Asked, body: Obj) -> tuple[int, Obj]:
        """Delete a pod if its budget allows it.

        Raises:
            Refused: 429 where it does not, 404 where there is no such pod, 500 where two budgets are for it.
        """
        kind, namespace, name = named("pods"), asked.namespace, asked.name
        said = (body.get("metadata") or {}).get("name")
        if said not in (None, name):
            raise failures.bad_request(f"name in URL does not match name in Eviction object: {said}")
        pod = self._registry.need(kind, namespace, name)
        options = {**(body.get("deleteOptions") or {})}
        dry_run = asked.dry_run or "All" in (options.get("dryRun") or [])
        done = (201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
        spared = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Pending")
        if not spared and "deletionTimestamp" not in pod["metadata"]:
            self._spend(namespace, pod, dry_run=dry_run)
        if dry_run:
            return done
        self._registry.change("pods", namespace, name, _mark)
        self._registry.delete(kind, namespace, name, {key: value for key, value in options.items() if key != "dryRun"})
        return done

    def budgets(self, namespace: str, pod: Obj) -> list[Obj]:
        """The budgets that are for a pod."""
        have = pod["metadata"].get("labels") or {}
        found = self._registry.store.objects(named("poddisruptionbudgets").table, namespace)
        return [one for one in found if selectors.of_object(one["spec"].get("selector"))(have)]

    def _spend(self, namespace: str, pod: Obj, *, dry_run: bool) -> None:
        found = self.budgets(namespace, pod)
        if not found:
            return
        if len(found) > 1:
            raise Refused("InternalError", _TWO, code=500)
        budget = found[0]
        name, status = budget["metadata"]["name"], budget.get("status") or {}
        if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
            raise _too_many(f"The disruption budget {name} is still being processed by the server.", retry_after_s=10)
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if not is_ready(pod) and (always or healthy >= desired > 0):
            # One that is not ready adds nothing to the healthy ones, so that it may go while there are enough of them.
            return
        if status.get("disruptionsAllowed", 0) <= 0:
            raise _too_many(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
        if not dry_run:
            disrupted = {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: stamp()}
            left = status["disruptionsAllowed"] - 1
            self._registry.status("poddisruptionbudgets", budget, disruptedPods=disrupted, disruptionsAllowed=left)


def _too_many(cause: str, retry_after_s: int | None = None) -> Refused:
    causes = [{"reason": "DisruptionBudget", "message": cause}]
    return Refused("TooManyRequests", _VIOLATES, {"causes": causes}, retry_after_s=retry_after_s)


def _mark(pod: Obj) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                 "message": "Eviction API: evicting", "lastTransitionTime": stamp()}  # fmt: skip
    kept = [one for one in pod["status"].get("conditions") or [] if one["type"] != "DisruptionTarget"]
    pod["status"]["conditions"] = [*kept, condition]
