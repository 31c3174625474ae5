"""The kinds that the cluster serves, and what each of them can do; CustomResourceDefinitions add to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One resource of the API.

    Attributes:
        subresources: ``status``, ``scale`` and others that it has.
        generation: whether a change of the spec counts up ``metadata.generation``.
        unconditional: whether an update without a resourceVersion is taken.
        returned: whether a delete answers with the object instead of a Status.
        custom: whether a CustomResourceDefinition made it.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    generation: bool = False
    unconditional: bool = True
    returned: bool = False
    custom: bool = False
    singular: str = ""
    categories: tuple[str, ...] = field(default=())

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages name it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def table(self) -> str:
        """Where its objects are kept; all versions of a kind share it."""
        return self.qualified

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, *(["namespaces", namespace] if namespace else []), self.plural, name, subresource]
        return "/".join(part for part in parts if part)


def _kind(group: str, version: str, plural: str, kind: str, subresources: str = "", **more: Any) -> Kind:
    return Kind(group, version, plural, kind, subresources=tuple(subresources.split()), **more)


_APPS = {"group": "apps", "version": "v1", "generation": True, "categories": ("all",)}
_RBAC, _LIST = ("rbac.authorization.k8s.io", "v1"), ("all",)
BUILT_IN = (
    _kind("", "v1", "namespaces", "Namespace", "status finalize", namespaced=False, short=("ns",), returned=True),
    _kind("", "v1", "nodes", "Node", "status", namespaced=False, short=("no",)),
    _kind("", "v1", "pods", "Pod", "status eviction binding log portforward", short=("po",), returned=True,
          categories=_LIST),
    _kind("", "v1", "services", "Service", "status", short=("svc",), returned=True, categories=_LIST),
    _kind("", "v1", "endpoints", "Endpoints", short=("ep",), singular="endpoints"),
    _kind("", "v1", "configmaps", "ConfigMap", short=("cm",)),
    _kind("", "v1", "secrets", "Secret"),
    _kind("", "v1", "serviceaccounts", "ServiceAccount", "token", short=("sa",), returned=True),
    _kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "status", short=("pvc",), returned=True),
    _kind("", "v1", "persistentvolumes", "PersistentVolume", "status", namespaced=False, short=("pv",), returned=True),
    _kind("", "v1", "events", "Event", short=("ev",)),
    _kind("", "v1", "resourcequotas", "ResourceQuota", "status", short=("quota",), returned=True),
    _kind("", "v1", "limitranges", "LimitRange", short=("limits",)),
    _kind(plural="deployments", kind="Deployment", subresources="status scale", short=("deploy",), **_APPS),
    _kind(plural="replicasets", kind="ReplicaSet", subresources="status scale", short=("rs",), **_APPS),
    _kind(plural="statefulsets", kind="StatefulSet", subresources="status scale", short=("sts",), **_APPS),
    _kind(plural="daemonsets", kind="DaemonSet", subresources="status", short=("ds",), **_APPS),
    _kind("batch", "v1", "jobs", "Job", "status", generation=True, categories=_LIST),
    _kind("batch", "v1", "cronjobs", "CronJob", "status", generation=True, short=("cj",), categories=_LIST),
    _kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "status", generation=True, short=("pdb",),
          unconditional=False),
    _kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "status", short=("hpa",),
          categories=_LIST),
    _kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", generation=True, short=("netpol",)),
    _kind("networking.k8s.io", "v1", "ingresses", "Ingress", "status", generation=True, short=("ing",)),
    _kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True),
    _kind("coordination.k8s.io", "v1", "leases", "Lease", unconditional=False),
    _kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False, short=("sc",), returned=True),
    _kind("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False, short=("pc",)),
    _kind(*_RBAC, "roles", "Role"),
    _kind(*_RBAC, "rolebindings", "RoleBinding"),
    _kind(*_RBAC, "clusterroles", "ClusterRole", namespaced=False),
    _kind(*_RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", "status",
          namespaced=False, short=("crd", "crds"), generation=True, unconditional=False),
)  # fmt: skip

# They are asked with POST and kept nowhere.
REVIEWS = (
    _kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False),
    _kind("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False),
    _kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False),
    _kind("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False),
)


class Kinds:
    """What is served at the moment."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self.reset()

    def reset(self) -> None:
        self._by_path = {(one.group, one.version, one.plural): one for one in (*BUILT_IN, *REVIEWS)}

    def add(self, kind: Kind) -> None:
        self._by_path[kind.group, kind.version, kind.plural] = kind

    def remove(self, group: str, plural: str) -> None:
        self._by_path = {at: one for at, one in self._by_path.items() if (one.group, one.plural) != (group, plural)}

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_path.get((group, version, plural))

    def all(self) -> list[Kind]:
        return list(self._by_path.values())

    def of(self, api_version: str, kind: str) -> Kind | None:
        """The kind of an object, for owner references and the like."""
        group, _, version = api_version.rpartition("/")
        found = (one for one in self._by_path.values() if (one.group, one.version, one.kind) == (group, version, kind))
        return next(found, None)


def named(plural: str) -> Kind:
    """A built-in kind by its plural."""
    return _NAMED[plural]


_NAMED = {one.plural: one for one in (*BUILT_IN, *REVIEWS)}
