"""What a cluster holds of the kinds that manifests are written for, read a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftchaos.platforms.kubernetes.manifests import Manifest, Name, Obj

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

# Secrets are not among them: who looks for drift need not be allowed to read them.
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


def _is_read(one: Manifest, namespaces: Sequence[str]) -> bool:
    here = one.name.namespace in namespaces if one.name.namespace else len(namespaces) == 1
    return one.name.kind in READ and here
