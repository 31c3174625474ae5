"""What would be lost with namespaces, read before anything is touched, and what forbids to lose it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes import inventory as stock
from ftchaos.platforms.kubernetes import survey
from ftchaos.platforms.kubernetes.calls import ANY, CALLS, DISCOVERY, UNNAMED, VELERO, Action
from ftchaos.platforms.kubernetes.configuration import making, objects, others
from ftchaos.platforms.kubernetes.inventory import Inventory
from ftchaos.platforms.kubernetes.manifests import Name, Obj

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
PROTECTED = ("default", "kube-system", "kube-public", "kube-node-lease")
NAMED = 5


@dataclass(frozen=True)
class Loss:
    """What namespaces hold at this moment.

    Attributes:
        uids: of the namespaces.
        objects: all that somebody wrote, the namespaces among it, as the server would take it again.
        ready: how many pods of each workload are ready.
        wanted: how many each is to have.
        pods: their uids.
        notes: what goes with them and does not come back, in words.
    """

    place: Mapping[str, Any]
    uids: Mapping[str, str]
    objects: Mapping[Name, Obj] = field(repr=False)
    ready: Mapping[str, int]
    wanted: Mapping[str, int]
    pods: frozenset[str]
    notes: tuple[str, ...]

    @property
    def namespaces(self) -> list[str]:
        return sorted(self.uids)

    def of(self, namespace: str) -> list[Name]:
        return [name for name in self.objects if name.namespace == namespace]


def ensure_allowed(access: Access, *, velero: bool) -> None:
    """Ask for all that the drill and its undo call, of the whole cluster.

    What a Role in a namespace allows is lost with the namespace, so nothing of that kind counts.

    Raises:
        Refused: something of it is not allowed.
    """
    needed = [one for one in CALLS if one.kind == "configuration" and (velero or VELERO not in one.manners)]
    needed = [one for one in needed if one.resource not in (ANY, DISCOVERY)]  # each is read before anything is lost
    asked = []
    for one in needed:
        named = one.resource == "namespaces" and one.verb not in UNNAMED  # a role may allow it of these alone
        asked += [Action(one.verb, one.resource, name=name) for name in (access.place.namespaces if named else [""])]
    access.ensure_allowed(asked)


def ensure_keeps(namespaces: Sequence[str], lease_namespace: str) -> None:
    """See to it that the lock of the cluster does not go with what is lost.

    Raises:
        Refused: it would.
    """
    if lease_namespace in namespaces:
        raise Refused(
            f"the namespace {lease_namespace} holds the lease of this run, and would be lost",
            "name another in kubernetes.lease_namespace, in every configuration of this cluster",
        )


def take(access: Access, tag: str) -> Loss:
    """What would be lost with the namespaces of this access.

    Raises:
        Refused: something would be lost that cannot be put back, or must not be harmed.
    """
    spaces = access.place.namespaces
    _ensure_not_at_home(access.place.context, spaces)
    found = survey.take(access, tag=tag)
    _ensure_nothing_stays_lost(access, found)
    uids, held = {}, {}
    for namespace in spaces:
        space = access.get("namespaces", "", namespace) or {"metadata": {"deletionTimestamp": ""}}
        if "deletionTimestamp" in space["metadata"]:
            raise Refused(f"the namespace {namespace} is being deleted by somebody else", "wait until it is back")
        uids[namespace] = str(space["metadata"]["uid"])
        held[Name("Namespace", "", namespace)] = objects.kept(Name("Namespace", "", namespace), space)
    notes = []
    for name, obj in making.read(access, spaces).items():
        if objects.has_ended(name, obj):
            notes.append(f"{name} has ended and is not put back")
            continue
        _ensure_can_come_back(name, obj)
        if name.kind == "Service" and obj["spec"].get("type") == "LoadBalancer":
            notes.append(f"{name}: its load balancer goes with it, and another has another address")
        held[name] = objects.kept(name, obj)
    return Loss(
        found.place, uids, held, stock.ready_counts(found.pods, (one.name for one in found.nodes)),
        {owner: count for owner, count in found.wanted.items() if count and not owner.startswith("ReplicaSet ")},
        frozenset(one.uid for one in found.pods), tuple(notes),
    )  # fmt: skip


def not_ready(access: Access, loss: Loss) -> list[str]:
    """The workloads that are not as ready as before, in words.

    An autoscaler may want fewer of its own by now, but none of less than its minimum, and none that it has not looked
    at yet: a manifest that leaves the replicas to it makes one.
    """
    spaces, short, scaled = loss.namespaces, [], _scaled(loss)
    counts = stock.ready_counts(survey.pods(access, spaces), (one.name for one in survey.nodes(access)))
    wanted = survey.wanted(access, spaces)
    scalers = survey.every(access, "horizontalpodautoscalers", spaces) if scaled else []
    unseen = stock.floors(one for one in scalers if not _has_looked(one))
    for owner, before in loss.ready.items():
        if owner not in wanted:
            short.append(f"{owner} is not there")
            continue
        need, have = min(before, max(wanted[owner], scaled[owner])) if owner in scaled else before, counts.get(owner, 0)
        if have < need:
            short.append(f"{owner} has {have} of {need} ready")
        elif have < before and owner in unseen:
            short.append(f"{owner} has {have} ready, {before} before, and its autoscaler has not looked yet")
    return short


def fewer(access: Access, loss: Loss) -> list[str]:
    """The workloads with fewer ready pods than before, as their autoscalers want, in words."""
    scaled = _scaled(loss)
    if not scaled:
        return []
    counts = stock.ready_counts(survey.pods(access, loss.namespaces), (one.name for one in survey.nodes(access)))
    return [
        f"{owner} has {counts.get(owner, 0)} ready, {before} before, as its autoscaler wants"
        for owner, before in loss.ready.items()
        if owner in scaled and counts.get(owner, 0) < before
    ]


def _scaled(loss: Loss) -> dict[str, int]:
    """The minimum of each workload that an autoscaler scaled before."""
    return stock.floors(obj for name, obj in loss.objects.items() if name.kind == "HorizontalPodAutoscaler")


def _has_looked(scaler: Mapping[str, Any]) -> bool:
    """Source: Kubernetes, HorizontalPodAutoscalerStatus: from the first look on there are conditions."""
    status = scaler.get("status") or {}
    return bool(status.get("desiredReplicas") or status.get("conditions"))


def _ensure_not_at_home(context: str, spaces: Sequence[str]) -> None:
    for one in spaces:
        if one in PROTECTED:
            raise Refused(f"the namespace {one} is the cluster's own", "name those of the application")
        if context == "in-cluster" and OWN_NAMESPACE.exists() and OWN_NAMESPACE.read_text().strip() == one:
            raise Refused(f"this process itself runs in the namespace {one}", "run it from another namespace")


def _ensure_nothing_stays_lost(access: Access, found: Inventory) -> None:
    spaces = found.namespaces
    claims = [_named(one) for one in survey.every(access, "persistentvolumeclaims", spaces)]
    if claims:
        raise Refused(
            f"the data of {_listed(claims)} would be lost with the namespace",
            "choose namespaces without PersistentVolumeClaims: --namespace; data comes back by a drill of its own",
        )
    bare = [one.full_name for one in found.pods if not one.workload]
    bare += [_named(one) for one in survey.every(access, "replicasets", spaces) if not stock.owner(one)]
    if bare:
        raise Refused(
            f"{_listed(bare)} would be gone for good: no workload that is restored has made it",
            "remove it, or let a Deployment have it",
        )
    if custom := others.found(access, spaces):
        raise Refused(
            f"{_listed(custom)} would be gone for good: this drill keeps and restores no such kinds",
            f"choose namespaces without them: --namespace; it knows {', '.join(objects.ORDER)}",
        )


def _ensure_can_come_back(name: Name, obj: Mapping[str, Any]) -> None:
    spec = obj.get("spec") or {}
    if name.kind == "Job":
        raise Refused(f"{name} is running, and would run again from its begin", "wait until it has ended")
    if name.kind == "Service" and not spec.get("selector") and spec.get("type") != "ExternalName":
        raise Refused(f"{name} has no selector, and its Endpoints would be lost", "choose other namespaces")


def _named(obj: Mapping[str, Any]) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _listed(items: Iterable[str]) -> str:
    every = sorted(items)
    return ", ".join(every[:NAMED]) + (f" and {len(every) - NAMED} more" if len(every) > NAMED else "")
