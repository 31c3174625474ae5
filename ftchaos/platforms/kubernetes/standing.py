"""How a cluster stands: all that a fault may change, in words, and what it is made of, for the evidence.

The names of pods are left out of the words that are compared: others take their place. So are the replicas of what an
autoscaler scales, as long as all of them are ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftchaos.platforms.kubernetes import autoscalers
from ftchaos.platforms.kubernetes import inventory as stock
from ftchaos.platforms.kubernetes.inventory import Inventory

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access


def state(inventory: Inventory) -> dict[str, str]:
    """How everything stands that a fault may change, flat and in words."""
    found = {}
    for one in inventory.nodes:
        words = ["Ready" if one.ready else "not Ready"] + ["cordoned"] * one.cordoned
        words += [f"{taint['key']}:{taint['effect']}" for taint in one.made["spec"].get("taints") or ()]
        found[f"node {one.name}"] = ", ".join(words)
    counts = stock.ready_counts(inventory.pods, (one.name for one in inventory.nodes))
    scaled = {autoscalers.of(one).scales: autoscalers.of(one).full_name for one in inventory.scalers}
    for owner, wanted in sorted(inventory.wanted.items()):
        found[owner] = f"{counts.get(owner, 0)} of {wanted} ready"
        if owner in scaled:  # how many they are is no difference: it goes by the load
            ready = "all ready" if counts.get(owner, 0) == wanted else found[owner]
            found[owner] = f"{ready}, as many as the autoscaler {scaled[owner]} wants"
    for policy in inventory.policies:
        metadata = policy["metadata"]
        found[f"NetworkPolicy {metadata['namespace']}/{metadata['name']}"] = "there"
    return found


def describe(access: Access, inventory: Inventory) -> dict[str, Any]:
    """Nodes, versions and settings, as the API server says; no secrets."""
    servers = [
        {
            "name": one["metadata"]["name"],
            "place": (one["metadata"].get("labels") or {}).get(stock.ZONE_LABEL, ""),
            "version": ((one.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "unknown",
        }
        for one in access.pages("nodes")
    ]
    return {
        "mode": "kubernetes",
        "zones": inventory.zones,
        "servers": servers,
        "settings": {"tag": inventory.tag, "namespaces": ", ".join(inventory.namespaces)},
        "redis": "",
    }
