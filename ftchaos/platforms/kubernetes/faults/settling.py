"""Workloads that come back: as many ready pods as before, on nodes that are there; else what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ftchaos.platforms.kubernetes import inventory as stock
from ftchaos.platforms.kubernetes import survey
from ftchaos.platforms.kubernetes.inventory import Inventory, Pod

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access
    from ftchaos.platforms.mending import Mending

SETTLED_S = 600.0  # a crashed node is evicted after 361 s (measured); a volume needs minutes to be attached elsewhere
EVERY_S = 1.0
STUCK = (
    "kubectl delete pod {name} --namespace {namespace} --grace-period=0 --force, once its node is surely off; "
    "or taint that node node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, or delete it"
)


def plan(inventory: Inventory, hit: Iterable[Pod]) -> dict[str, int]:
    """How many pods of each workload that is hit are ready now."""
    counts = stock.ready_counts(inventory.pods, (one.name for one in inventory.nodes))
    return {owner: counts[owner] for owner in sorted({pod.owner for pod in hit}) if owner in counts}


def wait(access: Access, undo: Mapping[str, Any], mending: Mending) -> None:
    """Wait until the workloads have what they had; one that was scaled down or removed meanwhile needs less.

    Where an autoscaler has not looked yet at what was made anew, its minimum is needed.
    """
    namespaces = undo["place"]["namespaces"]

    def missing() -> list[str]:
        every = survey.pods(access, namespaces)
        counts = stock.ready_counts(every, (one.name for one in survey.nodes(access)))
        wanted = survey.wanted(access, namespaces)
        if any(0 < wanted.get(owner, 0) < before for owner, before in undo["ready"].items()):
            least = stock.floors(survey.every(access, "horizontalpodautoscalers", namespaces))
            wanted = {owner: max(count, least.get(owner, 0)) if count else 0 for owner, count in wanted.items()}
        short = []
        for owner, before in undo["ready"].items():
            need, have = min(before, wanted.get(owner, 0)), counts.get(owner, 0)
            if have < need:
                short.append(f"{owner} has {have} of {need} ready" + stuck(pod for pod in every if pod.owner == owner))
        return short

    def settle() -> str | None:
        if not undo["ready"]:
            return None
        access.until(
            missing,
            lambda short: not short,
            SETTLED_S,
            lambda short: f"{'; '.join(short or ['the cluster'])}: not as before",
            EVERY_S,
        )
        return f"{len(undo['ready'])} workloads are as ready as before"

    mending.attempt("the workloads", settle)


def stuck(every: Iterable[Pod]) -> str:
    """Pods that are to go and do not, with the remedy; a StatefulSet makes no other while its own is there."""
    found = [pod for pod in every if pod.terminating and pod.workload.startswith("StatefulSet/")]
    said = [f"{pod.full_name} stays Terminating on {pod.node}: {_remedy(pod)}" for pod in found]
    return f" ({'; '.join(said)})" if said else ""


def _remedy(pod: Pod) -> str:
    return STUCK.format(name=pod.name, namespace=pod.namespace)
