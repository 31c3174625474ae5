"""Who may connect to whom, as the NetworkPolicies say."""

from __future__ import annotations

import ipaddress
from typing import Any

from cluster.standin import selectors
from cluster.standin.registry import Registry
from cluster.standin.settings import Settings

Obj = dict[str, Any]
OUTSIDE = "127.0.0.1"  # who is in no pod


class Policies:
    """The NetworkPolicies of the cluster, applied."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry, self._store, self._settings = registry, registry.store, settings

    @property
    def any(self) -> bool:
        """Whether there are some that count."""
        return self._settings.policies and bool(self._store.tables.get("networkpolicies.networking.k8s.io"))

    def allows(self, pod: Obj, peer: str, *, anybody: bool = False) -> bool:
        """Whether policies let a peer in; with ``anybody`` whether they let in the peer or some pod."""
        found = [one for one in self._policies(pod) if "Ingress" in one["spec"]["policyTypes"]]
        rules = [rule for one in found for rule in one["spec"].get("ingress") or []]
        if found and not (anybody and rules) and not any(self._matches(rule.get("from"), pod, peer) for rule in rules):
            return False
        source = self.pod_at(peer)
        leaves = [one for one in self._policies(source) if "Egress" in one["spec"]["policyTypes"]] if source else []
        outward = [rule for one in leaves for rule in one["spec"].get("egress") or []]
        address = pod["status"].get("podIP", "")
        return not leaves or any(self._matches(rule.get("to"), source or pod, address) for rule in outward)

    def _policies(self, pod: Obj) -> list[Obj]:
        if not self._settings.policies:
            return []
        found = self._store.objects("networkpolicies.networking.k8s.io", pod["metadata"]["namespace"])
        labels = pod["metadata"].get("labels") or {}
        return [one for one in found if selectors.of_object(one["spec"].get("podSelector") or {})(labels)]

    def _matches(self, peers: list[Obj] | None, pod: Obj, address: str) -> bool:
        if not peers:
            return True
        other = self.pod_at(address)
        return any(self._is(peer, pod["metadata"]["namespace"], other, address) for peer in peers)

    def _is(self, peer: Obj, namespace: str, other: Obj | None, address: str) -> bool:
        if "ipBlock" in peer:
            block = [peer["ipBlock"]["cidr"], *(peer["ipBlock"].get("except") or [])]
            inside = [ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in block]
            return inside[0] and not any(inside[1:])
        if other is None:
            return False
        space = self._registry.get("namespaces", "", other["metadata"]["namespace"]) or {"metadata": {}}
        if "namespaceSelector" in peer:
            if not selectors.of_object(peer["namespaceSelector"])(space["metadata"].get("labels") or {}):
                return False
        elif other["metadata"]["namespace"] != namespace:
            return False
        return selectors.of_object(peer.get("podSelector", {}))(other["metadata"].get("labels") or {})

    def pod_at(self, address: str) -> Obj | None:
        """The pod whose address this is."""
        if address == OUTSIDE:
            return None
        pods = self._store.objects("pods")
        return next((pod for pod in pods if (pod.get("status") or {}).get("podIP") == address), None)
