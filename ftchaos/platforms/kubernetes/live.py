"""What a cluster holds of the kinds that manifests are written for, read a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftchaos.platforms.kubernetes.calls import Action
from ftchaos.platforms.kubernetes.failures import Denied
from ftchaos.platforms.kubernetes.manifests import Manifest, Name, Obj

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

# Secrets are not among them: who looks for drift need not be allowed to read them, see secrets().
READ = {
    "ConfigMap": "configmaps", "CronJob": "cronjobs", "DaemonSet": "daemonsets", "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers", "Ingress": "ingresses", "Job": "jobs",
    "NetworkPolicy": "networkpolicies", "PersistentVolumeClaim": "persistentvolumeclaims",
    "PodDisruptionBudget": "poddisruptionbudgets", "Role": "roles", "RoleBinding": "rolebindings",
    "Service": "services", "ServiceAccount": "serviceaccounts", "StatefulSet": "statefulsets",
}  # fmt: skip


def read(access: Access, manifests: Sequence[Manifest]) -> tuple[dict[Name, Obj], list[Manifest]]:
    """The objects of the application's namespaces that are of a kind that the manifests have.

    Returns:
        The objects by name, and the manifests that nothing can be compared with: those of kinds that are not read,
        and of other namespaces.
    """
    namespaces = access.place.namespaces
    kinds = sorted({one.name.kind for one in manifests} & READ.keys())
    found: dict[Name, Obj] = {}
    for kind in kinds:
        for namespace in namespaces:
            for obj in access.pages(READ[kind], namespace):
                found[Name(kind, namespace, str(obj["metadata"]["name"]))] = obj
    return found, [one for one in manifests if not _is_read(one, namespaces)]


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


def _is_read(one: Manifest, namespaces: Sequence[str]) -> bool:
    here = one.name.namespace in namespaces if one.name.namespace else len(namespaces) == 1
    return one.name.kind in READ and here
