"""Two namespaces are cut off from each other, and from nobody else.

A NetworkPolicy for all pods of a namespace allows every peer but the other namespace: pods of all other namespaces, and
all addresses except those that pods of the other one have now. Both are needed: to some networks an ip block means
pods as well, to others never, so that without the selector pods would not be reached, and without the block nothing
outside of the cluster. Both namespaces get one, so that a pod that is made meanwhile is cut off from those that were
there; from one that is made meanwhile on the other side, only where ip blocks mean no pods.

A namespace with policies of its own gets none: what they allow could not be taken back, and what they forbid ours would
allow. One side is enough, as a connection needs the leave of both.

What the API does not say: whether the network keeps to policies, whether it also ends connections that are open, and
whether it takes nodes for an ip block; if not, what comes from nodes is cut off, too. So the cut counts only when what
needs it is seen to fail, and to stay so.

Source: Kubernetes documentation, Network Policies: the behavior of selectors, what ip blocks and pod lifecycles mean.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes import sight
from ftchaos.platforms.kubernetes.calls import APART
from ftchaos.platforms.kubernetes.faults import network, settling, signs
from ftchaos.platforms.kubernetes.inventory import NAME_LABEL, Inventory, Pod
from ftchaos.platforms.mending import Mending
from ftchaos.units import duration_s

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

Obj = dict[str, Any]

# Without what it needs an application takes no upload, so that no work follows and nobody hears of any.
HITS = ("api", "queue", "websocket")
PROOF_S = 60.0
STAYS_S = 5.0
EVERYBODY = {4: "0.0.0.0/0", 6: "::/0"}


def plan(
    inventory: Inventory,
    between: str = "file-transfer-api",
    and_: str = "file-transfer-db",
    seen: str = "/health",
    lasts: str = "20s",
) -> Harm:
    """Which namespaces reach each other no more.

    Args:
        between: one of them.
        and_: the other.
        seen: what cannot work while they are cut off, and is the proof: a path of the application, which must answer
            with less than 500 before; or ``namespace/name`` of a workload whose pods are not ready then.
        lasts: for how long that must not work without a break; at least some seconds, so that no hiccup is taken for
            the cut.

    Raises:
        Invalid: a namespace is not listed, they are one, the duration is none, or nobody could see the cut.
        Refused: one has no pods that can be cut off, the clients of the run are in one, or both have policies.
    """
    names = [between, and_]
    _ensure_two(inventory, names)
    sides = {name: [pod for pod in inventory.pods if pod.namespace == name] for name in names}
    hit = {name: [pod for pod in pods if not pod.host_network] for name, pods in sides.items()}
    for name in names:
        if not any(pod.addresses for pod in hit[name]):
            raise Refused(
                f"no pod of {name} has a network of its own that could be cut off", "choose another namespace"
            )
    spared = [pod.full_name for pods in sides.values() for pod in pods if pod.host_network]
    mark = f"ftchaos-{secrets.token_hex(4)}"
    left_out = "".join(f" ({name} is left out: it uses the network of its node)" for name in spared)
    every = [*hit[between], *hit[and_]]
    return Harm(
        f"{between} and {and_} were cut off from each other{left_out}",
        tuple(Target(name, "namespace", "", len(inventory.namespaces)) for name in names),
        _signs(inventory, names, seen),
        {
            "place": dict(inventory.place), "manner": APART, "pods": [pod.key for pod in every], "nodes": [],
            "policies": _planned(inventory, names, hit, mark), "spared": spared,
            "ready": settling.plan(inventory, every),
        },
        HITS,
        proof_s=PROOF_S,
        stays_s=max(STAYS_S, duration_s(lasts)),
    )  # fmt: skip


def _ensure_two(inventory: Inventory, names: Sequence[str]) -> None:
    for name in names:
        if name not in inventory.namespaces:
            raise Invalid(
                f"the namespace {name!r} is none of the environment", f"it has {', '.join(inventory.namespaces)}"
            )
    if names[0] == names[1]:
        raise Invalid(f"{names[0]} cannot be cut off from itself", "name two namespaces")
    if nameless := sorted({*names} & {*inventory.nameless}):
        raise Refused(
            f"the namespace {nameless[0]} does not carry the label {NAME_LABEL} that policies know it by",
            "it is the API server that gives it, from Kubernetes 1.21 on",
        )
    if inventory.client_namespace in names:
        raise Refused(
            f"the clients of this run are in {inventory.client_namespace}, which would be cut off",
            "run ftchaos in a namespace of its own",
        )


def _signs(inventory: Inventory, names: Sequence[str], seen: str) -> dict[str, Mapping[str, Any]]:
    if seen.startswith("/"):
        if not inventory.api:
            raise Invalid(
                "nobody of ours uses the application, so that nobody would see what the cut does to it",
                "say where the application is: api: http://...",
            )
        return signs.served(inventory.api, seen)
    mine = [
        pod for pod in inventory.pods
        if pod.namespace in names and f"{pod.namespace}/{pod.workload.partition('/')[2]}" == seen
    ]  # fmt: skip
    ready = [pod for pod in mine if pod.ready and not pod.terminating]
    if not ready:
        raise Invalid(
            f"{seen!r} is neither a path nor a workload of {' or '.join(names)} with a pod that is ready",
            "name what cannot work while they are cut off: /health, or file-transfer-worker/worker",
        )
    if not all(pod.probed for pod in ready):
        raise Invalid(f"pods of {seen} are not asked for their readiness", "add a readinessProbe, or name a path")
    return {pod.full_name: sight.pod(pod, staying=True) for pod in ready}


def _planned(inventory: Inventory, names: Sequence[str], hit: Mapping[str, Sequence[Pod]], mark: str) -> list[Obj]:
    """The policies that will be made, each with what it shuts out."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for one in inventory.policies:
        if one["metadata"]["namespace"] in found:
            found[one["metadata"]["namespace"]].append(one["metadata"]["name"])
    if all(found.values()):
        said = ", ".join(f"{name}/{policy}" for name, policies in found.items() for policy in policies)
        raise Refused(
            f"both namespaces have NetworkPolicies ({said}): what they allow cannot be taken back, and another that "
            "shuts out one namespace would open what they close",
            "choose a pair of which one has none, or cut them off in the network below the cluster",
        )
    return [
        {
            "namespace": name, "name": mark, "from": other,
            "addresses": sorted({address for pod in hit[other] for address in pod.addresses}),
        }
        for name, other in (names, reversed(names)) if not found[name]
    ]  # fmt: skip


