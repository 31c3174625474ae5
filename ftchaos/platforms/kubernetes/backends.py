"""Which pods a Service leads to at this moment: those that are ready, with the port that is meant; or one pod alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftchaos.errors import Invalid
from ftchaos.platforms.kubernetes.access import Access
from ftchaos.platforms.kubernetes.inventory import Pod

Obj = dict[str, Any]
POD = "pod/"  # no name of a Service has a slash


@dataclass(frozen=True)
class Backend:
    """One pod of a Service."""

    namespace: str
    pod: str
    uid: str
    node: str
    port: int


def of(access: Access, namespace: str, name: str, port: int) -> list[Backend]:
    """Where a new connection may lead to.

    Args:
        name: of a Service, or ``pod/`` and the name of a pod, which need not be ready: whoever asks a server itself
            wants to know that, too.
    """
    if not name.startswith(POD):
        return ready(access, namespace, name, port)
    found = access.pages("pods", namespace, fieldSelector=f"metadata.name={name.removeprefix(POD)}")
    return [_backend(one, port) for one in found if one["status"].get("phase") == "Running"]


def members(access: Access, namespace: str, service: str, port: int, every: Sequence[Pod]) -> tuple[list[Pod], int]:
    """The pods of the workloads that a Service leads into, as it may lead to one of several that lead, and their port.

    Args:
        every: the pods that there are.

    Raises:
        Invalid: see :func:`ready`.
    """
    behind = ready(access, namespace, service, port)
    names = {one.pod for one in behind}
    mine = [one for one in every if one.namespace == namespace and one.address and not one.terminating]
    owners = {one.workload for one in mine if one.name in names} - {""}
    return [one for one in mine if one.name in names or one.workload in owners], behind[0].port if behind else port


def ready(access: Access, namespace: str, service: str, port: int) -> list[Backend]:
    """The pods that a new connection may lead to, in an order by lot.

    Raises:
        Invalid: there is no such Service, or it selects no pods, or has no such port.
    """
    found = next(iter(access.pages("services", namespace, fieldSelector=f"metadata.name={service}")), None)
    if found is None:
        raise Invalid(f"there is no service {service!r} in {namespace}", "see `kubectl get services`")
    selector = found["spec"].get("selector") or {}
    if not selector:
        raise Invalid(f"the service {service!r} in {namespace} selects no pods", "name one that does")
    target = next(
        (one.get("targetPort", port) for one in found["spec"].get("ports") or [] if one["port"] == port), None
    )
    if target is None:
        raise Invalid(f"the service {service!r} in {namespace} has no port {port}", "see `kubectl get services`")
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    pods = [one for one in access.pages("pods", namespace, labelSelector=labels) if is_ready(one)]
    random.shuffle(pods)
    numbers = ((one, _number(one, target)) for one in pods)
    return [_backend(one, number) for one, number in numbers if number is not None]


def lost(access: Access, backends: set[Backend]) -> set[Backend]:
    """Those that nobody can be connected to any more: gone, replaced, over, or on a node that is gone or silent.

    A pod that is not ready, or on its way out, keeps its connections, as it does behind a Service.
    """
    found: set[Backend] = set()
    for namespace in {one.namespace for one in backends}:
        pods = {str(one["metadata"]["uid"]): one for one in access.pages("pods", namespace)}
        for backend in (one for one in backends if one.namespace == namespace):
            pod = pods.get(backend.uid)
            if pod is None or pod["status"].get("phase") in ("Succeeded", "Failed"):
                found.add(backend)
            elif not _has(pod, "Ready"):
                node = next(iter(access.pages("nodes", fieldSelector=f"metadata.name={backend.node}")), None)
                if node is None or not _has(node, "Ready"):
                    found.add(backend)
    return found


def is_ready(pod: Obj) -> bool:
    """Whether a Service leads new connections to a pod."""
    return _has(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]


def _has(obj: Obj, condition: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


def _number(pod: Obj, target: int | str) -> int | None:
    """The number of a port that may be named."""
    if isinstance(target, int):
        return target
    ports = [port for one in pod["spec"]["containers"] for port in one.get("ports") or []]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == target), None)


def _backend(pod: Obj, port: int) -> Backend:
    metadata = pod["metadata"]
    return Backend(
        str(metadata["namespace"]), str(metadata["name"]), str(metadata["uid"]), str(pod["spec"]["nodeName"]), port
    )
