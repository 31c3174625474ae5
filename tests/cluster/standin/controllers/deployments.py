"""Deployments: a ReplicaSet for each template, and the rolling update from one to the next."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from cluster.standin.controllers.loop import Loop, condition, key_of, owned_by, owner_of, with_conditions
from cluster.standin.kinds import named
from cluster.standin.store import Change
from cluster.standin.times import clone

Obj = dict[str, Any]
_HASH, _REVISION = "pod-template-hash", "deployment.kubernetes.io/revision"


class Deployments:
    """The controller of Deployments."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("deployments", lambda change: self._loop.due(self._reconcile, *key_of(change.record.obj)))
        loop.on("replicasets", self._hear)

    def _hear(self, change: Change) -> None:
        owner = owner_of(change.record.obj)
        if owner is not None:
            self._loop.due(self._reconcile, change.record.obj["metadata"]["namespace"], owner["name"])

    def _reconcile(self, namespace: str, name: str) -> None:
        mine = self._registry.get("deployments", namespace, name)
        if mine is None:
            return
        sets = self._loop.dependants(mine["metadata"]["uid"], "replicasets")
        wanted = f"{name}-{template_hash(mine['spec']['template'])}"
        if "deletionTimestamp" not in mine["metadata"] and not mine["spec"].get("paused"):
            if not any(one["metadata"]["name"] == wanted for one in sets):
                self._new_set(mine, wanted, sets)
            sets = self._loop.dependants(mine["metadata"]["uid"], "replicasets")
            self._roll(mine, next(one for one in sets if one["metadata"]["name"] == wanted), sets)
        sets = self._loop.dependants(mine["metadata"]["uid"], "replicasets")
        self._tell(namespace, name, wanted, sets)

    def _new_set(self, mine: Obj, name: str, sets: list[Obj]) -> None:
        revisions = [int((one["metadata"].get("annotations") or {}).get(_REVISION, 0)) for one in sets]
        revision, spec = str(max(revisions, default=0) + 1), mine["spec"]
        template, digest = clone(spec["template"]), name.rpartition("-")[2]
        template["metadata"]["labels"][_HASH] = digest
        selector = clone(spec["selector"])
        selector.setdefault("matchLabels", {})[_HASH] = digest
        metadata = {"name": name, "labels": template["metadata"]["labels"], "annotations": {_REVISION: revision}}
        metadata |= {"ownerReferences": owned_by(mine)}
        made = {"metadata": metadata, "spec": {"replicas": 0, "selector": selector, "template": template}}
        self._registry.create(named("replicasets"), mine["metadata"]["namespace"], made)

        def note(new: Obj) -> None:
            new["metadata"]["annotations"] = {**(new["metadata"].get("annotations") or {}), _REVISION: revision}

        self._registry.change("deployments", *key_of(mine), note)

    def _roll(self, mine: Obj, new: Obj, sets: list[Obj]) -> None:
        """Grow the new set and shrink the old ones as far as surge and unavailability allow."""
        wanted = mine["spec"]["replicas"]
        old = [one for one in sets if one is not new]
        rolling = mine["spec"]["strategy"].get("rollingUpdate")
        if rolling is None:  # Recreate
            for one in old:
                self._scale(mine, one, 0)
            if not any((one.get("status") or {}).get("replicas") for one in old):
                self._scale(mine, new, wanted)
            return
        surge = share(rolling["maxSurge"], wanted, math.ceil)
        missing = share(rolling["maxUnavailable"], wanted, math.floor) or (0 if surge else 1)
        others = sum(one["spec"]["replicas"] for one in old)
        grown = max(new["spec"]["replicas"], min(wanted, wanted + surge - others))
        self._scale(mine, new, min(wanted, grown))
        available = sum((one.get("status") or {}).get("availableReplicas", 0) for one in sets)
        spare = available - (wanted - missing)
        for one in old:
            have = one["spec"]["replicas"]
            broken = have - (one.get("status") or {}).get("availableReplicas", 0)
            cut = min(have, max(0, broken) + max(0, spare))
            if cut:
                spare -= cut
                self._scale(mine, one, have - cut)

    def _scale(self, mine: Obj, one: Obj, replicas: int) -> None:
        have = one["spec"]["replicas"]
        if have == replicas:
            return
        self._registry.change("replicasets", *key_of(one), lambda new: new["spec"].update(replicas=replicas))
        way, name = "up" if replicas > have else "down", one["metadata"]["name"]
        said = f"Scaled {way} replica set {name} from {have} to {replicas}"
        self._loop.event(mine, "ScalingReplicaSet", said, "deployment-controller")

    def _tell(self, namespace: str, name: str, newest: str, sets: list[Obj]) -> None:
        mine = self._registry.get("deployments", namespace, name)
        assert mine is not None
        status = {one["metadata"]["name"]: one.get("status") or {} for one in sets}
        total, ready, available = (
            sum(one.get(field, 0) for one in status.values())
            for field in ("replicas", "readyReplicas", "availableReplicas")
        )
        wanted = mine["spec"]["replicas"]
        updated = status.get(newest, {}).get("replicas", 0)
        rolling = mine["spec"]["strategy"].get("rollingUpdate") or {"maxUnavailable": 0}
        least = wanted - share(rolling["maxUnavailable"], wanted, math.floor)
        enough = available >= least
        reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
        says = "Deployment has minimum availability." if enough else "Deployment does not have minimum availability."
        done = updated == wanted == available == total
        progress = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        conditions = with_conditions(
            (mine.get("status") or {}).get("conditions"),
            condition("Available", "True" if enough else "False", reason, says),
            condition(
                "Progressing",
                "True",
                progress,
                f'ReplicaSet "{newest}" {"has successfully" if done else "is"} progress{"ed" if done else "ing"}.',
            ),
        )
        values = {"replicas": total, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": available}
        values |= {"unavailableReplicas": max(0, wanted - available), "conditions": conditions}
        self._registry.status("deployments", mine, **values, observedGeneration=mine["metadata"]["generation"])


def template_hash(template: Obj) -> str:
    """What tells one template from another."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def share(value: int | str, of: int, round_to: Any) -> int:
    """A number, or a percentage of one."""
    if isinstance(value, str) and value.endswith("%"):
        return int(round_to(of * int(value[:-1]) / 100))
    return int(value)
