"""Every API call that ftchaos makes, one line each: what may be called, for what, and in which scope.

The roles are made of this table, and what a fault needs is asked for by it. The tests fail on a call that is not in
it. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "faults", "configuration"]
KINDS: tuple[Kind, ...] = ("read", "faults", "configuration")
WATCH = "watch"
DRAIN, OUTAGE, NODES, PARTITION, KILL = "drain", "outage", "nodes", "partition", "kill"
OUT_OF_SERVICE = "out-of-service"
CUT_OFF = "cut-off"  # of databases
LOAD = "load"  # on an autoscaler
APART = "apart"  # of two namespaces
OF_NODES = (NODES, OUT_OF_SERVICE)  # what harms all that is on a node, whosever it is
BY_POLICY = (PARTITION, CUT_OFF, APART)
VELERO = "velero"  # a way of restoring a configuration
LEASE = "lease"  # no fault: the lock that each run holds which harms something
LEASE_NAME = "ftchaos"
DISCOVERY = "/apis"  # no resource: what the server serves; the name of a call is its path
ANY = "*"  # all that a namespace holds; a call names the kind, like ``widgets.v1.example.com``
FORWARD = "forward"  # no fault: what lets clients reach a database in the cluster


@dataclass(frozen=True)
class Resource:
    """Where a resource is served.

    Attributes:
        group: empty for the core.
        plural: with its subresource.
    """

    group: str
    plural: str
    namespaced: bool = True
    version: str = "v1"

    @property
    def api_version(self) -> str:
        """As its objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str) -> str:
        """Of an object, or of the list of them; without a namespace that of all namespaces."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        plural, _, subresource = self.plural.partition("/")
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        parts = [base + where, plural, *([name] if name else []), *([subresource] if subresource else [])]
        return "/".join(parts)


RESOURCES = {
    one.plural: one
    for one in (
        Resource("", "namespaces", namespaced=False),
        Resource("", "nodes", namespaced=False),
        Resource("", "persistentvolumes", namespaced=False),
        Resource("", "configmaps"),
        Resource("", "persistentvolumeclaims"),
        Resource("", "pods"),
        Resource("", "pods/eviction"),
        Resource("", "pods/portforward"),
        Resource("", "limitranges"),
        Resource("", "resourcequotas"),
        Resource("", "secrets"),
        Resource("", "serviceaccounts"),
        Resource("", "services"),
        Resource("apps", "daemonsets"),
        Resource("apps", "deployments"),
        Resource("apps", "replicasets"),
        Resource("apps", "statefulsets"),
        Resource("authorization.k8s.io", "selfsubjectaccessreviews", namespaced=False),
        Resource("batch", "cronjobs"),
        Resource("batch", "jobs"),
        Resource("coordination.k8s.io", "leases"),
        Resource("autoscaling", "horizontalpodautoscalers", version="v2"),
        Resource("networking.k8s.io", "ingresses"),
        Resource("networking.k8s.io", "networkpolicies"),
        Resource("policy", "poddisruptionbudgets"),
        Resource("rbac.authorization.k8s.io", "clusterroles", namespaced=False),
        Resource("rbac.authorization.k8s.io", "rolebindings"),
        Resource("rbac.authorization.k8s.io", "roles"),
        Resource("velero.io", "backups"),
        Resource("velero.io", "restores"),
        Resource("", DISCOVERY, namespaced=False),
        Resource("*", ANY),
    )
}


def path_of(resource: str, namespace: str = "", name: str = "") -> str:
    """Where a resource is: one of the table, or another as ``plural.version.group``, which is empty for the core."""
    if resource == DISCOVERY:
        return name
    if (known := RESOURCES.get(resource)) is None:
        plural, version, group = resource.split(".", 2)
        known = Resource(group, plural, version=version)
    return known.path(namespace, name)


def in_table(resource: str) -> str:
    """As the table has a resource."""
    return resource if resource in RESOURCES else ANY


@dataclass(frozen=True)
class Action:
    """One thing that credentials must be allowed to do.

    Attributes:
        name: of the only object that it is done to; a role may allow it of that one alone.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return " ".join(filter(None, (self.verb, self.resource, self.name))) + where


@dataclass(frozen=True)
class Operation:
    """One line of the table.

    Attributes:
        kind: what it is for; faults read as well.
        manners: the faults that need it; of what all of them read none are named.
        everywhere: it is asked of all namespaces at once, which only a ClusterRole allows.
    """

    kind: Kind
    verb: str
    resource: str
    manners: tuple[str, ...] = ()
    everywhere: bool = False

    @property
    def of_cluster(self) -> bool:
        """Whether only a ClusterRole can allow it."""
        return self.everywhere or not RESOURCES[self.resource].namespaced


RESTORED = (
    "configmaps", "cronjobs", "daemonsets", "deployments", "horizontalpodautoscalers", "ingresses", "jobs",
    "limitranges", "networkpolicies", "poddisruptionbudgets", "resourcequotas", "rolebindings", "roles", "secrets",
    "serviceaccounts", "services", "statefulsets",
)  # fmt: skip
"""What a lost namespace is given back."""
UNNAMED = ("create", "list", "watch")
"""What is not done to an object of a known name, so that no rule can allow it of one alone."""
WRITES = ("list", "create", "patch", "update", "delete")

