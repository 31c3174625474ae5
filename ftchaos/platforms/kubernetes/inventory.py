"""What a cluster has that a fault may concern: from the objects of its API to what they mean, without I/O.

Health is judged by the condition Ready, by the deletionTimestamp and by whether the node exists, never by the phase:
pods of dead nodes stay ``Running``, and a deployment counts them as available until they are collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftchaos.errors import Invalid, Refused

Obj = dict[str, Any]

ZONE_LABEL = "topology.kubernetes.io/zone"
NAME_LABEL = "kubernetes.io/metadata.name"
"""Which the API server gives to every namespace, with its name."""
COMPONENT_LABEL = "app.kubernetes.io/component"
OUT_OF_SERVICE_TAINT = "node.kubernetes.io/out-of-service"
MIRROR = "kubernetes.io/config.mirror"
PRIMARY = "primary"  # in place of a zone's name
MYSQL_PRIMARY = "mysql-primary"
COUNTED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
"""The kinds whose pods come back, so that a heal waits for them; those of a Job end by themselves."""


@dataclass(frozen=True)
class Node:
    name: str
    uid: str
    zone: str
    ready: bool
    cordoned: bool
    allowed: bool
    made: Mapping[str, Any] = field(repr=False)  # as the API server would take it again


@dataclass(frozen=True)
class Pod:
    """A pod that has not ended.

    Attributes:
        workload: kind and name of what brings it back, like ``Deployment/api``; empty for a bare one.
        tier: its component, as labelled.
        mirror: the kubelet runs it from a file, and the API server only shows it.
        scratch: it has an emptyDir, whose content goes with it.
        ports: those that it declares.
        host: the name at which it is found in the cluster whichever address it has, as the pods of a StatefulSet are;
            empty where it has none.
        addresses: all of its own, of both families.
        probed: whether it is asked for its readiness, so that it can be seen not to be ready.
        enduring: it tolerates, for ever, that its node is out of service.
    """

    namespace: str
    name: str
    uid: str
    node: str
    ready: bool
    terminating: bool
    workload: str
    tier: str
    labels: Mapping[str, str] = field(repr=False)
    mirror: bool = False
    scratch: bool = False
    host_network: bool = False
    address: str = ""
    ports: tuple[int, ...] = ()
    host: str = ""
    addresses: tuple[str, ...] = ()
    probed: bool = False
    enduring: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def owner(self) -> str:
        """The workload with its namespace, like ``Deployment app/api``; empty for a bare pod."""
        kind, _, name = self.workload.partition("/")
        return f"{kind} {self.namespace}/{name}" if self.workload else ""

    @property
    def key(self) -> dict[str, str]:
        """What an undo record needs to know it again."""
        return {"namespace": self.namespace, "name": self.name, "uid": self.uid, "workload": self.workload}


@dataclass(frozen=True)
class Inventory:
    """Nodes and the application's pods as they stand.

    Attributes:
        place: where; an undo record carries it.
        tag: the label or annotation of what may be harmed, like ``ftchaos=allowed``.
        namespaces: those of the application that carry it.
        pods: theirs.
        wanted: how many pods each workload is to have, by ``kind namespace/name``.
        policies: their NetworkPolicies.
        foreign: pods of other namespaces that carry no tag; None where nobody looked.
        roles: of databases, by the full name of a pod, as the servers said when they were asked: ``mysql-primary``,
            ``mysql-replica``, ``mysql-unclear``, ``redis-master``, ``redis-replica``; empty where nobody asked.
        shards: of the cache, by the full name of the pod that leads one, the letter that its component goes by; only
            those that clients of a run write to.
        client_zone: where the clients of the run are, where that is known.
        scalers: the HorizontalPodAutoscalers of the namespaces.
        api: where clients upload; empty where nobody does.
        client_namespace: the namespace that they are in, when they run as pods of this cluster.
        nameless: the namespaces without the label that names them.
    """

    place: Mapping[str, Any]
    tag: str
    namespaces: tuple[str, ...]
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    wanted: Mapping[str, int]
    policies: tuple[Obj, ...] = ()
    foreign: tuple[Pod, ...] | None = None
    client_zone: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    scalers: tuple[Obj, ...] = ()
    api: str = ""
    shards: Mapping[str, str] = field(default_factory=dict)
    client_namespace: str = ""
    nameless: tuple[str, ...] = ()

    @property
    def zones(self) -> list[str]:
        return sorted({one.zone for one in self.nodes} - {""})

    def zone_of(self, pod: Pod) -> str:
        return next((one.zone for one in self.nodes if one.name == pod.node), "")

    def zone(self, wanted: str) -> tuple[str, str]:
        """A zone by its name, and why it was chosen, as a clause; empty where it was named.

        Args:
            wanted: or ``primary``: that of the MySQL primary, where the servers were asked and one leads, else the one
                with most of the application's pods.

        Raises:
            Invalid: there is no such zone.
        """
        counts = {zone: sum(self.zone_of(pod) == zone for pod in self.pods) for zone in self.zones}
        chosen, why = wanted, ""
        if wanted == PRIMARY:
            leading = [pod for pod in self.pods if self.roles.get(pod.full_name) == MYSQL_PRIMARY]
            if len(leading) == 1 and self.zone_of(leading[0]):
                chosen, why = self.zone_of(leading[0]), f"where the MySQL primary {leading[0].full_name} is"
            else:
                chosen = max(counts, key=lambda zone: counts[zone], default="")
                why = "where most of the application's pods are"
        if chosen not in counts:
            named = f"no node is in the zone {chosen!r}" if chosen else f"no node has the label {ZONE_LABEL}"
            raise Invalid(named, f"choose {', '.join(counts)}" if counts else "label the nodes with their zones")
        return chosen, why

    def ensure_clients_outside(self, zone: str) -> None:
        """Refuse to harm the zone that the ledger's own clients are in, when these run as pods of this cluster.

        Raises:
            Refused: they are in it, or nobody knows where they are.
        """
        if self.place["context"] == "in-cluster" and not self.client_zone:
            raise Refused(
                "nobody knows in which zone the clients of this run are",
                "give the pod FTCHAOS_NODE, the spec.nodeName of it, or set client_zone in ftchaos.yaml: a zone",
            )
        if self.client_zone == zone:
            raise Refused(
                f"the clients of this run are in {zone}, the zone that would fail",
                "choose another zone, or keep the pod of ftchaos out of this one by its nodeSelector",
            )


def carries(obj: Mapping[str, Any], tag: str) -> bool:
    """Whether an object has a label, or an annotation, like ``key=value``."""
    key, _, value = tag.partition("=")
    metadata = obj["metadata"]
    return value in ((metadata.get("labels") or {}).get(key), (metadata.get("annotations") or {}).get(key))


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Whether the condition Ready of a node or a pod is True."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def node(obj: Mapping[str, Any], tag: str) -> Node:
    """A node of the API."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    kept = {key: metadata[key] for key in ("name", "labels", "annotations") if key in metadata}
    return Node(
        metadata["name"],
        metadata["uid"],
        (metadata.get("labels") or {}).get(ZONE_LABEL, ""),
        is_ready(obj),
        bool(spec.get("unschedulable")),
        carries(obj, tag),
        {"apiVersion": "v1", "kind": "Node", "metadata": kept, "spec": spec},
    )


