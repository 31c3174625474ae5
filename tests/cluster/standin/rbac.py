"""Who asks, and what roles let them do; the reviews by which clients ask for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster.standin.kinds import Kind, named
from cluster.standin.registry import Registry
from cluster.standin.store import Change
from cluster.standin.times import clone, stamp

Obj = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"
_DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
              "/version", "/version/"]  # fmt: skip
_READ = ["get", "list", "watch"]
_REVIEWS = {"apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}  # fmt: skip
_WHO = {"apiGroups": ["authentication.k8s.io"], "verbs": ["create"], "resources": ["selfsubjectreviews"]}

# The cluster roles that every cluster has, as far as a test may bind them, and who is bound from the beginning.
ROLES: dict[str, list[Obj]] = {
    "cluster-admin": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
    "view": [
        {
            "apiGroups": [""],
            "verbs": _READ,
            "resources": ["configmaps", "endpoints", "persistentvolumeclaims", "pods", "serviceaccounts", "services",
                          "events", "limitranges", "namespaces", "pods/log", "pods/status", "resourcequotas"],
        },
        {
            "apiGroups": ["apps"],
            "verbs": _READ,
            "resources": ["daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale",
                          "statefulsets", "statefulsets/scale"],
        },
        {"apiGroups": ["autoscaling"], "verbs": _READ, "resources": ["horizontalpodautoscalers"]},
        {"apiGroups": ["batch"], "verbs": _READ, "resources": ["cronjobs", "jobs"]},
        {"apiGroups": ["discovery.k8s.io"], "verbs": _READ, "resources": ["endpointslices"]},
        {"apiGroups": ["networking.k8s.io"], "verbs": _READ, "resources": ["ingresses", "networkpolicies"]},
        {"apiGroups": ["policy"], "verbs": _READ, "resources": ["poddisruptionbudgets"]},
    ],
    "system:basic-user": [_REVIEWS, _WHO],
    "system:discovery": [{"nonResourceURLs": _DISCOVERY, "verbs": ["get"]}],
}  # fmt: skip
BOUND = {"cluster-admin": "system:masters", "system:basic-user": "system:authenticated",
         "system:discovery": "system:authenticated"}  # fmt: skip


@dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...]


ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))


def account(namespace: str, name: str) -> User:
    """A service account as a user."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


@dataclass(frozen=True)
class Attributes:
    """What somebody wants to do: to a resource, or to a path where ``resource`` is empty."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """Roles and bindings as they are stored, applied."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[User, str], list[Obj]] = {}
        registry.store.watchers.append(self._forget)

    def bootstrap(self) -> None:
        """Create the roles and bindings that every cluster has."""
        labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
        for name, rules in ROLES.items():
            role = {"metadata": {"name": name, "labels": labels}, "rules": rules}
            self._registry.create(named("clusterroles"), "", clone(role))
        for name, group in BOUND.items():
            subjects = [{"kind": "Group", "name": group}]
            binding = {"metadata": {"name": name, "labels": labels}, "subjects": subjects}
            binding["roleRef"] = {"kind": "ClusterRole", "name": name}
            self._registry.create(named("clusterrolebindings"), "", binding)

    def allows(self, user: User, wanted: Attributes) -> bool:
        """Whether some rule allows it."""
        return any(_covers(rule, wanted) for rule in self.rules(user, wanted.namespace))

    def rules(self, user: User, namespace: str) -> list[Obj]:
        """All rules that hold for a user in a namespace, or in the cluster as a whole where it is empty."""
        if (user, namespace) not in self._known:
            found = []
            store = self._registry.store
            bindings = store.objects(f"clusterrolebindings.{_GROUP}")
            if namespace:
                bindings = [*bindings, *store.objects(f"rolebindings.{_GROUP}", namespace)]
            for binding in bindings:
                at = binding["metadata"].get("namespace", "")
                if any(_is(subject, user, at) for subject in binding.get("subjects") or []):
                    found.extend(self.rules_of(binding["roleRef"], at))
            self._known[user, namespace] = found
        return self._known[user, namespace]

    def rules_of(self, reference: Obj, namespace: str) -> list[Obj]:
        """What the role of a binding allows."""
        plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
        role = self._registry.get(plural, namespace if plural == "roles" else "", reference["name"])
        return list((role or {}).get("rules") or [])

    def _forget(self, change: Change) -> None:
        if change.table.endswith(_GROUP):
            self._known.clear()

    # Reviews ----------------------------------------------------------------------------------------------------

    def review(self, kind: Kind, user: User, body: Obj) -> Obj:
        """The answer to a review."""
        spec = body.get("spec") or {}
        metadata = {**(body.get("metadata") or {}), "creationTimestamp": None}
        answer = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata, "spec": spec}
        match kind.plural:
            case "selfsubjectreviews":
                del answer["spec"]
                metadata["creationTimestamp"] = stamp()
                status: Obj = {"userInfo": {"username": user.name, "groups": list(user.groups)}}
            case "selfsubjectrulesreviews":
                status = _listed(self.rules(user, spec.get("namespace") or "default"))
            case _:
                if kind.plural == "subjectaccessreviews":
                    user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
                allowed = self.allows(user, _attributes(spec))
                status = {"allowed": allowed, **({} if allowed else {"reason": ""})}
        return {**answer, "status": status}


def _attributes(spec: Obj) -> Attributes:
    if "nonResourceAttributes" in spec:
        found = spec["nonResourceAttributes"]
        return Attributes(found.get("verb", ""), path=found.get("path", ""))
    found = spec.get("resourceAttributes") or {}
    names = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Attributes(**{name: found.get(name) or "" for name in names})


def _is(subject: Obj, user: User, namespace: str) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return user.name == f"system:serviceaccount:{where}:{subject['name']}"
    return False


def _covers(rule: Obj, wanted: Attributes) -> bool:
    verbs = rule.get("verbs") or []
    if "*" not in verbs and wanted.verb not in verbs:
        return False
    if not wanted.resource:
        urls = rule.get("nonResourceURLs") or []
        return any(
            one in ("*", wanted.path) or (one.endswith("*") and wanted.path.startswith(one[:-1])) for one in urls
        )
    groups, resources = rule.get("apiGroups") or [], rule.get("resources") or []
    if "*" not in groups and wanted.group not in groups:
        return False
    if not {"*", wanted.full, *([f"*/{wanted.subresource}"] if wanted.subresource else [])} & set(resources):
        return False
    names = rule.get("resourceNames") or []
    return not names or wanted.name in names


def _listed(rules: list[Obj]) -> Obj:
    resources, urls = [], []
    for rule in rules:
        if rule.get("nonResourceURLs"):
            urls.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
        else:
            names = ("verbs", "apiGroups", "resources", "resourceNames")
            resources.append({name: rule[name] for name in names if rule.get(name)})
    return {"resourceRules": resources, "nonResourceRules": urls, "incomplete": False}
