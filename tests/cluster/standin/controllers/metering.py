"""What pods really get, as an adapter for custom metrics would say it of those that are processes.

The Pods metric ``http_requests_per_second`` counts the HTTP requests that came in at the address of a pod, as the mean
of the newest ``usage_s``.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.standin.controllers.loop import Loop
from cluster.standin.eviction import is_ready
from cluster.standin.store import Change

Obj = dict[str, Any]
REQUESTS = "http_requests_per_second"


@dataclass(frozen=True)
class Measured:
    """What the pods of an autoscaler have to do, each against the same goal.

    Attributes:
        used: of each pod that was measured.
        unmeasured: how many more are Ready; ``unready``: how many are not.
    """

    used: Sequence[float]
    unmeasured: int
    unready: int
    goal: float


class Meter:
    """Looks at counters that only grow.

    Attributes:
        count: how many requests a pod has had since it began; None where it is no process.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.count: Callable[[Obj], float | None] = lambda pod: None
        self._looks: dict[str, list[tuple[float, float]]] = defaultdict(list)  # by the uid of a pod
        loop.on("pods", self._forget)

    def reset(self) -> None:
        self._looks.clear()

    def _forget(self, change: Change) -> None:
        if change.sort == "DELETED":
            self._looks.pop(change.record.obj["metadata"]["uid"], None)

    def measure(self, pods: Sequence[Obj], goal: float) -> Measured:
        """What these pods get."""
        used = [rate for rate in map(self._rate, pods) if rate is not None]
        ready = sum(map(is_ready, pods))
        return Measured(used, ready - len(used), len(pods) - ready, goal)

    def _rate(self, pod: Obj) -> float | None:
        """How much a pod has got each second lately; None before it was looked at twice since it is Ready."""
        count, at = self.count(pod), asyncio.get_running_loop().time()
        looks = self._looks[pod["metadata"]["uid"]]
        if count is None or not is_ready(pod) or (looks and count < looks[-1][1]):  # or it was begun again
            looks.clear()
        if count is None or not is_ready(pod):
            return None
        looks.append((at, count))
        since = at - self._loop.settings.usage_s * self._loop.settings.second_s
        while len(looks) > 2 and looks[0][0] < since:
            del looks[0]
        began_at, before = looks[0]
        return (count - before) / (at - began_at) if at > began_at else None
