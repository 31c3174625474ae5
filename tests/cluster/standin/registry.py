"""Creating, changing and deleting objects under the rules of the API server, for requests and for controllers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from cluster.standin import defaults, failures, rules
from cluster.standin.admission import Admission
from cluster.standin.kinds import Kind, Kinds, named
from cluster.standin.settings import Settings
from cluster.standin.store import Store
from cluster.standin.times import clone, stamp, suffix

Obj = dict[str, Any]
# Fields of metadata that only the server writes.
_OWN = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")

# The fields of a status that are there from the beginning.
_EMPTY: dict[str, Obj] = {
    "poddisruptionbudgets": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
    "daemonsets": {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0},
    "replicasets": {"replicas": 0},
    "statefulsets": {"replicas": 0, "availableReplicas": 0},
    "horizontalpodautoscalers": {"currentMetrics": None, "desiredReplicas": 0},
    "services": {"loadBalancer": {}},
    "persistentvolumeclaims": {"phase": "Pending"},
    "persistentvolumes": {"phase": "Available"},
    "namespaces": {"phase": "Active"},
}


class Registry:
    """All objects, and what may become of them."""

    def __init__(self, store: Store, kinds: Kinds, settings: Settings) -> None:
        self.store, self.kinds, self.settings = store, kinds, settings
        self.admission = Admission(store, settings)

    # Reading ----------------------------------------------------------------------------------------------------

    def get(self, plural: str, namespace: str, name: str) -> Obj | None:
        """An object of a built-in kind, not to be changed, or None."""
        return self.store.get(named(plural).table, namespace, name)

    def need(self, kind: Kind, namespace: str, name: str) -> Obj:
        found = self.store.get(kind.table, namespace, name)
        if found is None:
            raise failures.not_found(kind, name)
        return found

    # Creating ---------------------------------------------------------------------------------------------------

    def create(self, kind: Kind, namespace: str, obj: Obj, *, dry_run: bool = False, manager: str = "") -> Obj:
        """Create an object, of which a copy is kept.

        Raises:
            Refused: it is not valid, there already, or has no namespace.
        """
        obj = clone(obj)
        metadata = obj.setdefault("metadata", {})
        if metadata.get("resourceVersion"):
            raise failures.bad_request("resourceVersion should not be set on objects to be created")
        for name in _OWN:
            metadata.pop(name, None)
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                fact = "Required value: name or generateName is required"
                raise failures.invalid(kind, "", "metadata.name", fact, "FieldValueRequired")
            metadata["name"] = metadata["generateName"] + suffix()
        _ensure_namespace(kind, namespace, metadata)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp()}
        if kind.generation or kind.custom:
            metadata["generation"] = 1
        if kind.has_status and (kind.custom or kind.plural != "nodes"):
            obj.pop("status", None)
            if not kind.custom:
                obj["status"] = clone(_EMPTY.get(kind.plural, {}))
        obj |= {"apiVersion": kind.api_version, "kind": kind.kind}
        rules.ensure_valid(kind, obj)
        defaults.fill(kind, obj)
        self.admission.admit(kind, namespace, obj)
        if self.store.get(kind.table, namespace, metadata["name"]) is not None:
            raise failures.already_exists(kind, metadata["name"])
        _note_manager(obj, manager)
        return obj if dry_run else self.store.put(kind.table, obj)

    # Changing ---------------------------------------------------------------------------------------------------

    def update(
        self, kind: Kind, namespace: str, name: str, obj: Obj, *,
        subresource: str = "", dry_run: bool = False, manager: str = "",
    ) -> Obj:  # fmt: skip
        """Replace an object, or only its status, by a copy of what is given.

        Raises:
            Refused: it is not there, not valid, or was changed since the version that is given.
        """
        old = self.need(kind, namespace, name)
        new = clone(obj)
        metadata = new.setdefault("metadata", {})
        if metadata.setdefault("name", name) != name:
            fact = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            raise failures.bad_request(fact)
        _ensure_namespace(kind, namespace, metadata)
        self._ensure_fresh(kind, old, metadata)
        if subresource == "status":
            new = {**clone(old), "status": new.get("status", {})}
        else:
            self._prepare(kind, old, new)
        new |= {"apiVersion": old["apiVersion"], "kind": kind.kind}
        if _same(old, new):
            return old
        _note_manager(new, manager, subresource)
        return new if dry_run else self._keep(kind, new)

    def change(self, plural: str, namespace: str, name: str, work: Callable[[Obj], None]) -> Obj | None:
        """Let a controller change an object in place, whatever its version is; None when it is gone."""
        kind = named(plural)
        old = self.store.get(kind.table, namespace, name)
        if old is None:
            return None
        new = clone(old)
        work(new)
        if _same(old, new):
            return old
        if kind.generation and new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        return self._keep(kind, new)

    def status(self, plural: str, obj: Obj, **values: Any) -> None:
        """Let a controller set fields of a status."""
        have = obj.get("status") or {}
        if any(have.get(name) != value for name, value in values.items()):
            metadata = obj["metadata"]
            self.change(plural, metadata.get("namespace", ""), metadata["name"],
                        lambda new: new.setdefault("status", {}).update(clone(values)))  # fmt: skip

    def _prepare(self, kind: Kind, old: Obj, new: Obj) -> None:
        """Take over what an update may not change."""
        kept = old["metadata"]
        for name in _OWN:
            new["metadata"].pop(name, None)
            if name in kept:
                new["metadata"][name] = kept[name]
        if kind.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = clone(old["status"])
        if kind.plural == "services" and not kind.custom:
            for name in ("clusterIP", "clusterIPs"):
                if name in old["spec"]:
                    new.get("spec", {}).setdefault(name, old["spec"][name])
        rules.ensure_valid(kind, new)
        defaults.fill(kind, new)
        if kind.plural == "services" and not kind.custom:
            self.admission.admit(kind, kept["namespace"], new)
        rules.ensure_update(kind, old, new)
        if "deletionTimestamp" in kept:
            added = set(new["metadata"].get("finalizers") or []) - set(kept.get("finalizers") or [])
            if added:
                fact = "no new finalizers can be added if the object is being deleted, found new finalizers"
                why = f"Forbidden: {fact} {sorted(added)}"
                raise failures.invalid(kind, kept["name"], "metadata.finalizers", why, "FieldValueForbidden")
        if (kind.generation or kind.custom) and _substance(old, kind) != _substance(new, kind):
            new["metadata"]["generation"] = kept.get("generation", 1) + 1

    def _ensure_fresh(self, kind: Kind, old: Obj, metadata: Obj) -> None:
        name, kept = old["metadata"]["name"], old["metadata"]
        version = metadata.get("resourceVersion")
        if not version and not (kind.unconditional and not kind.custom):
            fact = "Invalid value: 0x0: must be specified for an update"
            raise failures.invalid(kind, name, "metadata.resourceVersion", fact)
        if version and version != kept["resourceVersion"]:
            raise failures.conflict(kind, name)
        uid = metadata.get("uid")
        if uid and uid != kept["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {kept['uid']}"
            raise failures.conflict(kind, name, why)
        metadata["resourceVersion"] = kept["resourceVersion"]

    def _keep(self, kind: Kind, obj: Obj) -> Obj:
        """Store a changed object, or remove it when its last finalizer is gone."""
        metadata = obj["metadata"]
        waits = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds", 0) > 0
        if kind.plural == "namespaces" and (obj.get("spec") or {}).get("finalizers"):
            waits = True
        stored = self.store.put(kind.table, obj)
        if "deletionTimestamp" in metadata and not waits:
            self.store.remove(kind.table, metadata.get("namespace", ""), metadata["name"])
        return stored

    # Deleting ---------------------------------------------------------------------------------------------------

    def delete(self, kind: Kind, namespace: str, name: str, options: Obj | None = None) -> tuple[Obj, bool]:
        """Delete an object as DeleteOptions say: its last state, and whether it is gone.

        Raises:
            Refused: it is not there, or not what the preconditions say.
        """
        options = options or {}
        old = self.need(kind, namespace, name)
        _ensure_preconditions(kind, old, options.get("preconditions") or {})
        new = clone(old)
        metadata = new["metadata"]
        _add_finalizers(kind, metadata, options)
        grace_s = self._grace_s(kind, new, options)
        terminating = kind.plural == "namespaces" and not kind.custom
        if options.get("dryRun"):
            return old, False
        if not grace_s and not metadata.get("finalizers") and not terminating:
            return self.store.remove(kind.table, namespace, name), True
        earlier = metadata.get("deletionGracePeriodSeconds")
        if earlier is None or grace_s < earlier:
            metadata["deletionTimestamp"] = stamp(grace_s * self.settings.second_s)
            metadata["deletionGracePeriodSeconds"] = grace_s
        if terminating:
            new["status"] = {**(new.get("status") or {}), "phase": "Terminating"}
        if not _same(old, new):
            if "generation" in metadata and earlier is None:
                metadata["generation"] += 1
            return self._keep(kind, new), False
        return old, False

    def _grace_s(self, kind: Kind, obj: Obj, options: Obj) -> int:
        """Seconds that a pod gets to stop; other objects get none."""
        if kind.plural != "pods" or kind.custom:
            return 0
        if not obj["spec"].get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        asked = options.get("gracePeriodSeconds")
        return int(obj["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else max(0, asked))


def _add_finalizers(kind: Kind, metadata: Obj, options: Obj) -> None:
    policy = options.get("propagationPolicy")
    if policy is None and "orphanDependents" in options:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        policy = "Orphan" if kind.plural == "jobs" and kind.group == "batch" else "Background"
    extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
    if policy not in ("Foreground", "Orphan", "Background"):
        raise failures.invalid(
            Kind("", "v1", "", "DeleteOptions"), "", "propagationPolicy", f"Unsupported value: {policy}"
        )
    if extra and extra not in (metadata.get("finalizers") or []):
        metadata["finalizers"] = [*(metadata.get("finalizers") or []), extra]


def _ensure_preconditions(kind: Kind, obj: Obj, wanted: Obj) -> None:
    for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        have = obj["metadata"][field]
        if wanted.get(field) not in (None, have):
            why = f"Precondition failed: {word} in precondition: {wanted[field]}, {word} in object meta: {have}"
            raise failures.conflict(kind, obj["metadata"]["name"], why)


def _ensure_namespace(kind: Kind, namespace: str, metadata: Obj) -> None:
    if not kind.namespaced:
        metadata.pop("namespace", None)
    elif metadata.setdefault("namespace", namespace) != namespace:
        fact = "the namespace of the provided object does not match the namespace sent on the request"
        raise failures.bad_request(fact)


def _substance(obj: Obj, kind: Kind) -> Obj:
    return {
        name: value for name, value in obj.items() if name != "metadata" and not (name == "status" and kind.has_status)
    }


def _same(old: Obj, new: Obj) -> bool:
    """Whether nothing changed; such a write leaves the version as it is."""
    mine, other = dict(old["metadata"]), dict(new["metadata"])
    for one in (mine, other):
        one.pop("managedFields", None)
    return mine == other and {**old, "metadata": 0} == {**new, "metadata": 0}


def _note_manager(obj: Obj, manager: str, subresource: str = "") -> None:
    """Who wrote, and when: fields that every comparison has to leave out."""
    if not manager:
        return
    entry = {"manager": manager, "operation": "Update", "apiVersion": obj["apiVersion"], "time": stamp()}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": {}}
    if subresource:
        entry["subresource"] = subresource
    mine = (manager, subresource)
    others = [one for one in obj["metadata"].get("managedFields") or []
              if (one["manager"], one.get("subresource", "")) != mine]  # fmt: skip
    obj["metadata"]["managedFields"] = [*others, entry]
