"""Which objects of a namespace are its configuration, what of them somebody wrote, and what differs later. Pure.

What others made of it (pods, the Secrets of Helm and of tokens, the root certificate) and what the server filled in
(addresses, uids, revisions) is no configuration: it is made again, and otherwise. Values of Secrets are compared and
never told.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftchaos.platforms.kubernetes import drift
from ftchaos.platforms.kubernetes.calls import RESOURCES
from ftchaos.platforms.kubernetes.drift import Difference
from ftchaos.platforms.kubernetes.manifests import Manifest, Name, Obj

ORDER = {
    "LimitRange": "limitranges", "ServiceAccount": "serviceaccounts", "Role": "roles", "RoleBinding": "rolebindings",
    "ConfigMap": "configmaps", "Secret": "secrets", "NetworkPolicy": "networkpolicies", "Service": "services",
    "Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "Job": "jobs",
    "CronJob": "cronjobs", "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "PodDisruptionBudget": "poddisruptionbudgets", "Ingress": "ingresses", "ResourceQuota": "resourcequotas",
}  # fmt: skip
"""The kinds that are recorded, in the order in which they are created: what others refer to first, and quotas last, as
until its status is written a quota forbids all that it counts."""
OF_CLUSTER = (
    "Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PersistentVolume", "PriorityClass",
    "StorageClass",
)  # fmt: skip
"""Kinds of manifests that are in no namespace, and so are not lost with one."""
TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet")
RESTORED = {*ORDER, "ReplicaSet"}
HELM, TOKEN = "helm.sh/release.v1", "kubernetes.io/service-account-token"
_OF_SERVER = (
    "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "ownerReferences",
    "finalizers", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
_OF_CONTROLLERS = (
    "deployment.kubernetes.io/", "deprecated.daemonset.template.generation", "control-plane.alpha.kubernetes.io/",
    "kubernetes.io/service-account.uid", "batch.kubernetes.io/",
)  # fmt: skip
_OF_JOBS = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_OF_TOOLS = (
    "app.kubernetes.io/managed-by", "argocd.argoproj.io/installation-id", "argocd.argoproj.io/instance",
    "argocd.argoproj.io/tracking-id", "helm.toolkit.fluxcd.io/name", "kubectl.kubernetes.io/last-applied-configuration",
    _RESTARTED, "kustomize.toolkit.fluxcd.io/checksum", "kustomize.toolkit.fluxcd.io/name",
    "meta.helm.sh/", "velero.io/",
)  # fmt: skip
"""Notes of tools about themselves, which are given back and not compared: kubectl, Helm, Argo CD, Flux and Velero write
them when they apply what is written, or restart it. In the template of pods they are as somebody wrote them, and only
that of a restart is left out: to give it back restarts the pods."""


def api_version(resource: str) -> str:
    """Of a resource, as its objects have it."""
    return RESOURCES[resource].api_version


def is_written(name: Name, obj: Mapping[str, Any]) -> bool:
    """Whether somebody wrote an object: neither the cluster made it, nor another object that is restored."""
    if (name.kind, name.name) == ("ConfigMap", "kube-root-ca.crt"):
        return False
    owners = obj["metadata"].get("ownerReferences") or ()
    return not any(one.get("controller") and one["kind"] in RESTORED for one in owners)


def has_ended(name: Name, obj: Mapping[str, Any]) -> bool:
    """Whether it is a Job that is history: created again, it would run again."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return name.kind == "Job" and any(
        one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions
    )


def kept(name: Name, obj: Mapping[str, Any]) -> Obj:
    """An object as the server would take it again."""
    found = copy.deepcopy({key: value for key, value in obj.items() if key != "status"})
    metadata = {key: value for key, value in found["metadata"].items() if key not in _OF_SERVER}
    if annotations := _without(metadata.pop("annotations", None), _OF_CONTROLLERS):
        metadata["annotations"] = annotations
    found["metadata"] = metadata
    if name.kind == "Job":
        found["spec"].pop("selector", None)
        template = found["spec"]["template"].setdefault("metadata", {})
        template["labels"] = {key: one for key, one in (template.get("labels") or {}).items() if key not in _OF_JOBS}
        metadata["labels"] = {key: one for key, one in (metadata.get("labels") or {}).items() if key not in _OF_JOBS}
    elif name.kind == "ServiceAccount":
        found.pop("secrets", None)
    elif name.kind == "Secret" and found.get("type") == TOKEN:
        found.pop("data", None)
    elif name.kind == "Namespace":
        found.pop("spec", None)
    return found


