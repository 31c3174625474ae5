"""HorizontalPodAutoscalers: replicas by the load that a test sets, between a minimum and a maximum."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from cluster.standin import selectors
from cluster.standin.controllers.loop import Loop, active, condition, key_of, with_conditions
from cluster.standin.eviction import is_ready
from cluster.standin.store import Change
from cluster.standin.times import stamp

Obj = dict[str, Any]
_TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
_PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "ReplicaSet": "replicasets"}
_METRIC = "cpu resource utilization (percentage of request)"


class Autoscalers:
    """The controller of HorizontalPodAutoscalers.

    Attributes:
        loads: by namespace and name of the autoscaler, the load of all pods together in percent of one pod's request.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        self.loads: dict[tuple[str, str], float] = {}
        self._wanted: dict[tuple[str, str], list[tuple[float, int]]] = {}
        loop.on("horizontalpodautoscalers", self._hear)

    def reset(self) -> None:
        self.loads.clear()
        self._wanted.clear()

    def load(self, namespace: str, name: str, percent: float) -> None:
        """Set the load: 600 is 100 % of six pods, or 200 % of three."""
        self.loads[namespace, name] = percent

    def _hear(self, change: Change) -> None:
        if change.sort == "ADDED":
            mine = change.record.obj
            self._loop.due(self._look, *key_of(mine), mine["metadata"]["uid"], after_s=self._loop.settings.autoscale_s)

    def _look(self, namespace: str, name: str, uid: str) -> None:
        mine = self._registry.get("horizontalpodautoscalers", namespace, name)
        if mine is None or mine["metadata"]["uid"] != uid:
            return
        self._loop.due(self._look, namespace, name, uid, after_s=self._loop.settings.autoscale_s)
        reference = mine["spec"]["scaleTargetRef"]
        target = self._registry.get(_PLURALS[reference["kind"]], namespace, reference["name"])
        if target is None:
            self._tell(
                mine,
                0,
                0,
                None,
                [condition("AbleToScale", "False", "FailedGetScale", f"{reference['name']} not found")],
            )
            return
        have = target["spec"]["replicas"]
        load = self.loads.get((namespace, name))
        if load is None or have == 0:
            reason = "ScalingDisabled" if have == 0 else "FailedGetResourceMetric"
            self._tell(mine, have, have, None, [condition("ScalingActive", "False", reason, "no metrics known")])
            return
        pods = [pod for pod in self._loop.store.objects("pods", namespace) if active(pod) and is_ready(pod)
                and selectors.of_object(target["spec"]["selector"])(pod["metadata"].get("labels") or {})]  # fmt: skip
        used, goal = load / max(1, len(pods)), _goal(mine)
        ratio = used / goal
        asked = have if abs(ratio - 1) <= _TOLERANCE else math.ceil(len(pods) * ratio)
        wanted, limits = self._bounded(mine, have, asked)
        if wanted != have:
            self._scale(mine, reference, have, wanted)
        self._tell(mine, have, wanted, round(used), [condition("ScalingActive", "True", "ValidMetricFound"), *limits])

    def _bounded(self, mine: Obj, have: int, asked: int) -> tuple[int, list[Obj]]:
        """What is asked for within minimum and maximum: up to the double or by four, down after a while."""
        now = asyncio.get_running_loop().time()
        least, most = mine["spec"]["minReplicas"], mine["spec"]["maxReplicas"]
        earlier = self._wanted.setdefault(key_of(mine), [])
        earlier.append((now, asked))
        since = now - self._loop.settings.scale_down_s * self._loop.settings.second_s
        earlier[:] = [one for one in earlier if one[0] >= since]
        wanted = max(asked, min(have, max(number for _, number in earlier)))
        wanted = min(wanted, max(2 * have, have + 4))
        if wanted > most:
            said = "the desired replica count is more than the maximum replica count"
            return most, [condition("ScalingLimited", "True", "TooManyReplicas", said)]
        if wanted < least:
            said = "the desired replica count is less than the minimum replica count"
            return least, [condition("ScalingLimited", "True", "TooFewReplicas", said)]
        said = "the desired count is within the acceptable range"
        return wanted, [condition("ScalingLimited", "False", "DesiredWithinRange", said)]

    def _scale(self, mine: Obj, reference: Obj, have: int, wanted: int) -> None:
        plural = _PLURALS[reference["kind"]]
        namespace = mine["metadata"]["namespace"]
        self._registry.change(plural, namespace, reference["name"], lambda new: new["spec"].update(replicas=wanted))
        side = f"{_METRIC} above target" if wanted > have else "All metrics below target"
        said = f"New size: {wanted}; reason: {side}"
        self._loop.event(mine, "SuccessfulRescale", said, "horizontal-pod-autoscaler")

    def _tell(self, mine: Obj, have: int, wanted: int, used: int | None, conditions: list[Obj]) -> None:
        status = mine.get("status") or {}
        metrics = None
        if used is not None:
            current = {"averageUtilization": used, "averageValue": f"{used}m"}
            metrics = [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
        able = condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
        new = with_conditions(status.get("conditions"), able, *conditions)
        values: Obj = {"currentReplicas": have, "desiredReplicas": wanted, "currentMetrics": metrics, "conditions": new}
        if wanted != have:
            values["lastScaleTime"] = stamp()
        self._registry.status("horizontalpodautoscalers", mine, **values)


def _goal(mine: Obj) -> float:
    for metric in mine["spec"]["metrics"]:
        if metric["type"] == "Resource" and "averageUtilization" in metric["resource"]["target"]:
            return float(metric["resource"]["target"]["averageUtilization"])
    return 80.0
