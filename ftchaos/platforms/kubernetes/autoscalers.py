"""What a HorizontalPodAutoscaler says of itself: its metrics beside their targets, and how many pods it wants. No I/O.

An autoscaler does nothing while its metric is off its target by no more than a tolerance, so that metric counts as
within its target here too.

Source: Kubernetes, Horizontal Pod Autoscaling, algorithm details; autoscaling/v2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ftchaos.platforms.kubernetes.drift import quantity

TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance; since 1.33 an autoscaler may say another
COOLDOWN_S = 300.0  # --horizontal-pod-autoscaler-downscale-stabilization, where it does not say another
_SORTS = ("resource", "containerResource", "pods", "object", "external")
_VALUES = ("averageUtilization", "averageValue", "value")


@dataclass(frozen=True)
class Metric:
    """One metric and what it is to be.

    Attributes:
        name: like ``cpu``.
        used: as it was last measured, in the unit of the goal; None where nobody has measured it.
        percent: whether both are percent of what the pods ask for.
    """

    name: str
    used: Decimal | None
    goal: Decimal
    percent: bool

    @property
    def ratio(self) -> float | None:
        return float(self.used / self.goal) if self.used is not None and self.goal else None

    def __str__(self) -> str:
        unit = " %" if self.percent else ""
        used = "unknown" if self.used is None else f"{_plain(self.used)}{unit}"
        return f"{self.name} {used} of {_plain(self.goal)}{unit}"


@dataclass(frozen=True)
class Autoscaler:
    """One as it stands.

    Attributes:
        scales: kind, namespace and name of what it scales, like ``Deployment app/api``.
        most: the most replicas that it may make, ``least`` the fewest.
        replicas: how many there are, ready or not, as it last counted them; ``wanted`` how many it wants.
        cooldown_s: how long it waits before it scales down.
        trouble: why it cannot scale; empty where it can.
    """

    namespace: str
    name: str
    scales: str
    least: int
    most: int
    replicas: int
    wanted: int
    metrics: tuple[Metric, ...]
    tolerance: float
    cooldown_s: float
    trouble: str

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def within(self) -> bool | None:
        """Whether every metric is at or below its target; None where one is not known and none is above."""
        ratios = [one.ratio for one in self.metrics]
        if any(one is not None and one > 1 + self.tolerance + 1e-9 for one in ratios):
            return False
        return True if ratios and None not in ratios else None

    @property
    def _worst(self) -> Metric | None:
        return max(self.metrics, key=lambda one: one.ratio or 0.0, default=None)

    @property
    def metric(self) -> str:
        """The metric that is the furthest above its target, in words."""
        return "no metric" if self._worst is None else str(self._worst)

    @property
    def ratio(self) -> float:
        """That metric as a share of its target; 0 where none is known."""
        return (self._worst.ratio if self._worst else None) or 0.0

    def __str__(self) -> str:
        return f"{self.metric}; {self.replicas} replicas, {self.wanted} wanted, {self.most} at most"


def of(obj: Mapping[str, Any]) -> Autoscaler:
    """What an object of the API means."""
    spec, status, metadata = obj["spec"], obj.get("status") or {}, obj["metadata"]
    reference, behaviour = spec["scaleTargetRef"], spec.get("behavior") or {}
    replicas = int(status.get("currentReplicas") or 0)
    return Autoscaler(
        metadata["namespace"],
        metadata["name"],
        f"{reference['kind']} {metadata['namespace']}/{reference['name']}",
        int(spec.get("minReplicas") or 1),
        int(spec["maxReplicas"]),
        replicas,
        int(status.get("desiredReplicas") or replicas),
        tuple(_metrics(spec.get("metrics") or (), status.get("currentMetrics") or ())),
        float(quantity((behaviour.get("scaleUp") or {}).get("tolerance", TOLERANCE)) or 0),
        float((behaviour.get("scaleDown") or {}).get("stabilizationWindowSeconds", COOLDOWN_S)),
        _trouble(status.get("conditions") or ()),
    )


def _metrics(wanted: Any, found: Any) -> Iterator[Metric]:
    """Each metric of the spec with what was measured of it, which stands at the same place of the status."""
    for number, one in enumerate(wanted):
        sort = next((name for name in _SORTS if name in one), "")
        goal = (one.get(sort) or {}).get("target") or {}
        key = next((name for name in _VALUES if goal.get(name) is not None), "")
        of_spec = one.get(sort) or {}
        name = str(of_spec.get("name") or (of_spec.get("metric") or {}).get("name") or one.get("type", "a metric"))
        current = ((found[number].get(sort) if number < len(found) else None) or {}).get("current") or {}
        used = quantity(current[key]) if key and current.get(key) is not None else None
        yield Metric(name, used, quantity(goal.get(key, 0)) or Decimal(0), key == _VALUES[0])


def _trouble(conditions: Any) -> str:
    """Why it does not scale at all, by the condition of which that is known first."""
    by_type = {one["type"]: one for one in conditions}
    for name in ("AbleToScale", "ScalingActive"):
        one = by_type.get(name)
        if one is None:
            return f"it has not said yet whether it can scale: no condition {name}"
        if one["status"] != "True":
            return f"{one.get('reason', name)}: {one.get('message', '')}".strip(": ")
    return ""


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
