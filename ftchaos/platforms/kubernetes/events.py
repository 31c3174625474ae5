"""What the cluster says of itself after a fault, on the run's clock; it corroborates what clients saw, no more.

From conditions and times of nodes and pods, which stay, and not from Events, which are dropped and merged. All of them
are whole seconds: an instant may be up to one second too early, and is never put before the fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ftchaos.clock import Clock
from ftchaos.platforms.base import Event
from ftchaos.platforms.kubernetes import inventory as stock
from ftchaos.platforms.kubernetes import survey
from ftchaos.platforms.kubernetes.faults import settling
from ftchaos.platforms.kubernetes.inventory import COMPONENT_LABEL, owner

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

COMPONENT_OF = {
    "api": "api", "websocket": "websocket", "worker": "queue",
    "mysql": "database", "database": "database", "db": "database",
}  # fmt: skip
"""By the tier of a pod: its label, or the name of what controls it."""
RESOLUTION_S = 1.0
STUCK_S = 10.0
"""How long after its grace a pod is there still, or cannot be placed, before it is said to be stuck."""
STATED = "to the second"


def read(
    access: Access, known: Collection[str], since_at: float, shards: Mapping[str, str] = MappingProxyType({})
) -> list[Event]:
    """What the cluster did since an instant, in order.

    Of a StatefulSet that nobody samples only the pods are told that stay Terminating or cannot be placed, under its
    own name.

    Args:
        known: uids of the pods that were there before; what the others did is the recovery.
        shards: see :attr:`ftchaos.platforms.kubernetes.inventory.Inventory.shards`.
    """
    clock = Clock.anchored()
    found: list[Event] = []
    for pod in survey.every(access, "pods", access.place.namespaces):
        shard = shards.get(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
        component = f"cache-{shard}" if shard else component_of(pod)
        whose, is_new = component or _stateful(pod), pod["metadata"]["uid"] not in known
        if component and is_new:
            found += _of_new(pod, component, clock)
        if whose and is_new:
            found += _unplaced(pod, whose, clock, 0.0 if component else STUCK_S)
        if whose:
            found += _staying(pod, whose, clock)
    found += _of_nodes(access.pages("nodes"), clock, since_at)
    return sorted(
        (Event(max(one.at, since_at), one.component, one.name, one.detail) for one in found), key=lambda one: one.at
    )


def component_of(pod: Mapping[str, Any]) -> str:
    """The component that a pod serves; empty where nothing of ours samples it."""
    name = owner(pod).partition("/")[2]
    if owner(pod).startswith("ReplicaSet/"):
        name = name.rpartition("-")[0]
    tier = (pod["metadata"].get("labels") or {}).get(COMPONENT_LABEL) or name
    return COMPONENT_OF.get(tier) or COMPONENT_OF.get(tier.rpartition("-")[2], "")


def _of_new(pod: Mapping[str, Any], component: str, clock: Clock) -> Iterator[Event]:
    """A pod that replaces another: its controller has noticed, and later it serves."""
    full_name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    yield Event(
        clock.at(_instant(pod["metadata"]["creationTimestamp"])), component, "detected", f"{full_name} made, {STATED}"
    )
    for name, word in (("PodScheduled", "scheduled"), ("Ready", "promoted")):
        if (at := _since(pod, name, "True")) is not None:
            node = (pod.get("spec") or {}).get("nodeName", "")
            yield Event(clock.at(at), component, word, f"{full_name} {name} on {node}, {STATED}")


def _unplaced(pod: Mapping[str, Any], whose: str, clock: Clock, for_s: float) -> Iterator[Event]:
    """That no node takes it, once that has been so for a time."""
    if (at := _since(pod, "PodScheduled", "False")) is not None and clock.monotonic_s >= clock.at(at) + for_s:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        yield Event(clock.at(at), whose, "unschedulable", f"{name}: {_said(pod, 'PodScheduled')}")


def _staying(pod: Mapping[str, Any], whose: str, clock: Clock) -> Iterator[Event]:
    """That a StatefulSet waits for its own pod to go though its grace is over, with the remedy."""
    if "deletionTimestamp" in pod["metadata"]:
        ended_at = clock.at(_instant(pod["metadata"]["deletionTimestamp"]))  # its grace is in it
        if clock.monotonic_s > ended_at + STUCK_S and (said := settling.stuck(stock.pods([pod]))):
            yield Event(ended_at, whose, "stuck", said.strip(" ()"))


def _stateful(pod: Mapping[str, Any]) -> str:
    """The StatefulSet that a pod is of, like ``StatefulSet app/redis``; empty for others."""
    kind, _, name = owner(pod).partition("/")
    return f"{kind} {pod['metadata']['namespace']}/{name}" if kind == "StatefulSet" else ""


def _of_nodes(nodes: Iterator[Mapping[str, Any]], clock: Clock, since_at: float) -> Iterator[Event]:
    """A node that is no longer Ready: from here on its pods are known to be gone."""
    for node in nodes:
        at = _since(node, "Ready", "False") or _since(node, "Ready", "Unknown")
        if at is not None and clock.at(at) > since_at - RESOLUTION_S:
            for component in ("api", "database"):
                yield Event(clock.at(at), component, "node lost", f"{node['metadata']['name']} is not Ready, {STATED}")


def _since(obj: Mapping[str, Any], condition: str, status: str) -> datetime | None:
    for one in (obj.get("status") or {}).get("conditions") or ():
        if (one["type"], one["status"]) == (condition, status) and one.get("lastTransitionTime"):
            return _instant(one["lastTransitionTime"])
    return None


def _said(obj: Mapping[str, Any], condition: str) -> str:
    every = (obj.get("status") or {}).get("conditions") or ()
    return next((str(one.get("message") or one.get("reason")) for one in every if one["type"] == condition), "")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
