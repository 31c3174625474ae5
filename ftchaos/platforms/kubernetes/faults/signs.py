"""What the witness watches to see pods fall; see :class:`ftchaos.witness.Target`.

Within the cluster it connects to the pod itself. From elsewhere nobody reaches the address of a pod, whether it lives
or not: there it is seen as the API server shows it, see :mod:`ftchaos.platforms.kubernetes.sight`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ftchaos.platforms.kubernetes import sight
from ftchaos.platforms.kubernetes.inventory import Inventory, Pod


def of(
    inventory: Inventory, hit: Iterable[Pod], *, staying: bool = False, lasting: bool = False
) -> dict[str, Mapping[str, Any]]:
    """How each pod that is ready is watched; one that is not cannot be seen to fall.

    Args:
        staying: they are not to go, but to miss what they need.
        lasting: they are told to go, or their nodes are, and they serve on for a while.
    """
    seen = [one for one in hit if one.ready and not one.terminating]
    return {one.full_name: watched(inventory, one, staying=staying, lasting=lasting) for one in seen}


def watched(inventory: Inventory, one: Pod, *, staying: bool = False, lasting: bool = False) -> Mapping[str, Any]:
    """How a pod is watched from where the clients are."""
    if inventory.place["context"] == "in-cluster" and one.address and one.ports:
        return {"host": one.address, "port": one.ports[0], "kind": "tcp"}
    return sight.pod(one, staying=staying, lasting=lasting)


def served(url: str, path: str) -> dict[str, Mapping[str, Any]]:
    """How a path of the application is watched from where its clients are; its name shows no account of the url."""
    parts = urlsplit(url)
    whole = parts.path.rstrip("/") + path
    port = parts.port or (443 if parts.scheme == "https" else 80)
    name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{whole}"
    return {name: {"host": parts.hostname or "", "port": port, "kind": parts.scheme, "path": whole}}
