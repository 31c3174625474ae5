"""What the application's namespaces hold of the kinds that are written as manifests, read a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftchaos.platforms.kubernetes.calls import RESOURCES, Action
from ftchaos.platforms.kubernetes.failures import Denied
from ftchaos.platforms.kubernetes.manifests import Manifest, Name, Obj

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

# Secrets are not among them: who looks for drift need not be allowed to read them, see secrets().
READ = {
    "ConfigMap": "configmaps", "CronJob": "cronjobs", "DaemonSet": "daemonsets", "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers", "Ingress": "ingresses", "Job": "jobs",
    "LimitRange": "limitranges", "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims", "PodDisruptionBudget": "poddisruptionbudgets",
    "ResourceQuota": "resourcequotas", "Role": "roles", "RoleBinding": "rolebindings", "Service": "services",
    "ServiceAccount": "serviceaccounts", "StatefulSet": "statefulsets",
}  # fmt: skip
NAMESPACE = "Namespace"


def read(access: Access, manifests: Sequence[Manifest]) -> dict[Name, Obj]:
    """The objects of the application's namespaces, of each kind that is read: also of one that nobody has written.

    Of the namespaces themselves those that are written.
    """
    namespaces = access.place.namespaces
    found: dict[Name, Obj] = {}
    for kind, resource in READ.items():
        for namespace in namespaces:
            for obj in access.pages(resource, namespace):
                found[Name(kind, namespace, str(obj["metadata"]["name"]))] = obj
    for name in {one.name for one in manifests if one.name.kind == NAMESPACE and one.name.name in namespaces}:
        if (space := access.get("namespaces", "", name.name)) is not None:
            found[name] = space
    return found


def is_read(one: Manifest, namespaces: Sequence[str]) -> bool:
    """Whether there is something to compare a manifest with: of a kind and version and in a namespace that is read."""
    if one.name.kind == NAMESPACE:
        return one.name.name in namespaces
    here = one.name.namespace in namespaces if one.name.namespace else len(namespaces) == 1
    known = READ.get(one.name.kind, "")
    return here and bool(known) and one.obj.get("apiVersion") == RESOURCES[known].api_version


def secrets(access: Access) -> dict[Name, tuple[str, ...]] | None:
    """The Secrets of the application's namespaces by the names of their keys; None where they may not be read.

    The values are dropped as they come.
    """
    spaces = access.place.namespaces
    try:
        access.ensure_allowed([Action("list", "secrets", one) for one in spaces])
    except Denied:
        return None
    return {
        Name("Secret", space, str(obj["metadata"]["name"])): tuple(obj.get("data") or ())
        for space in spaces
        for obj in access.pages("secrets", space)
    }
