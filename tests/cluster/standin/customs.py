"""CustomResourceDefinitions: which kinds they add, and take away again. Schemas are not enforced."""

from __future__ import annotations

from typing import Any

from cluster.standin.kinds import Kind
from cluster.standin.registry import Registry
from cluster.standin.times import stamp

Obj = dict[str, Any]


def serve(registry: Registry, definition: Obj) -> None:
    """Serve what a definition defines, and say so in its status."""
    spec, names = definition["spec"], definition["spec"]["names"]
    registry.kinds.remove(spec["group"], names["plural"])
    for version in spec["versions"]:
        if version.get("served"):
            registry.kinds.add(
                Kind(
                    spec["group"], version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced",
                    tuple(names.get("shortNames") or ()), tuple(version.get("subresources") or {}),
                    generation=True, unconditional=False, custom=True, singular=names["singular"],
                    categories=tuple(names.get("categories") or ()),
                )
            )  # fmt: skip
    since = {"status": "True", "lastTransitionTime": stamp()}
    conditions = [
        {"type": "NamesAccepted", "reason": "NoConflicts", "message": "no conflicts found", **since},
        {
            "type": "Established",
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
            **since,
        },
    ]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    if not definition.get("status"):
        registry.status("customresourcedefinitions", definition, conditions=conditions, acceptedNames=names,
                        storedVersions=stored)  # fmt: skip


def withdraw(registry: Registry, definition: Obj) -> None:
    """Serve it no more; its objects go with it."""
    spec = definition["spec"]
    kinds = [kind for kind in registry.kinds.all()
             if (kind.group, kind.plural) == (spec["group"], spec["names"]["plural"])]  # fmt: skip
    for kind in kinds[:1]:
        for record in registry.store.records(kind.table):
            metadata = record.obj["metadata"]
            registry.store.remove(kind.table, metadata.get("namespace", ""), metadata["name"])
    registry.kinds.remove(spec["group"], spec["names"]["plural"])
