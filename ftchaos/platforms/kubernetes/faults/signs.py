"""What the witness watches to see pods fall; see :class:`ftchaos.witness.Target`.

Within the cluster it connects to the pod itself. From elsewhere nobody reaches the address of a pod, whether it lives
or not: there it is seen as the API server shows it, see :mod:`ftchaos.platforms.kubernetes.sight`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ftchaos.platforms.kubernetes import sight
from ftchaos.platforms.kubernetes.inventory import Inventory, Pod


def of(inventory: Inventory, hit: Iterable[Pod]) -> dict[str, Mapping[str, Any]]:
    """How each pod that is ready is watched; one that is not cannot be seen to fall."""
    return {one.full_name: watched(inventory, one) for one in hit if one.ready and not one.terminating}


def watched(inventory: Inventory, one: Pod) -> Mapping[str, Any]:
    """How a pod is watched from where the clients are."""
    if inventory.place["context"] == "in-cluster" and one.address and one.ports:
        return {"host": one.address, "port": one.ports[0], "kind": "tcp"}
    return sight.pod(one)
