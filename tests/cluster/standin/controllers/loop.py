"""The queue of what controllers have to look at, indexes over the objects, and events."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from cluster.standin.kinds import named
from cluster.standin.registry import Registry
from cluster.standin.store import Change, Key
from cluster.standin.times import stamp, suffix

Obj = dict[str, Any]
Work = Callable[..., None]
_SLICE_S = 0.005  # how long controllers may keep requests waiting


class Loop:
    """Calls controllers, between requests.

    Attributes:
        owned: by uid of the owner, where its dependants are: table and key.
        on_node: by name of the node, the keys of its pods.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry, self.store, self.settings = registry, registry.store, registry.settings
        self.owned: dict[str, set[tuple[str, Key]]] = defaultdict(set)
        self.on_node: dict[str, set[Key]] = defaultdict(set)
        self._hears: dict[str, list[Callable[[Change], None]]] = defaultdict(list)
        self._queue: dict[tuple[Any, ...], None] = {}
        self._epoch, self._runs = 0, False
        self.store.watchers.append(self._hear)

    def reset(self) -> None:
        """Forget everything that was to be done."""
        self._epoch += 1
        self._queue.clear()
        self.owned.clear()
        self.on_node.clear()

    def on(self, plural: str, hears: Callable[[Change], None]) -> None:
        """Call a controller with the changes of a kind; ``*`` is all of them."""
        self._hears["*" if plural == "*" else named(plural).table].append(hears)

    def due(self, work: Work, *key: Any, after_s: float = 0.0) -> None:
        """Have something looked at, soon or after some seconds of the cluster; twice at a time is once."""
        if not self.settings.controllers:
            return
        if after_s > 0:
            epoch, real_s = self._epoch, after_s * self.settings.second_s
            asyncio.get_running_loop().call_later(real_s, lambda: self._epoch == epoch and self.due(work, *key))
            return
        self._queue[work, *key] = None
        if not self._runs:
            self._runs = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        until = time.monotonic() + _SLICE_S
        while self._queue and time.monotonic() < until:
            entry = next(iter(self._queue))
            del self._queue[entry]
            try:
                entry[0](*entry[1:])
            except Exception:  # noqa: BLE001 - a flaw in here fails the test, which finds it on standard error
                traceback.print_exc()
        self._runs = bool(self._queue)
        if self._runs:
            asyncio.get_running_loop().call_later(0.0005, self._run)

    def _hear(self, change: Change) -> None:
        metadata = change.record.obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        gone = change.sort == "DELETED"
        if change.previous is not None:
            for uid in _owners(change.previous.obj):
                self.owned[uid].discard((change.table, key))
        if not gone:
            for uid in _owners(change.record.obj):
                self.owned[uid].add((change.table, key))
        if change.table == "pods":
            if change.previous is not None:
                self.on_node[change.previous.obj["spec"].get("nodeName", "")].discard(key)
            if not gone:
                self.on_node[change.record.obj["spec"].get("nodeName", "")].add(key)
        for hears in (*self._hears[change.table], *self._hears["*"]):
            hears(change)

    # What controllers ask ---------------------------------------------------------------------------------------

    def pods_of(self, uid: str) -> list[Obj]:
        """The pods that an object controls."""
        rows = self.store.tables.get("pods", {})
        return [rows[key].obj for table, key in sorted(self.owned.get(uid, ())) if table == "pods" and key in rows]

    def dependants(self, uid: str, plural: str) -> list[Obj]:
        """The objects of a kind that have this owner."""
        wanted = named(plural).table
        rows = self.store.tables.get(wanted, {})
        return [rows[key].obj for table, key in sorted(self.owned.get(uid, ())) if table == wanted]

    def pods_on(self, node: str) -> list[Obj]:
        """The pods that are bound to a node."""
        rows = self.store.tables.get("pods", {})
        return [rows[key].obj for key in sorted(self.on_node.get(node, ()))]

    def event(self, obj: Obj, reason: str, message: str, source: str, sort: str = "Normal") -> None:
        """Tell an Event of an object."""
        metadata, now = obj["metadata"], stamp()
        namespace = metadata.get("namespace") or "default"
        about = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "name": metadata["name"], "uid": metadata["uid"]}
        about |= {"resourceVersion": metadata["resourceVersion"]}
        if "namespace" in metadata:
            about["namespace"] = metadata["namespace"]
        event = {
            "metadata": {"name": f"{metadata['name']}.{suffix(16)}"},
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": sort,
            "eventTime": None,
            "reportingComponent": source,
            "reportingInstance": "",
        }
        space = self.registry.get("namespaces", "", namespace)
        if space is not None and "deletionTimestamp" not in space["metadata"]:
            self.registry.create(named("events"), namespace, event)


def _owners(obj: Obj) -> list[str]:
    return [one["uid"] for one in obj["metadata"].get("ownerReferences") or []]


def key_of(obj: Obj) -> Key:
    """Namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def owner_of(obj: Obj) -> Obj | None:
    """The reference to the controller of an object."""
    return next((one for one in obj["metadata"].get("ownerReferences") or [] if one.get("controller")), None)


def owned_by(owner: Obj) -> list[Obj]:
    """The owner references of what a controller makes."""
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    return [{**reference, "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}]


def active(pod: Obj) -> bool:
    """Whether a pod is neither over nor being deleted."""
    over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not over and "deletionTimestamp" not in pod["metadata"]


def condition(sort: str, status: str, reason: str = "", message: str = "") -> Obj:
    """A condition that began now."""
    found = {"type": sort, "status": status, "lastTransitionTime": stamp()}
    found |= {"reason": reason} if reason else {}
    return {**found, "message": message} if message else found


def with_conditions(have: list[Obj] | None, *new: Obj) -> list[Obj]:
    """Conditions with some of them replaced; one whose status stays keeps the time of its transition."""
    known = {one["type"]: one for one in have or []}
    for one in new:
        old = known.get(one["type"])
        if old is not None and old["status"] == one["status"]:
            one = {**one, "lastTransitionTime": old["lastTransitionTime"]}
        known[one["type"]] = one
    return list(known.values())
