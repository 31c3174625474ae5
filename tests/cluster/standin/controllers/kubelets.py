"""The kubelets: pods that were bound begin, become ready, and stop; nothing of that on a dead node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cluster.standin import addresses
from cluster.standin.controllers.loop import Loop, condition, key_of, with_conditions
from cluster.standin.eviction import is_ready
from cluster.standin.kinds import named
from cluster.standin.store import Change
from cluster.standin.times import stamp

Obj = dict[str, Any]
RUNS, EXITS = "standin/run-s", "standin/exit-code"  # annotations: how long a pod of a Job runs, and how it ends
LISTEN = "standin/listen"  # annotation: something really listens at the pod's address; see cluster.standin.listeners
RUN = "standin/run"  # annotation: the pod is a real process; see cluster.standin.processes


class Kubelets:
    """All kubelets.

    Attributes:
        dead: names of nodes whose machine is gone.
        sick: keys of pods whose application does not work; probes that ask it say so.
        changed: called when a machine or an application dies or comes back.
        restarts: how often the process of a pod was begun again, by uid.
        stops: lets the process of a pod stop, and says whether there is one.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        self.dead: set[str] = set()
        self.sick: set[tuple[str, str]] = set()
        self.changed: list[Callable[[], None]] = []
        self.restarts: dict[str, int] = {}
        self.stops: Callable[[Obj], bool] = lambda pod: False
        self._address = 0
        loop.on("pods", self._hear)

    def reset(self) -> None:
        self.dead.clear()
        self.sick.clear()
        self.restarts.clear()

    def _hear(self, change: Change) -> None:
        pod = change.record.obj
        node, key = pod["spec"].get("nodeName"), key_of(pod)
        if change.sort == "DELETED":
            self.sick.discard(key)
            self.restarts.pop(pod["metadata"]["uid"], None)
        elif not node or node in self.dead:
            return
        elif "deletionTimestamp" in pod["metadata"]:
            self.stop(pod)
        elif change.previous is None or not change.previous.obj["spec"].get("nodeName"):
            self._loop.due(self._start, *key, pod["metadata"]["uid"], after_s=self._loop.settings.start_s)

    def sicken(self, namespace: str, names: list[str], works: bool = False) -> None:
        """Let the applications in some pods not work any more, or with ``works`` again."""
        for name in names:
            pod = self._registry.get("pods", namespace, name)
            if pod is not None:
                (self.sick.discard if works else self.sick.add)((namespace, name))
                after_s = self._loop.settings.ready_s if works else self._loop.settings.probe_s
                self._loop.due(self.probe, namespace, name, pod["metadata"]["uid"], after_s=after_s)

    def tell(self) -> None:
        """Say that a machine died or came back."""
        for hears in self.changed:
            hears()

    def stop(self, pod: Obj) -> None:
        """Let a pod that is to stop do so, in its time."""
        if self.stops(pod):
            return
        grace_s = pod["metadata"].get("deletionGracePeriodSeconds", 0)
        after_s = min(grace_s, self._loop.settings.stop_s)
        self._loop.due(self.stopped, *key_of(pod), pod["metadata"]["uid"], after_s=after_s)

    def _here(self, namespace: str, name: str, uid: str) -> Obj | None:
        """The pod, if it still is that one and its node lives."""
        pod = self._registry.get("pods", namespace, name)
        if pod is None or pod["metadata"]["uid"] != uid or pod["spec"]["nodeName"] in self.dead:
            return None
        return pod

    def _start(self, namespace: str, name: str, uid: str) -> None:
        pod = self._here(namespace, name, uid)
        if pod is None or pod["status"].get("phase") != "Pending" or "deletionTimestamp" in pod["metadata"]:
            return
        self._address += 1
        low = f"{self._address // 250 % 250}.{self._address % 250 + 1}"
        listens = bool({LISTEN, RUN} & set(pod["metadata"].get("annotations") or {}))
        address = addresses.of_pod(self._address) if listens else f"10.{244 + self._address // 62500}.{low}"
        new = [condition(sort, "True") for sort in ("Initialized", "PodScheduled", "PodReadyToStartContainers")]
        new += [condition(sort, "False", "ContainersNotReady") for sort in ("Ready", "ContainersReady")]
        self._set(
            pod, phase="Running", startTime=stamp(), podIP=address, podIPs=[{"ip": address}],
            conditions=with_conditions(pod["status"].get("conditions"), *new),
            containerStatuses=self._containers(pod, False),
        )  # fmt: skip
        if _runs(pod):
            return
        self._loop.due(self.probe, namespace, name, uid, after_s=self._loop.settings.ready_s)
        if pod["spec"]["restartPolicy"] != "Always":
            annotations = pod["metadata"].get("annotations") or {}
            lasts_s = float(annotations.get(RUNS, self._loop.settings.job_s))
            code = int(annotations.get(EXITS, 0))
            self._loop.due(self.over, namespace, name, uid, code, after_s=lasts_s)

    def probe(self, namespace: str, name: str, uid: str) -> None:
        """Set Ready as the readiness probe says."""
        pod = self._here(namespace, name, uid)
        if pod is None or pod["status"].get("phase") != "Running" or _runs(pod):
            return
        works = (namespace, name) not in self.sick or not any(map(_asks, pod["spec"]["containers"]))
        if works != is_ready(pod):
            self.set_ready(pod, works, "" if works else "ContainersNotReady")

    def set_ready(self, pod: Obj, ready: bool, reason: str = "") -> None:
        """Say of a pod whether it is ready."""
        word = "True" if ready else "False"
        new = [condition(sort, word, reason) for sort in ("Ready", "ContainersReady")]
        conditions = with_conditions(pod["status"].get("conditions"), *new)
        self._set(pod, conditions=conditions, containerStatuses=self._containers(pod, ready))

    def over(self, namespace: str, name: str, uid: str, code: int) -> None:
        """The process of a pod that is not begun again has exited."""
        pod = self._here(namespace, name, uid)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        new = [condition(sort, "False", "PodCompleted") for sort in ("Ready", "ContainersReady")]
        ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "finishedAt": stamp()}
        containers = [{**one, "ready": False, "state": {"terminated": ended}} for one in self._containers(pod, False)]
        self._set(
            pod, phase="Failed" if code else "Succeeded", containerStatuses=containers,
            conditions=with_conditions(pod["status"].get("conditions"), *new),
        )  # fmt: skip

    def stopped(self, namespace: str, name: str, uid: str) -> None:
        """Nothing of a pod runs any more."""
        if self._here(namespace, name, uid) is not None:
            self._registry.delete(named("pods"), namespace, name, {"gracePeriodSeconds": 0})

    def _set(self, pod: Obj, **values: Any) -> None:
        self._registry.status("pods", pod, **values)

    def _containers(self, pod: Obj, ready: bool) -> list[Obj]:
        began, restarts = pod["status"].get("startTime") or stamp(), self.restarts.get(pod["metadata"]["uid"], 0)
        return [
            {
                "name": one["name"],
                "image": one["image"],
                "imageID": "",
                "ready": ready,
                "started": True,
                "restartCount": restarts,
                "state": {"running": {"startedAt": began}},
                "lastState": {},
            }
            for one in pod["spec"]["containers"]
        ]


def _asks(container: Obj) -> bool:
    """Whether the readiness probe of a container asks the application, instead of always saying yes."""
    probe = container.get("readinessProbe") or {}
    if "exec" in probe:
        return probe["exec"].get("command") not in (
            ["true"],
            ["/bin/true"],
            ["sh", "-c", "true"],
            ["sh", "-c", "exit 0"],
        )
    return bool(probe)


def _runs(pod: Obj) -> bool:
    """Whether it is a real process, of which nothing is simulated."""
    return RUN in (pod["metadata"].get("annotations") or {})
