"""What goes when something else goes: dependants of owners, and the contents of namespaces."""

from __future__ import annotations

from typing import Any

from cluster.standin.controllers.loop import Loop
from cluster.standin.kinds import named
from cluster.standin.store import Change

Obj = dict[str, Any]


class Garbage:
    """The garbage collector and the controller of namespaces."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._registry, self._store = loop, loop.registry, loop.store
        loop.on("*", self._hear)
        loop.on("namespaces", self._hear_namespace)

    def _hear(self, change: Change) -> None:
        metadata = change.record.obj["metadata"]
        if change.sort == "DELETED":
            if self._loop.owned.get(metadata["uid"]):
                self._loop.due(self._collect, metadata["uid"])
            for owner in metadata.get("ownerReferences") or []:
                if owner.get("blockOwnerDeletion"):
                    self._loop.due(
                        self._finalize, owner["apiVersion"], owner["kind"], metadata.get("namespace", ""), owner["name"]
                    )
            space = metadata.get("namespace")
            if (
                space
                and "deletionTimestamp" in (self._registry.get("namespaces", "", space) or {"metadata": {}})["metadata"]
            ):
                self._loop.due(self._empty, space)
        elif "deletionTimestamp" in metadata and {"orphan", "foregroundDeletion"} & set(
            metadata.get("finalizers") or []
        ):
            obj = change.record.obj
            self._loop.due(
                self._finalize, obj["apiVersion"], obj["kind"], metadata.get("namespace", ""), metadata["name"]
            )

    def _collect(self, uid: str) -> None:
        """Delete what has no owner any more."""
        for table, key in sorted(self._loop.owned.get(uid, ())):
            obj = self._store.get(table, *key)
            if obj is None or "deletionTimestamp" in obj["metadata"]:
                continue
            kind = self._registry.kinds.of(obj["apiVersion"], obj["kind"])
            others = [one for one in obj["metadata"]["ownerReferences"] if one["uid"] != uid]
            if kind is not None and not any(self._lives(one, key[0]) for one in others):
                self._registry.delete(kind, *key, {"propagationPolicy": "Background"})

    def _lives(self, reference: Obj, namespace: str) -> bool:
        kind = self._registry.kinds.of(reference["apiVersion"], reference["kind"])
        found = kind and self._store.get(kind.table, namespace if kind.namespaced else "", reference["name"])
        return bool(found and found["metadata"]["uid"] == reference["uid"])

    def _finalize(self, api_version: str, sort: str, namespace: str, name: str) -> None:
        """Orphan the dependants, or wait until they are gone, then let the object go."""
        kind = self._registry.kinds.of(api_version, sort)
        obj = kind and self._store.get(kind.table, namespace if kind.namespaced else "", name)
        if kind is None or not obj or "deletionTimestamp" not in obj["metadata"]:
            return
        finalizers, uid = obj["metadata"].get("finalizers") or [], obj["metadata"]["uid"]
        done = {"orphan"} & set(finalizers)
        for table, key in sorted(self._loop.owned.get(uid, ())):
            if done:
                self._orphan(table, key, uid)
        if "foregroundDeletion" in finalizers and not done:
            blocks = []
            for table, key in sorted(self._loop.owned.get(uid, ())):
                found = self._store.get(table, *key)
                if found is not None:
                    blocks.append(found)
                    other = self._registry.kinds.of(found["apiVersion"], found["kind"])
                    if other is not None and "deletionTimestamp" not in found["metadata"]:
                        self._registry.delete(other, *key, {"propagationPolicy": "Foreground"})
            done = {"foregroundDeletion"} if not self._loop.owned.get(uid) else set()
        if done:
            left = [one for one in finalizers if one not in done]
            self._change(kind.plural if not kind.custom else "", kind.table, obj, left)

    def _change(self, plural: str, table: str, obj: Obj, finalizers: list[str]) -> None:
        kind = self._registry.kinds.of(obj["apiVersion"], obj["kind"])
        assert kind is not None
        metadata = {**obj["metadata"], "finalizers": finalizers}
        self._registry.update(kind, metadata.get("namespace", ""), metadata["name"], {**obj, "metadata": metadata})

    def _orphan(self, table: str, key: tuple[str, str], uid: str) -> None:
        obj = self._store.get(table, *key)
        kind = obj and self._registry.kinds.of(obj["apiVersion"], obj["kind"])
        if obj and kind:
            kept = [one for one in obj["metadata"]["ownerReferences"] if one["uid"] != uid]
            metadata = {**obj["metadata"], "ownerReferences": kept}
            self._registry.update(kind, *key, {**obj, "metadata": metadata})

    # Namespaces -------------------------------------------------------------------------------------------------

    def _hear_namespace(self, change: Change) -> None:
        metadata = change.record.obj["metadata"]
        if change.sort == "ADDED":
            self._loop.due(self._furnish, metadata["name"])
        elif change.sort == "MODIFIED" and "deletionTimestamp" in metadata:
            self._loop.due(self._empty, metadata["name"])

    def _furnish(self, name: str) -> None:
        space = self._registry.get("namespaces", "", name)
        if space is None or "deletionTimestamp" in space["metadata"]:
            return
        if self._registry.get("serviceaccounts", name, "default") is None:
            self._registry.create(named("serviceaccounts"), name, {"metadata": {"name": "default"}})
        if self._registry.get("configmaps", name, "kube-root-ca.crt") is None:
            root = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "the stand-in speaks no TLS"}}
            self._registry.create(named("configmaps"), name, root)

    def _empty(self, name: str) -> None:
        """Delete what is in a namespace that is to go; once nothing is, the namespace itself."""
        space = self._registry.get("namespaces", "", name)
        if space is None or "deletionTimestamp" not in space["metadata"]:
            return
        left = False
        for kind in self._registry.kinds.all():
            if not kind.namespaced:
                continue
            for obj in self._store.objects(kind.table, name):
                left = True
                if "deletionTimestamp" not in obj["metadata"]:
                    options = {"propagationPolicy": "Background"}
                    self._registry.delete(kind, name, obj["metadata"]["name"], options)
        if left:
            self._loop.due(self._empty, name, after_s=0.1)
        else:
            self._registry.change("namespaces", "", name, lambda new: new["spec"].update(finalizers=[]))
