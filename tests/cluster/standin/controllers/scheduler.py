"""The scheduler: which nodes a pod may go to, and which of them is best."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from typing import Any

from cluster.standin import selectors
from cluster.standin.admission import tolerates
from cluster.standin.controllers.loop import Loop, active, condition, key_of, owner_of, with_conditions
from cluster.standin.kinds import named
from cluster.standin.store import Change

Obj = dict[str, Any]
ZONE = "topology.kubernetes.io/zone"
_UNITS = {"m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 1e3, "M": 1e6, "G": 1e9}


class Scheduler:
    """Binds pods to nodes."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        self._waiting: set[tuple[str, str]] = set()
        self._used: dict[str, Counter[str]] = defaultdict(Counter)
        loop.on("pods", self._hear)
        for plural in ("nodes", "persistentvolumes", "persistentvolumeclaims"):
            loop.on(plural, self._retry)

    def reset(self) -> None:
        self._waiting.clear()
        self._used.clear()

    def _hear(self, change: Change) -> None:
        pod, before = change.record.obj, change.previous.obj if change.previous else None
        gone = change.sort == "DELETED"
        if before is not None:
            self._used[before["spec"].get("nodeName", "")].subtract(_needs(before))
        if not gone:
            self._used[pod["spec"].get("nodeName", "")].update(_needs(pod))
        if gone:
            self._waiting.discard(key_of(pod))
            self._retry(change)
        elif not pod["spec"].get("nodeName") and before is None:
            self._loop.due(self._schedule, *key_of(pod))

    def _retry(self, change: Change) -> None:
        for key in self._waiting:
            self._loop.due(self._schedule, *key)

    def _schedule(self, namespace: str, name: str) -> None:
        pod = self._registry.get("pods", namespace, name)
        self._waiting.discard((namespace, name))
        if pod is None or pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
            return
        nodes = sorted(self._loop.store.objects("nodes"), key=lambda node: str(node["metadata"]["name"]))
        reasons: Counter[str] = Counter()
        needs, volumes, fits = _needs(pod), self._volumes(pod), []
        for node in nodes:
            if why := self._refuses(node, pod, needs, volumes):
                reasons[why] += 1
            else:
                fits.append(node)
        fits = self._among(fits, pod, reasons)
        if not fits:
            self._waiting.add((namespace, name))
            said = ", ".join(f"{number} {why}" for why, number in sorted(reasons.items()))
            message = f"0/{len(nodes)} nodes are available: {said}." if nodes else "no nodes available to schedule pods"
            old = next((one for one in pod["status"].get("conditions") or [] if one["type"] == "PodScheduled"), {})
            if old.get("message") != message:
                new = condition("PodScheduled", "False", "Unschedulable", message)
                self._registry.status("pods", pod, conditions=with_conditions(pod["status"].get("conditions"), new))
                self._loop.event(pod, "FailedScheduling", message, "default-scheduler", "Warning")
            return
        zones, hosts = self._siblings(pod)

        def cost(node: Obj) -> tuple[int, int, int, str]:
            """Fewer siblings in the zone, then on the node, then fewer pods: the default spread."""
            at = node["metadata"]["name"]
            return zones[_label(node, ZONE)], hosts[at], int(self._used[at]["pods"]), at

        best = min(fits, key=cost)
        self._bind_claims(pod, best)
        where = best["metadata"]["name"]
        new = condition("PodScheduled", "True")

        def work(found: Obj) -> None:
            found["spec"]["nodeName"] = where
            found["status"]["conditions"] = with_conditions(found["status"].get("conditions"), new)

        self._registry.change("pods", namespace, name, work)

    def _refuses(self, node: Obj, pod: Obj, needs: dict[str, float], volumes: list[Obj]) -> str:
        """Why a node by itself is not for a pod; empty when it is."""
        spec, labels, name = pod["spec"], node["metadata"].get("labels") or {}, node["metadata"]["name"]
        tolerations = spec.get("tolerations") or []
        if node["spec"].get("unschedulable") and not any(
            tolerates(one, "node.kubernetes.io/unschedulable", "NoSchedule") for one in tolerations
        ):
            return "node(s) were unschedulable"
        for taint in node["spec"].get("taints") or []:
            if taint["effect"] != "PreferNoSchedule" and not any(
                tolerates(one, taint["key"], taint["effect"], taint.get("value", "")) for one in tolerations
            ):
                return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
        if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
            return "node(s) didn't match Pod's node affinity/selector"
        required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        )
        if required and not _selects(required, labels, name):
            return "node(s) didn't match Pod's node affinity/selector"
        have = (node.get("status") or {}).get("allocatable") or {}
        for resource, needed in needs.items():
            if self._used[name][resource] + needed > amount(have.get(resource, "1e12")) + 1e-6:
                return "Too many pods" if resource == "pods" else f"Insufficient {resource}"
        for volume in volumes:
            wanted = ((volume["spec"].get("nodeAffinity") or {}).get("required")) or None
            if wanted and not _selects(wanted, labels, name):
                return "node(s) didn't match PersistentVolume's node affinity"
        return ""

    def _volumes(self, pod: Obj) -> list[Obj]:
        """The volumes that its claims are bound to."""
        found = []
        for claim in claims_of(pod):
            have = self._registry.get("persistentvolumeclaims", pod["metadata"]["namespace"], claim) or {"spec": {}}
            volume = self._registry.get("persistentvolumes", "", have["spec"].get("volumeName", ""))
            found.extend([volume] if volume else [])
        return found

    def _among(self, nodes: list[Obj], pod: Obj, reasons: Counter[str]) -> list[Obj]:
        """The nodes that the pods already there allow: anti-affinity, and spread over a topology."""
        affinity = ((pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        ) or []
        for term in affinity:
            taken = self._where(pod, term.get("labelSelector"), term["topologyKey"])
            before = len(nodes)
            nodes = [one for one in nodes if not taken.get(_label(one, term["topologyKey"]))]
            reasons["node(s) didn't match pod anti-affinity rules"] += before - len(nodes)
        for rule in pod["spec"].get("topologySpreadConstraints") or []:
            if rule.get("whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule":
                continue
            counts, key = self._where(pod, rule.get("labelSelector"), rule["topologyKey"]), rule["topologyKey"]
            # A domain counts by its nodes whether or not they can take the pod: nodeTaintsPolicy is Ignore by default.
            domains = {_label(one, key) for one in self._loop.store.objects("nodes")} - {""}
            least = min((counts.get(one, 0) for one in domains), default=0)
            before = len(nodes)
            nodes = [one for one in nodes if counts.get(_label(one, key), 0) + 1 - least <= rule["maxSkew"]]
            reasons["node(s) didn't match pod topology spread constraints"] += before - len(nodes)
        reasons += Counter()  # drops what is zero
        return nodes

    def _where(self, pod: Obj, selector: Obj | None, topology: str) -> Counter[str]:
        """How many pods that match a selector are in each domain of a topology."""
        matches, counts = selectors.of_object(selector), Counter[str]()
        for other in self._loop.store.objects("pods", pod["metadata"]["namespace"]):
            node = other["spec"].get("nodeName")
            if node and active(other) and matches(other["metadata"].get("labels") or {}):
                found = self._registry.get("nodes", "", node)
                counts[_label(found, topology) if found else ""] += 1
        return counts

    def _siblings(self, pod: Obj) -> tuple[Counter[str], Counter[str]]:
        """How many pods of the same owner are in each zone, and on each node."""
        owner, zones, hosts = owner_of(pod), Counter[str](), Counter[str]()
        for other in self._loop.pods_of(owner["uid"]) if owner else []:
            at = other["spec"].get("nodeName")
            found = self._registry.get("nodes", "", at) if at and active(other) else None
            if found:
                hosts[at] += 1
                zones[_label(found, ZONE)] += 1
        return zones, hosts

    def _bind_claims(self, pod: Obj, node: Obj) -> None:
        """Give claims without a volume one in the zone of the node, as a provisioner that waits does."""
        namespace = pod["metadata"]["namespace"]
        for name in claims_of(pod):
            claim = self._registry.get("persistentvolumeclaims", namespace, name)
            if claim is None or claim["spec"].get("volumeName"):
                continue
            volume = f"pvc-{claim['metadata']['uid']}"
            term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [_label(node, ZONE)]}]}
            size = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "1Gi")
            spec = {
                "capacity": {"storage": size},
                "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": claim["spec"].get("storageClassName", ""),
                "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name,
                             "uid": claim["metadata"]["uid"]},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
                "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": volume},
            }  # fmt: skip
            self._registry.create(named("persistentvolumes"), "", {"metadata": {"name": volume}, "spec": spec})
            made = self._registry.get("persistentvolumes", "", volume)
            assert made is not None
            self._registry.status("persistentvolumes", made, phase="Bound")

            def bind(found: Obj, volume: str = volume, size: str = size) -> None:
                found["spec"]["volumeName"] = volume
                found["status"] = {"phase": "Bound", "capacity": {"storage": size},
                                   "accessModes": found["spec"].get("accessModes")}  # fmt: skip

            self._registry.change("persistentvolumeclaims", namespace, name, bind)


