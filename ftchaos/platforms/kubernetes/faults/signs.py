"""What the witness watches to see pods fall; see :class:`ftchaos.witness.Target`.

Only from within the cluster: from elsewhere nobody reaches the address of a pod, whether it lives or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ftchaos.platforms.kubernetes.inventory import Inventory, Pod


def of(inventory: Inventory, hit: Iterable[Pod]) -> dict[str, Mapping[str, Any]]:
    """The first port of each pod that is ready and declares one; none where the witness is outside."""
    if inventory.place["context"] != "in-cluster":
        return {}
    seen = [pod for pod in hit if pod.ready and pod.address and pod.ports]
    return {pod.full_name: {"host": pod.address, "port": pod.ports[0], "kind": "tcp"} for pod in seen}
