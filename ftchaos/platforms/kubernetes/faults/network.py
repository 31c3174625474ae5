"""Pods that reach only each other: a label of this fault alone on each, and one NetworkPolicy for it in each namespace.

Policies only ever add what is allowed, so that one which allows something to such a pod would let it through: where
there is one, the fault is refused. Whether the network of the cluster keeps to policies at all, the API does not say.

Source: Kubernetes documentation, Network Policies: the union of what all policies of a pod allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes import survey
from ftchaos.platforms.kubernetes.failures import ApiFailed
from ftchaos.platforms.kubernetes.faults import crowd
from ftchaos.platforms.kubernetes.inventory import Inventory, Pod, selects
from ftchaos.platforms.kubernetes.place import IN_CLUSTER
from ftchaos.platforms.mending import Mending

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

Obj = dict[str, Any]
Key = Mapping[str, str]

CUT = "cut"  # the value of the label; its key is the mark of the fault


def plan(inventory: Inventory, hit: Sequence[Pod], mark: str) -> list[dict[str, str]]:
    """The policies that will be made.

    Raises:
        Refused: one that is there already would let something through.
    """
    for policy in inventory.policies:
        metadata, spec = policy["metadata"], policy["spec"]
        if not (spec.get("ingress") or spec.get("egress")):
            continue
        for pod in hit:
            if pod.namespace == metadata["namespace"] and selects(spec.get("podSelector") or {}, pod.labels):
                raise Refused(
                    f"the NetworkPolicy {metadata['namespace']}/{metadata['name']} allows traffic of {pod.full_name}, "
                    "and policies cannot take back what another allows",
                    "choose the manner 'outage', or cut the zone off in the network below the cluster",
                )
    return [{"namespace": one, "name": mark} for one in sorted({pod.namespace for pod in hit})]


def cut(access: Access, policies: Sequence[Key], every: Sequence[Key], mark: str, *, alone: bool = False) -> str:
    """Make the policies, then label the pods: from that instant each is cut off.

    Args:
        alone: from each other, too.
    """
    make(access, [_policy(one, mark, alone) for one in policies])

    def label(one: Key) -> bool:
        def change(pod: Obj) -> Obj | None:
            return {"metadata": {"labels": {mark: CUT}}} if pod["metadata"]["uid"] == one["uid"] else None

        return access.patch("pods", one["namespace"], one["name"], change)

    there = crowd.each(every, label)
    return f"{there.count(True)} pods reach {'nobody' if alone else 'only each other'}"


def make(access: Access, policies: Sequence[Obj]) -> None:
    """Create policies, as far as they are not there."""
    for one in policies:
        try:
            access.call("create", "networkpolicies", one["metadata"]["namespace"], body=one)
        except ApiFailed as error:
            if not error.is_conflict:  # the name is this fault's alone
                raise


def policy(one: Key, spec: Obj) -> Obj:
    """A NetworkPolicy for both directions.

    Args:
        one: its ``namespace`` and ``name``.
        spec: whom it is for, and what it allows.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": one["name"], "namespace": one["namespace"]},
        "spec": {**spec, "policyTypes": ["Ingress", "Egress"]},
    }


def _policy(one: Key, mark: str, alone: bool) -> Obj:
    peers = [{"namespaceSelector": {}, "podSelector": {"matchLabels": {mark: CUT}}}]
    allowed: Obj = {} if alone else {"ingress": [{"from": peers}], "egress": [{"to": peers}]}
    return policy(one, {"podSelector": {"matchLabels": {mark: CUT}}, **allowed})


def not_cut(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """What is missing of a cut that the cluster shows.

    From outside of the cluster at least one pod must be seen to suffer, by its kubelet's checks. Within it the witness
    connects to the pods, and is the proof: checks of kubelets come from their nodes, which no policy cuts off.
    """
    namespaces, mark = undo["place"]["namespaces"], undo["mark"]
    missing = not_made(access, undo)
    meant = {one["uid"] for one in undo["pods"]}
    now = [pod for pod in survey.pods(access, namespaces) if pod.uid in meant]
    missing += [f"{pod.full_name} is not cut off" for pod in now if pod.labels.get(mark) != CUT]
    outside = undo["place"]["context"] != IN_CLUSTER
    if outside and not missing and all(pod.ready for pod in now):
        missing.append("every pod that was cut off is still Ready: the network may not keep to policies")
    return missing


def not_made(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """The policies of a fault that are not there, in words."""
    every = survey.every(access, "networkpolicies", undo["place"]["namespaces"])
    names = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in every}
    return [
        f"the NetworkPolicy {one['namespace']}/{one['name']} is not there"
        for one in undo["policies"]
        if (one["namespace"], one["name"]) not in names
    ]


def join(access: Access, policies: Sequence[Key], every: Sequence[Key], mark: str, mending: Mending) -> None:
    """Remove the policies, which ends the cut at once, then the labels."""

    def bare(pod: Obj) -> Obj | None:
        labels = pod["metadata"].get("labels") or {}
        if mark not in labels:
            return None
        return {"metadata": {"labels": {mark: None} if len(labels) > 1 else None}}

    def unlabel(one: Key) -> bool:
        def part() -> None:
            access.patch("pods", one["namespace"], one["name"], bare)

        return mending.attempt(f"the label of {one['namespace']}/{one['name']}", part)

    remove(access, policies, mending)
    crowd.each(every, unlabel)


def remove(access: Access, policies: Sequence[Key], mending: Mending) -> None:
    """Remove the policies of a fault, as far as they are there."""
    removed: list[str] = []

    def away(one: Key) -> None:
        if access.delete("networkpolicies", one["namespace"], one["name"]):
            removed.append(one["name"])

    for one in policies:
        mending.attempt(f"the NetworkPolicy {one['namespace']}/{one['name']}", lambda one=one: away(one))  # type: ignore[misc]
    if removed:
        mending.said.append(f"{len(removed)} NetworkPolicies were removed")