def tagged(body: Obj, was: Obj, tag: str) -> Obj:
    """A namespace with the label or annotation that lets ftchaos harm it, where it had it.

    Whoever allowed it need not have written so: it is no part of the configuration.
    """
    key, _, value = tag.partition("=")
    metadata = dict(body["metadata"])
    for part in ("labels", "annotations"):
        if (was["metadata"].get(part) or {}).get(key) == value:
            metadata[part] = {**(metadata.get(part) or {}), key: value}
    return {**body, "metadata": metadata}


def without_addresses(obj: Obj) -> Obj:
    """A Service without what the cluster gave it; a headless one keeps that it is."""
    spec = dict(obj["spec"])
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    spec.pop("healthCheckNodePort", None)
    if spec.get("type") == "LoadBalancer" and "ports" in spec:
        spec["ports"] = [{key: one for key, one in port.items() if key != "nodePort"} for port in spec["ports"]]
    return {**obj, "spec": spec}


def differences(before: Mapping[Name, Obj], after: Mapping[Name, Obj]) -> list[Difference]:
    """What is not as it was: missing, more, or otherwise.

    Args:
        before, after: objects as :func:`kept` gives them.
    """
    was, is_ = compared(before), compared(after)
    found = drift.compare(_manifests(was), is_, "")
    told = {(one.name, one.path) for one in found}
    # A field that was not there before: what was is held against what is, the other way round.
    for one in drift.compare(_manifests(is_), was, ""):
        parents = [one.path[: at + 1].rstrip(".[") for at, letter in enumerate(one.path) if letter in ".["]
        known = any((one.name, path) in told for path in (*parents, one.path, ""))
        if not known and one.path and not one.path.startswith("metadata."):
            found.append(Difference(one.name, one.path, one.found, one.written))
    return found


def words(one: Difference) -> str:
    """A difference against what was there before."""
    if one.path:
        return f"{one.name}: {one.path} is {one.found}, and was {one.written}"
    if one.written == "there":
        return f"{one.name} is not there any more"
    return f"{one.name} is there, and was not before"


def in_order(names: Iterable[Name]) -> list[Name]:
    """Names in the order in which their objects are created."""
    kinds = list(ORDER)
    return sorted(names, key=lambda one: (kinds.index(one.kind) if one.kind in ORDER else -1, one))


def compared(objects: Mapping[Name, Obj]) -> dict[Name, Obj]:
    """What of objects counts when they are held against others."""
    return {name: _bare(name, obj) for name, obj in objects.items() if obj.get("type") != HELM}


def notes(was: Obj, is_: Obj) -> Obj:
    """A merge patch of the metadata that gives back the notes of tools; empty where nothing of them is otherwise."""
    change: Obj = {}
    for part in ("labels", "annotations"):
        had, has = was["metadata"].get(part) or {}, is_["metadata"].get(part) or {}
        if lost := {key: one for key, one in had.items() if key.startswith(_OF_TOOLS) and has.get(key) != one}:
            change[part] = lost
    return change


def _bare(name: Name, obj: Obj) -> Obj:
    noted = obj["metadata"]
    parts = {part: _without(noted.get(part), _OF_TOOLS) for part in ("labels", "annotations")}
    found = {**obj, "metadata": {**noted, **parts}}
    template = (obj.get("spec") or {}).get("template") if name.kind in TEMPLATED else None
    if template and _RESTARTED in ((template.get("metadata") or {}).get("annotations") or ()):
        metadata = template["metadata"]
        metadata = {**metadata, "annotations": _without(metadata["annotations"], (_RESTARTED,))}
        found["spec"] = {**obj["spec"], "template": {**template, "metadata": metadata}}
    if found.get("type") == TOKEN:
        found.pop("data", None)
    return without_addresses(found) if name.kind == "Service" else found


def _manifests(objects: Mapping[Name, Obj]) -> list[Manifest]:
    return [Manifest(name, obj, Path()) for name, obj in objects.items()]


def _without(notes: Mapping[str, Any] | None, prefixes: tuple[str, ...]) -> Obj:
    return {key: value for key, value in (notes or {}).items() if not key.startswith(prefixes)}