def _policy(one: Mapping[str, Any]) -> Obj:
    others = {"key": NAME_LABEL, "operator": "NotIn", "values": [one["from"]]}
    peers = [{"namespaceSelector": {"matchExpressions": [others]}}, *_blocks(one["addresses"])]
    return network.policy(one, {"podSelector": {}, "ingress": [{"from": peers}], "egress": [{"to": peers}]})


def _blocks(addresses: Iterable[str]) -> list[Obj]:
    """All addresses but these; those of IPv6 only where pods have such, as not every network takes them."""
    shut: dict[int, list[str]] = {4: []}
    for one in map(ipaddress.ip_address, addresses):
        shut.setdefault(one.version, []).append(f"{one}/{one.max_prefixlen}")
    return [
        {"ipBlock": {"cidr": EVERYBODY[version], **({"except": every} if every else {})}}
        for version, every in sorted(shut.items())
    ]


def inject(access: Access, harm: Harm) -> str:
    policies = harm.undo["policies"]
    network.make(access, [_policy(one) for one in policies])
    return f"{harm.clause}: by policies in {' and '.join(one['namespace'] for one in policies)}"


def effect(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """The policies that are not there; what they do, the witness sees."""
    return network.not_made(access, undo)


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending("with kubectl")
    network.remove(access, arguments["policies"], mending)
    settling.wait(access, arguments, mending)
    return mending.end("the namespaces reach each other")