@functools.cache
def amount(text: Any) -> float:
    """A quantity as a number."""
    text = str(text)
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    return float(text)


def _needs(pod: Obj) -> dict[str, float]:
    """What a pod takes of its node; nothing once it is over."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return {}
    found: dict[str, float] = {"pods": 1}
    for container in pod["spec"]["containers"]:
        for name, value in ((container.get("resources") or {}).get("requests") or {}).items():
            found[name] = found.get(name, 0.0) + amount(value)
    return found


def zone_of(node: Obj | None) -> str:
    """The zone of a node."""
    return _label(node, ZONE) if node else ""


def _label(node: Obj, key: str) -> str:
    return str((node["metadata"].get("labels") or {}).get(key, ""))


def claims_of(pod: Obj) -> list[str]:
    """The names of the claims that a pod mounts."""
    volumes = pod["spec"].get("volumes") or []
    return [one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one]


def _selects(selector: Obj, labels: dict[str, str], name: str) -> bool:
    """A NodeSelector: one of its terms, each with all of its expressions and fields."""
    for term in selector.get("nodeSelectorTerms") or []:
        rules = [(labels, one) for one in term.get("matchExpressions") or []]
        rules += [({"metadata.name": name}, one) for one in term.get("matchFields") or []]
        if all(selectors.expression(have, one["key"], one["operator"], one.get("values") or []) for have, one in rules):
            return True
    return False
