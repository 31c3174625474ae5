"""Services that really lead to pods, as kube-proxy lets them.

A Service with the annotation ``standin/serve`` gets an address out of 127.0.0.0/8 as its cluster IP, and each new
connection to one of its ports leads to an endpoint that is ready, chosen by lot; where none is, it is refused. What a
connection leads to does not change: it ends with the pod.
"""

from __future__ import annotations

import random
from typing import Any

from cluster.standin.admission import SERVE
from cluster.standin.controllers.loop import Loop, key_of
from cluster.standin.policies import OUTSIDE
from cluster.standin.processes import Processes
from cluster.standin.proxy import Address, Proxy, Route
from cluster.standin.store import Change, Key

Obj = dict[str, Any]


class Services:
    """What listens for services."""

    def __init__(self, loop: Loop, processes: Processes) -> None:
        self._loop, self._registry, self._processes = loop, loop.registry, processes
        self._proxies: dict[tuple[Key, int], Proxy] = {}
        for plural in ("services", "endpoints"):
            loop.on(plural, self._hear)
        loop.on("networkpolicies", lambda change: loop.due(self._cut))

    def reset(self) -> None:
        for proxy in self._proxies.values():
            proxy.close()
        self._proxies.clear()

    def _hear(self, change: Change) -> None:
        self._loop.due(self._reconcile, *key_of(change.record.obj))

    def _reconcile(self, namespace: str, name: str) -> None:
        key, service = (namespace, name), self._registry.get("services", namespace, name)
        served = service is not None and SERVE in (service["metadata"].get("annotations") or {})
        ports = [int(one["port"]) for one in service["spec"]["ports"]] if service and served else []
        wanted = {(key, port) for port in ports if self._targets(key, port)}
        for one in [one for one in self._proxies if one[0] == key and one not in wanted]:
            # Connections that are open stay so, to pods that are on their way out; they go with the service.
            proxy = self._proxies.pop(one)
            proxy.refuse() if served else proxy.close()
        for one in wanted - set(self._proxies):
            assert service is not None
            self._proxies[one] = self._listen(one, service["spec"]["clusterIP"])

    def _cut(self) -> None:
        """Reset the connections of pods that policies cut off from what they lead to.

        Who it is that has one is asked only now: as long as there are no policies, nobody needs to know.
        """
        for proxy in self._proxies.values():
            near = proxy.address
            proxy.sever(lambda one, near=near: not self._processes.may(one.peer, near, one.target))  # type: ignore[misc]

    def _listen(self, at: tuple[Key, int], address: str) -> Proxy:
        near = (address, at[1])

        def route(peer: Address) -> Route | None:
            targets = self._targets(*at)
            if not targets:
                return None
            source = self._processes.source(peer, near)
            return Route(random.choice(targets), "" if source == OUTSIDE else source)

        return Proxy(near, route)

    def _targets(self, key: Key, port: int) -> list[Address]:
        """The endpoints of a port that are ready."""
        service, found = self._registry.get("services", *key), self._registry.get("endpoints", *key)
        if service is None or found is None:
            return []
        names = {one["port"]: one.get("name", "") for one in service["spec"]["ports"]}
        return [
            (address["ip"], int(one["port"]))
            for subset in found.get("subsets") or []
            for one in subset["ports"]
            if one["name"] == names[port]
            for address in subset.get("addresses") or []
        ]
