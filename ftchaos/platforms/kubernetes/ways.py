"""Where the pods of one cluster are reached from here: at their own addresses within it, else through port-forwards."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from dataclasses import dataclass, field

from ftchaos.platforms.kubernetes import backends, forward
from ftchaos.platforms.kubernetes.inventory import Pod
from ftchaos.platforms.kubernetes.place import IN_CLUSTER, Place
from ftchaos.workload.cluster import Address


@dataclass
class Ways:
    """Ways that stay open until :meth:`end`, so that each pod keeps its address here, whichever it has there."""

    place: Place
    _begun: list[forward.Forwards] = field(default_factory=list)
    _known: dict[tuple[str, int], Address] = field(default_factory=dict)

    def __post_init__(self) -> None:
        atexit.register(self.end)  # of a preview nobody tells the end

    @property
    def within(self) -> bool:
        """Whether this is the cluster itself."""
        return self.place.context == IN_CLUSTER

    def to(self, pods: Sequence[Pod], port: int) -> dict[str, Address]:
        """The address of each pod, by its full name.

        Raises:
            Refused, Inconclusive: see :func:`ftchaos.platforms.kubernetes.forward.begin`.
        """
        if self.within:
            return {one.full_name: (one.host or one.address, port) for one in pods}
        lacking = {one.full_name: one for one in pods if (one.full_name, port) not in self._known}
        if lacking:
            targets = {name: (one.namespace, f"{backends.POD}{one.name}", port) for name, one in lacking.items()}
            made = forward.begin(self.place, targets)
            self._begun.append(made)
            self._known |= {(name, port): made.address(name) for name in lacking}
        return {one.full_name: self._known[one.full_name, port] for one in pods}

    def to_service(self, namespace: str, name: str, port: int) -> Address:
        """The address of a Service.

        Raises:
            Refused, Invalid, Inconclusive: see :func:`ftchaos.platforms.kubernetes.forward.begin`.
        """
        if self.within:
            return f"{name}.{namespace}.svc", port
        key = f"{namespace}/{name}", -port  # a pod may have the same name
        if key not in self._known:
            made = forward.begin(self.place, {name: (namespace, name, port)})
            self._begun.append(made)
            self._known[key] = made.address(name)
        return self._known[key]

    def end(self) -> None:
        """Close all; also twice."""
        for one in self._begun:
            one.end()
        self._begun.clear()
        self._known.clear()
