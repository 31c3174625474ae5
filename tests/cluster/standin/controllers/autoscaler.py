"""HorizontalPodAutoscalers: replicas by the load, between a minimum and a maximum.

The load is what a test sets, in percent of the CPU that pods ask for; or of an autoscaler by the Pods metric
``http_requests_per_second`` what pods that are processes really get, see
:mod:`cluster.standin.controllers.metering`. As in Kubernetes a pod that is not Ready or not measured yet counts as idle
when more are wanted, and one not measured as at its target when fewer are; nothing happens within a tolerance of 10 %;
it looks every 15 s, grows to the double or by four at a time, and shrinks to the highest of what was recommended in the
newest ``scale_down_s``.

Source: Kubernetes, Horizontal Pod Autoscaling, algorithm details and default behavior.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from cluster.standin import selectors
from cluster.standin.controllers.loop import Loop, active, condition, key_of, with_conditions
from cluster.standin.controllers.metering import REQUESTS, Measured, Meter
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
        self.meter = Meter(loop)
        self._wanted: dict[tuple[str, str], list[tuple[float, int]]] = {}
        loop.on("horizontalpodautoscalers", self._hear)

    def reset(self) -> None:
        self.loads.clear()
        self._wanted.clear()
        self.meter.reset()

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
        have, least = target["spec"]["replicas"], mine["spec"]["minReplicas"]
        if 0 < have < least:  # whatever the metrics say
            self._scale(mine, reference, have, least)
            self._tell(mine, have, least, None, [])
            return
        pods = [pod for pod in self._loop.store.objects("pods", namespace) if active(pod)
                and selectors.of_object(target["spec"]["selector"])(pod["metadata"].get("labels") or {})]  # fmt: skip
        found = self._measured(mine, pods)
        if not found.used or have == 0:
            reason = "ScalingDisabled" if have == 0 else "FailedGetResourceMetric"
            self._tell(mine, have, have, None, [condition("ScalingActive", "False", reason, "no metrics known")])
            return
        wanted, limits = self._bounded(mine, have, _asked(found, have))
        if wanted != have:
            self._scale(mine, reference, have, wanted)
        self._tell(mine, have, wanted, found, [condition("ScalingActive", "True", "ValidMetricFound"), *limits])

    def _measured(self, mine: Obj, pods: list[Obj]) -> Measured:
        """What each pod that is Ready uses: of what a test has set an equal part."""
        goal = _goal(mine)
        if _by_requests(mine):
            return self.meter.measure(pods, goal)
        load, ready = self.loads.get(key_of(mine)), max(1, sum(map(is_ready, pods)))
        return Measured([] if load is None else [load / ready] * ready, 0, 0, goal)

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

    def _tell(self, mine: Obj, have: int, wanted: int, found: Measured | None, conditions: list[Obj]) -> None:
        status = mine.get("status") or {}
        metrics = None if found is None else [_current(mine, found)]
        able = condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
        new = with_conditions(status.get("conditions"), able, *conditions)
        values: Obj = {"currentReplicas": have, "desiredReplicas": wanted, "currentMetrics": metrics, "conditions": new}
        if wanted != have:
            values["lastScaleTime"] = stamp()
        self._registry.status("horizontalpodautoscalers", mine, **values)


def _by_requests(mine: Obj) -> bool:
    first = mine["spec"]["metrics"][0]
    return bool(first["type"] == "Pods" and first["pods"]["metric"]["name"] == REQUESTS)


def _goal(mine: Obj) -> float:
    if _by_requests(mine):
        return float(mine["spec"]["metrics"][0]["pods"]["target"]["averageValue"])
    for metric in mine["spec"]["metrics"]:
        if metric["type"] == "Resource" and "averageUtilization" in metric["resource"]["target"]:
            return float(metric["resource"]["target"]["averageUtilization"])
    return 80.0


def _current(mine: Obj, found: Measured) -> Obj:
    """What is told of the metric: the mean of the pods that were measured."""
    mean = sum(found.used) / len(found.used)
    if _by_requests(mine):
        value = {"averageValue": f"{round(1000 * mean)}m"}
        return {"type": "Pods", "pods": {"metric": {"name": REQUESTS}, "current": value}}
    current = {"averageUtilization": round(mean), "averageValue": f"{round(mean)}m"}
    return {"type": "Resource", "resource": {"name": "cpu", "current": current}}


def _asked(found: Measured, have: int) -> int:
    """How many pods the load asks for."""
    count, used = len(found.used), sum(found.used)
    ratio = used / count / found.goal
    if ratio > 1:
        count += found.unmeasured + found.unready
        ratio = used / count / found.goal
        if ratio <= 1:  # with what is not counted yet it would be the other way
            return have
    elif ratio < 1 and found.unmeasured:
        count += found.unmeasured
        ratio = (used + found.unmeasured * found.goal) / count / found.goal
    return have if abs(ratio - 1) <= _TOLERANCE else math.ceil(count * ratio)
