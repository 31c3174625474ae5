"""Reads the inventory: whole lists page by page, of the application's namespaces only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftchaos import cloud
from ftchaos.errors import Refused
from ftchaos.platforms.kubernetes import inventory
from ftchaos.platforms.kubernetes.inventory import Inventory, Node, Pod
from ftchaos.platforms.kubernetes.place import IN_CLUSTER, OWN_NODE

if TYPE_CHECKING:
    from ftchaos.config import Environment
    from ftchaos.platforms.kubernetes.access import Access

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
KINDS = {
    "Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "ReplicaSet": "replicasets",
}  # fmt: skip


def of(
    access: Access, settings: Environment, *, everywhere: bool = False,
    ask: Callable[[Sequence[Pod]], Mapping[str, str]] | None = None,
) -> Inventory:  # fmt: skip
    """The inventory of an environment as it is configured; see :func:`take`."""
    return take(
        access, tag=settings.tag, client_zone=settings.client_zone or "", everywhere=everywhere, api=settings.api or "",
        ask=ask,
    )  # fmt: skip


def take(
    access: Access, *, tag: str = cloud.TAG, client_zone: str = "", everywhere: bool = False, api: str = "",
    ask: Callable[[Sequence[Pod]], Mapping[str, str]] | None = None,
) -> Inventory:  # fmt: skip
    """How the cluster stands now.

    Args:
        tag: the label or annotation of namespaces and nodes that may be harmed.
        client_zone: where the clients of the run are, or ``outside``; without it a pod takes that of its node.
        everywhere: whether to look at the pods of all namespaces, which few credentials may: a fault that takes whole
            nodes must know who else is on them.
        api: where clients upload.
        ask: asks the servers of databases which of them lead; see :attr:`Inventory.roles`.

    Raises:
        Refused: a namespace of the application is not there or does not carry the tag, or something may not be read.
    """
    access.ensure_right_place()
    nameless = []
    for name in access.place.namespaces:
        found = access.get("namespaces", "", name)
        if found is None or not inventory.carries(found, tag):
            raise Refused(
                f"the namespace {name} does not carry the label {tag}" if found else f"there is no namespace {name}",
                f"allow faults in it: kubectl label namespace {name} {tag}" if found else "correct the configuration",
            )
        if not inventory.carries(found, f"{inventory.NAME_LABEL}={name}"):
            nameless.append(name)
    spaces = access.place.namespaces
    there, found_nodes = tuple(pods(access, spaces)), nodes(access, tag)
    return Inventory(
        place=access.place.to_json(),
        tag=tag,
        namespaces=spaces,
        nodes=tuple(found_nodes),
        pods=there,
        wanted=wanted(access, spaces),
        policies=tuple(every(access, "networkpolicies", spaces)),
        foreign=tuple(_foreign(access, spaces)) if everywhere else None,
        client_zone=client_zone or _own_zone(access.place.context, found_nodes),
        scalers=tuple(every(access, "horizontalpodautoscalers", spaces)),
        api=api,
        roles=ask(there) if ask else {},
        client_namespace=_own_namespace(access),
        nameless=tuple(nameless),
    )


def _own_zone(context: str, every_node: Iterable[Node]) -> str:
    """The zone of the pod that this runs in; empty for any other process, or where its node has none."""
    own = os.environ.get(OWN_NODE, "") if context == IN_CLUSTER else ""
    return next((one.zone for one in every_node if one.name == own), "")


def _own_namespace(access: Access) -> str:
    """The namespace that this process is in, when it is a pod of the cluster."""
    if access.place.context != IN_CLUSTER:
        return ""
    try:
        return OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def every(access: Access, resource: str, namespaces: Iterable[str]) -> list[dict[str, Any]]:
    """All objects of a kind in these namespaces."""
    return [one for namespace in namespaces for one in access.pages(resource, namespace)]


def nodes(access: Access, tag: str = cloud.TAG) -> list[Node]:
    return [inventory.node(one, tag) for one in access.pages("nodes")]


def pods(access: Access, namespaces: Iterable[str]) -> list[Pod]:
    """The pods of these namespaces that have not ended, each with what brings it back."""
    spaces = list(namespaces)
    return inventory.pods(every(access, "pods", spaces), every(access, "replicasets", spaces))


def wanted(access: Access, namespaces: Iterable[str]) -> dict[str, int]:
    """How many pods each workload is to have."""
    spaces = list(namespaces)
    found: dict[str, int] = {}
    for kind, resource in KINDS.items():
        found |= inventory.wanted(kind, every(access, resource, spaces))
    return found


def _foreign(access: Access, namespaces: Iterable[str]) -> list[Pod]:
    """The pods of all other namespaces."""
    mine = set(namespaces)
    return [one for one in inventory.pods(access.pages("pods")) if one.namespace not in mine]