CALLS: tuple[Operation, ...] = (
    # Read
    Operation("read", "get", "namespaces"),
    Operation("read", "list", "nodes"),
    Operation("read", "list", "persistentvolumes"),
    Operation("read", "list", "configmaps"),
    Operation("read", "list", "cronjobs"),
    Operation("read", "list", "daemonsets"),
    Operation("read", "list", "deployments"),
    Operation("read", "list", "horizontalpodautoscalers"),
    Operation("read", "list", "ingresses"),
    Operation("read", "list", "jobs"),
    Operation("read", "list", "limitranges"),
    Operation("read", "list", "networkpolicies"),
    Operation("read", "list", "persistentvolumeclaims"),
    Operation("read", "list", "poddisruptionbudgets"),
    Operation("read", "list", "pods"),
    Operation("read", "list", "replicasets"),
    Operation("read", "list", "resourcequotas"),
    Operation("read", "list", "rolebindings"),
    Operation("read", "list", "roles"),
    Operation("read", "list", "serviceaccounts"),
    Operation("read", "list", "services", (FORWARD,)),
    Operation("read", "list", "statefulsets"),
    Operation("read", "create", "selfsubjectaccessreviews"),
    # Faults
    Operation("faults", WATCH, "nodes"),
    Operation("faults", WATCH, "pods"),
    Operation("faults", WATCH, "horizontalpodautoscalers", (LOAD,)),
    Operation("faults", "get", "secrets"),
    Operation("faults", "get", "nodes", (DRAIN, OUTAGE, *OF_NODES)),
    Operation("faults", "patch", "nodes", (DRAIN, OUTAGE, *OF_NODES)),
    Operation("faults", "create", "nodes", (NODES,)),
    Operation("faults", "delete", "nodes", (NODES,)),
    Operation("faults", "list", "pods", OF_NODES, everywhere=True),
    Operation("faults", "create", "pods/eviction", (DRAIN,)),
    Operation("faults", "delete", "pods", (OUTAGE, KILL)),
    Operation("faults", "get", "pods", (PARTITION, CUT_OFF)),
    Operation("faults", "patch", "pods", (PARTITION, CUT_OFF)),
    Operation("faults", "create", "networkpolicies", BY_POLICY),
    Operation("faults", "delete", "networkpolicies", BY_POLICY),
    Operation("faults", "get", "leases", (LEASE,)),
    Operation("faults", "create", "leases", (LEASE,)),
    Operation("faults", "patch", "leases", (LEASE,)),
    # The upgrade to a websocket is a get; since 1.35 it must be allowed to create, too.
    Operation("faults", "get", "pods/portforward", (FORWARD,)),
    Operation("faults", "create", "pods/portforward", (FORWARD,)),
    # Configuration: everywhere, for a Role in a namespace goes with the namespace
    Operation("configuration", "list", "namespaces"),
    Operation("configuration", WATCH, "namespaces"),
    Operation("configuration", "create", "namespaces"),
    Operation("configuration", "delete", "namespaces"),
    Operation("configuration", "patch", "namespaces"),
    Operation("configuration", "list", "persistentvolumeclaims", everywhere=True),
    Operation("configuration", "list", "pods", everywhere=True),
    Operation("configuration", "list", "replicasets", everywhere=True),
    *(Operation("configuration", verb, one, everywhere=True) for one in RESTORED for verb in WRITES),
    # No calls: a lost role is given back only by who holds all that it allows, or these. Source: Kubernetes, privilege
    # escalation prevention.
    Operation("configuration", "escalate", "roles", everywhere=True),
    Operation("configuration", "bind", "roles", everywhere=True),
    Operation("configuration", "bind", "clusterroles"),
    Operation("configuration", "get", DISCOVERY),
    Operation("configuration", "list", ANY, everywhere=True),
    Operation("configuration", "list", "backups", (VELERO,), everywhere=True),
    Operation("configuration", "create", "restores", (VELERO,), everywhere=True),
    Operation("configuration", "get", "restores", (VELERO,), everywhere=True),
    Operation("configuration", "delete", "restores", (VELERO,), everywhere=True),
)


SURVEYED = (
    "daemonsets", "deployments", "horizontalpodautoscalers", "networkpolicies", "nodes", "pods", "replicasets",
    "statefulsets",
)  # fmt: skip
"""What a fault and its heal read; other lists are the doctor's. Namespaces have been read before a fault is planned."""


def needed(manner: str, namespaces: Iterable[str]) -> list[Action]:
    """All that a fault of this manner calls, its heal and who watches it included."""
    found = []
    for one in CALLS:
        surveyed = one.kind == "read" and one.resource in SURVEYED
        watched = one.kind == "faults" and one.verb == WATCH and not one.manners
        if surveyed or watched or manner in one.manners:
            where = [""] if one.of_cluster else list(namespaces)
            found += [Action(one.verb, one.resource, namespace) for namespace in where]
    return found