def pods(objects: Iterable[Mapping[str, Any]], replica_sets: Iterable[Mapping[str, Any]] = ()) -> list[Pod]:
    """The pods of the API that have not ended.

    Args:
        replica_sets: those of the same namespaces; they say which Deployment a pod belongs to.
    """
    above = {("ReplicaSet", one["metadata"]["namespace"], one["metadata"]["name"]): owner(one) for one in replica_sets}
    found = []
    for obj in objects:
        if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        kind, _, name = owner(obj).partition("/")
        labels = metadata.get("labels") or {}
        ports = [port for one in spec["containers"] for port in one.get("ports") or ()]
        found.append(
            Pod(
                metadata["namespace"],
                metadata["name"],
                metadata["uid"],
                spec.get("nodeName") or "",
                is_ready(obj),
                "deletionTimestamp" in metadata,
                above.get((kind, metadata["namespace"], name)) or owner(obj),
                labels.get(COMPONENT_LABEL, ""),
                labels,
                MIRROR in (metadata.get("annotations") or {}),
                any("emptyDir" in one for one in spec.get("volumes") or ()),
                bool(spec.get("hostNetwork")),
                status.get("podIP") or "",
                tuple(port["containerPort"] for port in ports if port.get("protocol", "TCP") == "TCP"),
                _host(spec, metadata["namespace"]),
                tuple(one["ip"] for one in status.get("podIPs") or () if one.get("ip"))
                or ((status["podIP"],) if status.get("podIP") else ()),
                any("readinessProbe" in one for one in spec["containers"]),
                any(_endures(one) for one in spec.get("tolerations") or ()),
            )
        )
    return found


