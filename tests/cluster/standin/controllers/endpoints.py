"""Endpoints and EndpointSlices: which pods a Service leads to, and which of them are ready."""

from __future__ import annotations

from typing import Any

from cluster.standin import selectors
from cluster.standin.controllers.loop import Loop, active, key_of, owned_by
from cluster.standin.eviction import is_ready
from cluster.standin.kinds import named
from cluster.standin.store import Change

Obj = dict[str, Any]


class EndpointLists:
    """The controllers of Endpoints and of EndpointSlices."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry = loop, loop.registry
        loop.on("services", lambda change: self._loop.due(self._reconcile, *key_of(change.record.obj)))
        loop.on("pods", self._hear_pod)

    def _hear_pod(self, change: Change) -> None:
        labels = change.record.obj["metadata"].get("labels") or {}
        for service in self._loop.store.objects("services", change.record.obj["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and all(labels.get(key) == value for key, value in selector.items()):
                self._loop.due(self._reconcile, *key_of(service))

    def _reconcile(self, namespace: str, name: str) -> None:
        service = self._registry.get("services", namespace, name)
        space = self._registry.get("namespaces", "", namespace)
        if service is None:
            if self._registry.get("endpoints", namespace, name) is not None:
                self._registry.delete(named("endpoints"), namespace, name)
            return
        if not service["spec"].get("selector") or space is None or "deletionTimestamp" in space["metadata"]:
            return
        matches = selectors.of_object({"matchLabels": service["spec"]["selector"]})
        pods = [
            pod for pod in self._loop.store.objects("pods", namespace)
            if matches(pod["metadata"].get("labels") or {}) and pod["status"].get("podIP")
            and pod["status"]["phase"] not in ("Succeeded", "Failed")
        ]  # fmt: skip
        pods.sort(key=lambda pod: str(pod["metadata"]["name"]))
        self._keep("endpoints", service, {"metadata": {"name": name}, "subsets": _subsets(service, pods)})
        nodes = {node["metadata"]["name"]: node for node in self._loop.store.objects("nodes")}
        made = {
            "metadata": {
                "name": f"{name}-{service['metadata']['uid'][:5]}",
                "labels": {"kubernetes.io/service-name": name,
                           "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                "ownerReferences": owned_by(service),
            },
            "addressType": "IPv4",
            "ports": _ports(service, pods),
            "endpoints": [_endpoint(pod, nodes.get(pod["spec"]["nodeName"])) for pod in pods],
        }  # fmt: skip
        self._keep("endpointslices", service, made)

    def _keep(self, plural: str, service: Obj, wanted: Obj) -> None:
        namespace, name = service["metadata"]["namespace"], wanted["metadata"]["name"]
        if self._registry.get(plural, namespace, name) is None:
            self._registry.create(named(plural), namespace, wanted)
        else:
            rest = {key: value for key, value in wanted.items() if key != "metadata"}
            self._registry.change(plural, namespace, name, lambda new: new.update(rest))


def _subsets(service: Obj, pods: list[Obj]) -> list[Obj]:
    ready = [pod for pod in pods if active(pod) and (is_ready(pod) or service["spec"].get("publishNotReadyAddresses"))]
    others = [pod for pod in pods if active(pod) and pod not in ready]
    subset = {"addresses": list(map(_address, ready)), "notReadyAddresses": list(map(_address, others))}
    subset = {name: found for name, found in subset.items() if found}
    return [{**subset, "ports": _ports(service, pods)}] if subset else []


def _address(pod: Obj) -> Obj:
    about = {"kind": "Pod", **{name: pod["metadata"][name] for name in ("namespace", "name", "uid")}}
    return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": about}


def _endpoint(pod: Obj, node: Obj | None) -> Obj:
    ready, leaves = is_ready(pod), "deletionTimestamp" in pod["metadata"]
    found = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not leaves, "serving": ready, "terminating": leaves},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": _address(pod)["targetRef"],
    }
    zone = ((node or {"metadata": {}})["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone")
    return {**found, **({"zone": zone} if zone else {})}


def _ports(service: Obj, pods: list[Obj]) -> list[Obj]:
    found = []
    for port in service["spec"].get("ports") or []:
        target = port["targetPort"]
        for pod in pods[:1] if isinstance(target, str) else []:
            declared = [one for container in pod["spec"]["containers"] for one in container.get("ports") or []]
            target = next((one["containerPort"] for one in declared if one.get("name") == target), target)
        found.append({"name": port.get("name", ""), "port": target, "protocol": port["protocol"]})
    return found
