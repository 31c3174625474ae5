"""The node lifecycle: NotReady after silence, taints that evict, and the garbage collection of pods."""

from __future__ import annotations

from typing import Any

from cluster.standin.admission import NOT_READY, UNREACHABLE, tolerates
from cluster.standin.controllers.kubelets import Kubelets
from cluster.standin.controllers.loop import Loop, active, condition, key_of, with_conditions
from cluster.standin.kinds import named
from cluster.standin.store import Change
from cluster.standin.times import stamp

Obj = dict[str, Any]
CORDONED, OUT = "node.kubernetes.io/unschedulable", "node.kubernetes.io/out-of-service"
_CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
_INFO = {
    "kubeletVersion": "v1.35.0", "kubeProxyVersion": "", "kernelVersion": "6.12.0", "osImage": "Amazon Linux 2023",
    "containerRuntimeVersion": "containerd://2.1.5", "operatingSystem": "linux", "architecture": "amd64",
}  # fmt: skip
_FINE = {"MemoryPressure": "KubeletHasSufficientMemory", "DiskPressure": "KubeletHasNoDiskPressure",
         "PIDPressure": "KubeletHasSufficientPID"}  # fmt: skip


class Nodes:
    """Nodes that live, die, and are deleted."""

    def __init__(self, loop: Loop, kubelets: Kubelets) -> None:
        self._loop, self._registry, self._kubelets = loop, loop.registry, kubelets
        loop.on("nodes", self._hear)
        loop.on("pods", self._hear_pod)

    # What a test does to machines -------------------------------------------------------------------------------

    def kill(self, names: list[str]) -> None:
        """The machines are gone, without a word."""
        for name in names:
            self._kubelets.dead.add(name)
            self._loop.due(self._silent, name, after_s=self._loop.settings.node_grace_s)
        self._kubelets.tell()

    def revive(self, names: list[str]) -> None:
        """They are back: what was to be deleted stops, the rest becomes ready again."""
        for name in names:
            self._kubelets.dead.discard(name)
            self._kubelets.tell()
            if self._registry.get("nodes", "", name) is None:
                continue
            self._ready(name)
            for pod in self._loop.pods_on(name):
                if "deletionTimestamp" in pod["metadata"]:
                    self._kubelets.stop(pod)
                elif pod["status"].get("phase") == "Running":
                    self._loop.due(
                        self._kubelets.probe, *key_of(pod), pod["metadata"]["uid"], after_s=self._loop.settings.ready_s
                    )

    # What follows -----------------------------------------------------------------------------------------------

    def _hear(self, change: Change) -> None:
        name = change.record.obj["metadata"]["name"]
        if change.sort == "DELETED":
            self._loop.due(self._collect, name, after_s=self._loop.settings.pod_gc_s)
            return
        if change.sort == "ADDED":
            self._loop.due(self._register, name)
        before = (change.previous.obj["spec"] if change.previous else {}).get("taints")
        if before != change.record.obj["spec"].get("taints"):
            self._loop.due(self._evict, name)
        self._loop.due(self._mark_cordon, name)

    def _hear_pod(self, change: Change) -> None:
        pod = change.record.obj
        name = pod["spec"].get("nodeName")
        if not name or change.sort == "DELETED":
            return
        fresh = change.previous is None or not change.previous.obj["spec"].get("nodeName")
        node = self._registry.get("nodes", "", name)
        if node is None:
            if fresh:
                self._loop.due(self._collect, name, after_s=self._loop.settings.pod_gc_s)
            return
        if fresh and node["spec"].get("taints"):
            self._loop.due(self._evict, name)
        if "deletionTimestamp" in pod["metadata"] and name in self._kubelets.dead:
            self._loop.due(self._collect_out, name, after_s=self._loop.settings.out_of_service_s)

    def _register(self, name: str) -> None:
        node = self._registry.get("nodes", "", name)
        if node is None:
            return
        status = node.get("status") or {}
        number = sum(name.encode()) % 250
        addresses = [{"type": "InternalIP", "address": f"10.0.{number}.1"}, {"type": "Hostname", "address": name}]
        self._registry.status(
            "nodes", node, capacity=status.get("capacity") or _CAPACITY,
            allocatable=status.get("allocatable") or status.get("capacity") or _CAPACITY,
            addresses=status.get("addresses") or addresses,
            nodeInfo={**_INFO, "machineID": name, "systemUUID": name, "bootID": node["metadata"]["uid"]},
        )  # fmt: skip
        self._ready(name)

    def _ready(self, name: str) -> None:
        node = self._registry.get("nodes", "", name)
        assert node is not None
        new = [condition(sort, "False", reason) for sort, reason in _FINE.items()]
        new.append(condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
        have = (node.get("status") or {}).get("conditions")
        self._registry.status("nodes", node, conditions=with_conditions(have, *new))
        self._taint(name, [], (NOT_READY, UNREACHABLE))

    def _silent(self, name: str) -> None:
        node = self._registry.get("nodes", "", name)
        if node is None or name not in self._kubelets.dead:
            return
        said = "Kubelet stopped posting node status."
        new = [condition(sort, "Unknown", "NodeStatusUnknown", said) for sort in ("Ready", *_FINE)]
        self._registry.status("nodes", node, conditions=with_conditions(node["status"].get("conditions"), *new))
        self._loop.event(node, "NodeNotReady", f"Node {name} status is now: NodeNotReady", "node-controller")
        effects = [
            {"key": UNREACHABLE, "effect": effect, "timeAdded": stamp()} for effect in ("NoSchedule", "NoExecute")
        ]
        self._taint(name, effects, (NOT_READY, UNREACHABLE))
        for pod in self._loop.pods_on(name):
            if pod["status"].get("phase") == "Running":
                self._kubelets.set_ready(pod, False)

    def _taint(self, name: str, add: list[Obj], remove: tuple[str, ...]) -> None:
        def work(node: Obj) -> None:
            kept = [one for one in node["spec"].get("taints") or [] if one["key"] not in remove]
            node["spec"].pop("taints", None)
            if kept or add:
                node["spec"]["taints"] = [*kept, *add]

        self._registry.change("nodes", "", name, work)

    def _mark_cordon(self, name: str) -> None:
        """The taint that goes with a cordon, as the node controller keeps it."""
        node = self._registry.get("nodes", "", name)
        if node is None:
            return
        cordoned = bool(node["spec"].get("unschedulable"))
        if cordoned != any(one["key"] == CORDONED for one in node["spec"].get("taints") or []):
            add = [{"key": CORDONED, "effect": "NoSchedule", "timeAdded": stamp()}] if cordoned else []
            self._taint(name, add, (CORDONED,))

    def _evict(self, name: str) -> None:
        """Delete the pods that do not tolerate a taint of their node, once they have tolerated it for long enough."""
        node = self._registry.get("nodes", "", name)
        for taint in (node or {"spec": {}})["spec"].get("taints") or []:
            if taint["effect"] != "NoExecute":
                continue
            for pod in self._loop.pods_on(name):
                after_s = _tolerated_s(pod, taint)
                if active(pod) and after_s is not None:
                    work = (self._evict_pod, *key_of(pod), pod["metadata"]["uid"], name, taint["key"])
                    self._loop.due(*work, after_s=after_s)
            if taint["key"] == OUT:
                self._loop.due(self._collect_out, name, after_s=self._loop.settings.out_of_service_s)

    def _evict_pod(self, namespace: str, name: str, uid: str, node_name: str, taint: str) -> None:
        pod, node = self._registry.get("pods", namespace, name), self._registry.get("nodes", "", node_name)
        if pod is None or node is None or pod["metadata"]["uid"] != uid or not active(pod):
            return
        if any(one["key"] == taint for one in node["spec"].get("taints") or []):
            self._loop.event(
                pod, "TaintManagerEviction", f"Marking for deletion Pod {namespace}/{name}", "taint-eviction-controller"
            )
            self._registry.delete(named("pods"), namespace, name)

    def _collect(self, name: str) -> None:
        """PodGC: pods of a node that is not there any more."""
        if self._registry.get("nodes", "", name) is None:
            for pod in self._loop.pods_on(name):
                self._force(pod, "DeletionByPodGC", "PodGC: node no longer exists")

    def _collect_out(self, name: str) -> None:
        """PodGC: Terminating pods of a node that is out of service."""
        node = self._registry.get("nodes", "", name)
        if node is None or name not in self._kubelets.dead:
            return
        if any(one["key"] == OUT for one in node["spec"].get("taints") or []):
            for pod in self._loop.pods_on(name):
                if "deletionTimestamp" in pod["metadata"]:
                    self._force(pod, "DeletionByPodGC", "PodGC: node is out of service")

    def _force(self, pod: Obj, reason: str, message: str) -> None:
        new = condition("DisruptionTarget", "True", reason, message)
        conditions = with_conditions(pod["status"].get("conditions"), new)
        over = pod["status"].get("phase") in ("Succeeded", "Failed")
        self._registry.status("pods", pod, conditions=conditions, **({} if over else {"phase": "Failed"}))
        self._registry.delete(named("pods"), *key_of(pod), {"gracePeriodSeconds": 0})


def _tolerated_s(pod: Obj, taint: Obj) -> float | None:
    """For how long a pod stands a taint, in seconds of the cluster; None is for ever."""
    found = [
        one for one in pod["spec"].get("tolerations") or []
        if tolerates(one, taint["key"], taint["effect"], taint.get("value", ""))
    ]  # fmt: skip
    if not found:
        return 0.0
    limits = [float(one["tolerationSeconds"]) for one in found if one.get("tolerationSeconds") is not None]
    return min(limits) if limits else None