def _endures(toleration: Mapping[str, Any]) -> bool:
    """Source: Kubernetes documentation, taints and tolerations: without a key it is for all, without effect for any."""
    return (
        toleration.get("key") in (None, "", OUT_OF_SERVICE_TAINT)
        and toleration.get("operator") == "Exists"
        and toleration.get("effect") in (None, "", "NoExecute")
        and toleration.get("tolerationSeconds") is None
    )


def _host(spec: Mapping[str, Any], namespace: str) -> str:
    """Source: Kubernetes documentation, DNS for Services and Pods: hostname and subdomain."""
    hostname, subdomain = spec.get("hostname"), spec.get("subdomain")
    return f"{hostname}.{subdomain}.{namespace}.svc" if hostname and subdomain else ""


def owner(obj: Mapping[str, Any]) -> str:
    """Kind and name of an object's controller, like ``ReplicaSet/api-5f``; empty where it has none."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((f"{one['kind']}/{one['name']}" for one in owners if one.get("controller")), "")


def wanted(kind: str, objects: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many pods each of these workloads is to have."""
    found = {}
    for one in objects:
        metadata, status = one["metadata"], one.get("status") or {}
        if kind == "ReplicaSet" and owner(one):
            continue
        count = status.get("desiredNumberScheduled", 0) if kind == "DaemonSet" else one["spec"].get("replicas", 1)
        found[f"{kind} {metadata['namespace']}/{metadata['name']}"] = int(count)
    return found


def floors(scalers: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many pods each workload that an autoscaler scales has at the least, once that has looked at it."""
    found = {}
    for one in scalers:
        target, spec = one["spec"]["scaleTargetRef"], one["spec"]
        found[f"{target['kind']} {one['metadata']['namespace']}/{target['name']}"] = int(spec.get("minReplicas", 1))
    return found


def ready_counts(every: Iterable[Pod], nodes: Iterable[str]) -> dict[str, int]:
    """How many pods of each workload serve: ready, not about to go, and on a node that exists."""
    there, counts = set(nodes), dict[str, int]()
    for pod in every:
        if pod.workload.partition("/")[0] in COUNTED:
            serves = pod.ready and not pod.terminating and pod.node in there
            counts[pod.owner] = counts.get(pod.owner, 0) + serves
    return counts


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of the API takes these labels; one that is absent takes none, an empty one all."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expressed(one, labels) for one in selector.get("matchExpressions") or ())


def _expressed(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = one["key"], one.get("values") or ()
    match one["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def zones_of(every: Sequence[Pod], nodes: Sequence[Node]) -> dict[str, set[str]]:
    """The zones that each workload's pods are in."""
    zone, found = {one.name: one.zone for one in nodes}, dict[str, set[str]]()
    for pod in every:
        if pod.workload:
            found.setdefault(pod.owner, set()).add(zone.get(pod.node, ""))
    return found
