"""The scale subresource: ``autoscaling/v1`` Scale, read from and written to objects that have replicas."""

from __future__ import annotations

from typing import Any

from cluster.standin import selectors
from cluster.standin.failures import invalid
from cluster.standin.kinds import Kind
from cluster.standin.times import clone

Obj = dict[str, Any]


def read(kind: Kind, obj: Obj) -> Obj:
    """The Scale of an object."""
    kept, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    found: Obj = {"replicas": status.get("replicas", 0)}
    if isinstance(spec.get("selector"), dict):
        found["selector"] = selectors.to_text(spec["selector"])
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: kept[name] for name in names if name in kept},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": found,
    }


def written(kind: Kind, obj: Obj, scale: Obj) -> Obj:
    """A copy of the object with the replicas, and the precondition, of a Scale.

    Raises:
        Refused: they are fewer than none.
    """
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        fact = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(kind, obj["metadata"]["name"], "spec.replicas", fact)
    new: Obj = clone(obj)
    new["spec"]["replicas"] = replicas
    metadata = scale.get("metadata") or {}
    new["metadata"]["resourceVersion"] = metadata.get("resourceVersion") or obj["metadata"]["resourceVersion"]
    if metadata.get("uid"):
        new["metadata"]["uid"] = metadata["uid"]
    return new
