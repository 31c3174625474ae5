"""A zone is drained, loses its power, loses its nodes, is out of service, or is cut off from the network."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.guard import Target
from ftchaos.platforms.base import COMPONENTS, Harm
from ftchaos.platforms.kubernetes import inventory as stock
from ftchaos.platforms.kubernetes.calls import DRAIN, NODES, OF_NODES, OUT_OF_SERVICE, OUTAGE, PARTITION
from ftchaos.platforms.kubernetes.faults import network, nodes, pods, settling, signs
from ftchaos.platforms.kubernetes.inventory import Inventory, Node, Pod
from ftchaos.platforms.mending import Mending

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

CLAUSES = {
    DRAIN: "{zone} was drained",
    OUTAGE: "{zone} lost its power",
    NODES: "{zone} lost its nodes",
    OUT_OF_SERVICE: "{zone} was taken out of service",
    PARTITION: "{zone} was cut off from the network",
}
# Pods of a node that was deleted are there for 54 s more (measured), and then end with their grace, where its kubelet
# lives; those out of service end with theirs.
POLITE = (DRAIN, OUT_OF_SERVICE)  # pods end with their grace, and serve on until then
PROOF_S = {DRAIN: 60.0, OUTAGE: 60.0, NODES: 180.0, OUT_OF_SERVICE: 120.0, PARTITION: 120.0}


def plan(inventory: Inventory, zone: str = "primary", manner: str = OUTAGE) -> Harm:
    """What falls with a zone.

    Args:
        zone: its name, or ``primary``, see :meth:`Inventory.zone`; the clause says which rule chose it.
        manner: ``drain``: its nodes take nothing new, and the pods are evicted as their budgets allow. ``outage``: its
            nodes take nothing new, not even of a DaemonSet, and the pods are deleted without grace. ``nodes``: the
            nodes are deleted from the cluster. ``out-of-service``: its nodes get the taint of that name, by which
            Kubernetes deletes all that is on them, whatever budgets say. ``partition``: the pods reach only each other.

    Raises:
        Invalid: there is no such zone or manner.
        Refused: nothing there may be harmed, others would be, or the run's own clients are there.
    """
    if manner not in CLAUSES:
        raise Invalid(f"a zone of Kubernetes cannot fail in the manner {manner!r}", f"choose {', '.join(CLAUSES)}")
    chosen, why = inventory.zone(zone)
    inventory.ensure_clients_outside(chosen)
    there = [one for one in inventory.nodes if one.zone == chosen]
    taken = [one for one in there if one.allowed]
    if not taken:
        raise Refused(
            f"no node in {chosen} carries the label {inventory.tag}",
            f"allow faults there: kubectl label node --selector {stock.ZONE_LABEL}={chosen} {inventory.tag}",
        )
    if manner in OF_NODES:
        _ensure_alone(inventory, taken, manner)
    hit, spared = pods.chosen(inventory, taken, manner)
    spared |= {one.name: f"the node does not carry the label {inventory.tag}" for one in there if not one.allowed}
    if not hit:
        raise Refused(f"no pod of {', '.join(inventory.namespaces)} in {chosen} can fall", "choose another zone")
    mark = f"ftchaos-{secrets.token_hex(4)}"
    undo = {
        "place": dict(inventory.place), "zone": chosen, "manner": manner, "mark": mark,
        "nodes": nodes.plan(taken, manner), "pods": [one.key for one in hit], "spared": spared,
        "policies": network.plan(inventory, hit, mark) if manner == PARTITION else [],
        "ready": settling.plan(inventory, hit),
    }  # fmt: skip
    left_out = ", ".join(f"{name} is left out: {why}" for name, why in spared.items())
    return Harm(
        CLAUSES[manner].format(zone=f"{chosen}, {why}," if why else chosen) + (f" ({left_out})" if left_out else ""),
        tuple(_targets(inventory, chosen, taken, hit, manner)),
        signs.of(inventory, hit, staying=manner == PARTITION, lasting=manner in (NODES, *POLITE)),
        undo,
        COMPONENTS,
        proof_s=PROOF_S[manner],
        gradual=manner in POLITE,
    )


def _ensure_alone(inventory: Inventory, taken: Sequence[Node], manner: str) -> None:
    """Refuse nodes with pods of others, or with any that nobody would bring back: all go with their node.

    Those of DaemonSets, and those that a kubelet runs from files, come back with the node.
    """
    if inventory.foreign is None:
        raise Refused(
            "nobody looked who else is on the nodes that would be lost", "read the inventory of all namespaces"
        )
    if manner == OUT_OF_SERVICE and (out := [one.name for one in taken if nodes.is_out_of_service(one)]):
        raise Refused(
            f"{', '.join(out)} {'is' if len(out) == 1 else 'are'} out of service already",
            f"choose another zone, or take that taint away: kubectl taint nodes {out[0]} {stock.OUT_OF_SERVICE_TAINT}-",
        )
    names = {one.name for one in taken}

    def falls(pod: Pod) -> bool:
        return pod.node in names and not (pod.mirror or (manner == OUT_OF_SERVICE and pod.enduring))

    bare = [one.full_name for one in inventory.pods if falls(one) and not one.workload]
    if bare:
        raise Refused(
            f"{', '.join(bare)} would be gone for good with its node: it has no controller",
            "choose the manner 'outage', which leaves it out",
        )
    others = [one.full_name for one in inventory.foreign if falls(one) and not one.workload.startswith("DaemonSet/")]
    if others:
        raise Refused(
            f"the nodes that would be lost also run {', '.join(sorted(others)[:5])}"
            + (f" and {len(others) - 5} more" if len(others) > 5 else ""),
            "choose the manner 'outage', which harms the application alone, or move them to other nodes",
        )


def _targets(inventory: Inventory, zone: str, taken: Sequence[Node], hit: Sequence[Pod], manner: str) -> list[Target]:
    """The zone, its nodes where these are touched, and each pod of so many."""
    found = [Target(zone, "zone", zone, len(inventory.zones))]
    if manner != PARTITION:
        found += [Target(one.name, "node", zone, len(inventory.nodes)) for one in taken]
    return found + [Target(one.full_name, "pod", zone, len(inventory.pods)) for one in hit]


def inject(access: Access, harm: Harm) -> str:
    undo = harm.undo
    manner, mark = undo["manner"], undo["mark"]
    if manner == NODES:
        said = [nodes.remove(access, undo["nodes"])]
    elif manner == PARTITION:
        said = [network.cut(access, undo["policies"], undo["pods"], mark)]
    else:
        said = [nodes.cordon(access, undo["nodes"], mark, manner)]
        said += [pods.evict(access, undo)] if manner == DRAIN else []
        said += [pods.kill(access, undo["pods"])] if manner == OUTAGE else []
    return f"{harm.clause}: {', '.join(said)}"


def effect(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """What of the damage the cluster does not show yet: whatever becomes of nodes, pods that are there serve on."""
    if undo["manner"] == NODES:
        return nodes.not_removed(access, undo["nodes"]) + pods.still_there(access, undo)
    if undo["manner"] == PARTITION:
        return network.not_cut(access, undo)
    return nodes.not_cordoned(access, undo["nodes"], undo["mark"]) + pods.still_there(access, undo)


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending("with kubectl")
    if arguments["manner"] == NODES:
        nodes.restore(access, arguments["nodes"], mending)
    elif arguments["manner"] == PARTITION:
        network.join(access, arguments["policies"], arguments["pods"], arguments["mark"], mending)
    else:
        nodes.uncordon(access, arguments["nodes"], arguments["mark"], mending)
    settling.wait(access, arguments, mending)
    return mending.end(f"{arguments['zone']} was whole")
