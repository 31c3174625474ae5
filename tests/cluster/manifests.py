"""Objects for tests, as short as they can be."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]
ZONE = "topology.kubernetes.io/zone"


def node(name: str, zone: str, **labels: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {ZONE: zone, **labels}}}


def namespace(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def template(app: str, annotations: dict[str, str] | None = None, **spec: Any) -> Obj:
    containers = [{"name": app, "image": f"registry.example.com/{app}:1.0"}]
    metadata: Obj = {"labels": {"app": app}}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": containers, **spec}}


def workload(kind: str, name: str, replicas: int, space: str = "default", more: Obj | None = None, **pod: Any) -> Obj:
    """A Deployment, StatefulSet or DaemonSet; ``more`` is for its spec, the rest for that of its pods."""
    spec: Obj = {"selector": {"matchLabels": {"app": name}}, "template": template(name, **pod), **(more or {})}
    if kind != "DaemonSet":
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": space}, "spec": spec}


def budget(name: str, space: str = "default", **spec: Any) -> Obj:
    selector = {"matchLabels": {"app": name}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": space},
            "spec": {"selector": selector, **spec}}  # fmt: skip


def service(name: str, port: int, space: str = "default", **spec: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space},
            "spec": {"selector": {"app": name}, "ports": [{"name": "main", "port": port}], **spec}}  # fmt: skip
