"""DaemonSets: one pod on each node that they are for."""

from __future__ import annotations

from typing import Any

from cluster.standin.admission import tolerates
from cluster.standin.controllers.loop import Loop, active, key_of, owner_of
from cluster.standin.controllers.stateful import daemon_pod
from cluster.standin.eviction import is_ready
from cluster.standin.kinds import named
from cluster.standin.store import Change

Obj = dict[str, Any]


class DaemonSets:
    """The controller of DaemonSets."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("daemonsets", lambda change: self._loop.due(self._reconcile, *key_of(change.record.obj)))
        loop.on("nodes", self._hear_node)
        loop.on("pods", self._hear_pod)

    def _hear_node(self, change: Change) -> None:
        for mine in self._loop.store.objects("daemonsets.apps"):
            self._loop.due(self._reconcile, *key_of(mine))

    def _hear_pod(self, change: Change) -> None:
        owner = owner_of(change.record.obj)
        if owner is not None and owner["kind"] == "DaemonSet":
            self._loop.due(self._reconcile, change.record.obj["metadata"]["namespace"], owner["name"])

    def _reconcile(self, namespace: str, name: str) -> None:
        mine = self._registry.get("daemonsets", namespace, name)
        if mine is None:
            return
        pods = {}
        for pod in self._loop.pods_of(mine["metadata"]["uid"]):
            if active(pod):
                pods[_node_of(pod)] = pod
        wanted = {node["metadata"]["name"] for node in self._loop.store.objects("nodes") if _is_for(mine, node)}
        if "deletionTimestamp" not in mine["metadata"]:
            for node in sorted(wanted - set(pods)):
                made = self._registry.create(named("pods"), namespace, daemon_pod(mine, node))
                self._registry.change("pods", *key_of(made), lambda new, node=node: new["spec"].update(nodeName=node))
            there = {node["metadata"]["name"] for node in self._loop.store.objects("nodes")}
            staying = {one["metadata"]["name"] for one in self._loop.store.objects("nodes") if _may_stay(mine, one)}
            for node in (set(pods) & there) - wanted - staying:
                self._registry.delete(named("pods"), *key_of(pods[node]))
        ready = sum(is_ready(pod) for node, pod in pods.items() if node in wanted)
        values = {"desiredNumberScheduled": len(wanted), "currentNumberScheduled": len(wanted & set(pods))}
        values |= {"numberReady": ready, "numberAvailable": ready, "numberUnavailable": len(wanted) - ready}
        values |= {"updatedNumberScheduled": len(wanted & set(pods)), "numberMisscheduled": len(set(pods) - wanted)}
        self._registry.status("daemonsets", mine, **values, observedGeneration=mine["metadata"]["generation"])


def _node_of(pod: Obj) -> str:
    return str(pod["spec"].get("nodeName", ""))


def _is_for(mine: Obj, node: Obj) -> bool:
    return _is_selected(mine, node) and _tolerates(mine, node, ("NoSchedule", "NoExecute"))


def _may_stay(mine: Obj, node: Obj) -> bool:
    """Whether a pod that is there goes on: ``NodeShouldRunDaemonPod`` lets ``NoExecute`` alone end one."""
    return _is_selected(mine, node) and _tolerates(mine, node, ("NoExecute",))


def _is_selected(mine: Obj, node: Obj) -> bool:
    labels = node["metadata"].get("labels") or {}
    selector = mine["spec"]["template"]["spec"].get("nodeSelector") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _tolerates(mine: Obj, node: Obj, effects: tuple[str, ...]) -> bool:
    own = mine["spec"]["template"]["spec"].get("tolerations") or []
    foreign = [one for one in node["spec"].get("taints") or [] if not one["key"].startswith("node.kubernetes.io/")]
    return all(
        any(tolerates(mine, one["key"], one["effect"], one.get("value", "")) for mine in own)
        for one in foreign
        if one["effect"] in effects
    )
