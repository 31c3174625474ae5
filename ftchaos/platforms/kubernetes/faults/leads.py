"""Which pods of a database lead: by the word of the servers where they were asked, else by the label of an operator.

A label follows a failover only when its operator has seen it, so that the servers' own word outranks it.

Source: the operators' constants: MySQL Operator of Oracle, Percona Operator for MySQL, MOCO; redis-operator of
OpsTree, redis-operator of Spotahome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes.calls import CUT_OFF, KILL
from ftchaos.platforms.kubernetes.faults import network, pods, settling, signs
from ftchaos.platforms.kubernetes.inventory import Inventory, Pod
from ftchaos.platforms.mending import Mending

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

PARTITION = "partition"
PROOF_S = {KILL: 60.0, PARTITION: 120.0}
VERBS = {KILL: "killed", PARTITION: "cut off from everybody"}


def of(inventory: Inventory, role: str, labels: Mapping[str, str], label: str) -> tuple[list[Pod], list[Pod]]:
    """The ready pods that lead, in order, and all pods that might.

    Args:
        role: what :attr:`Inventory.roles` calls one that leads, like ``mysql-primary``.
        labels: key and value by which operators mark such a pod.
        label: ``key=value``, which the experiment names instead; empty for those.

    Raises:
        Invalid: the label is none.
        Refused: nobody is known to lead.
    """
    marks = dict(labels)
    if label:
        key, is_one, value = label.partition("=")
        if not (key and is_one and value):
            raise Invalid(f"{label!r} is no label", "write key=value")
        marks = {key: value}
    family = role.partition("-")[0]
    is_asked = any(one.startswith(f"{family}-") for one in inventory.roles.values())
    if is_asked:
        leading = [pod for pod in inventory.pods if inventory.roles.get(pod.full_name) == role]
        might = [pod for pod in inventory.pods if inventory.roles.get(pod.full_name, "").startswith(f"{family}-")]
    else:
        leading = [pod for pod in inventory.pods if any(pod.labels.get(key) == value for key, value in marks.items())]
        might = [pod for pod in inventory.pods if any(key in pod.labels for key in marks)]
    owners = {pod.owner for pod in leading if pod.workload}
    might += [pod for pod in inventory.pods if pod.owner in owners and pod not in might]
    found = sorted((pod for pod in leading if pod.ready and not pod.terminating), key=lambda pod: pod.full_name)
    if not found and is_asked:
        raise Refused(
            f"no ready pod is known to be {role.replace('-', ' ')} by the word of the servers",
            "wait until a failover is over; on MySQL grant the account REPLICATION CLIENT (MariaDB: REPLICA MONITOR)",
        )
    if not found:
        raise Refused(
            f"nobody is known to be {role.replace('-', ' ')}: no server said so, and no ready pod has the label "
            + " or ".join(f"{key}={value}" for key, value in marks.items()),
            "give the label by which the operator marks it: label: key=value",
        )
    return found, might


def harm(
    inventory: Inventory,
    hit: Sequence[Pod],
    might: Sequence[Pod],
    kind: str,
    manner: str,
    hits: tuple[str, ...],
    mark: str,
) -> Harm:
    """What falls with them.

    Raises:
        Invalid: there is no such manner.
        Refused: one would not come back, or could not be cut off.
    """
    if manner not in VERBS:
        raise Invalid(f"a pod of {kind} cannot fail in the manner {manner!r}", f"choose {', '.join(VERBS)}")
    names = " and ".join(pod.full_name for pod in hit)
    if manner == KILL and (bare := [pod.full_name for pod in hit if not pod.workload]):
        raise Refused(f"{', '.join(bare)} has no controller that would bring it back", "choose the manner partition")
    if manner == PARTITION and (shared := [pod.full_name for pod in hit if pod.host_network]):
        raise Refused(f"{', '.join(shared)} uses the network of its node, which no policy is for", "choose kill")
    return Harm(
        f"{names} {'was' if len(hit) == 1 else 'were'} {VERBS[manner]}",
        tuple(Target(pod.full_name, kind, inventory.zone_of(pod), len(might)) for pod in hit),
        signs.of(inventory, hit, staying=manner == PARTITION),
        {
            "place": dict(inventory.place), "manner": KILL if manner == KILL else CUT_OFF, "mark": mark,
            "pods": [pod.key for pod in hit], "nodes": [], "spared": {},
            "policies": network.plan(inventory, hit, mark) if manner == PARTITION else [],
            "ready": settling.plan(inventory, hit),
        },
        hits,
        proof_s=PROOF_S[manner],
    )  # fmt: skip


def inject(access: Access, harm: Harm) -> str:
    undo = harm.undo
    if undo["manner"] == KILL:
        return f"{harm.clause}: {pods.kill(access, undo['pods'])}"
    return f"{harm.clause}: {network.cut(access, undo['policies'], undo['pods'], undo['mark'], alone=True)}"


def effect(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """What of the damage the cluster does not show yet."""
    return pods.remaining(access, undo) if undo["manner"] == KILL else network.not_cut(access, undo)


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending("with kubectl")
    if arguments["manner"] == CUT_OFF:
        network.join(access, arguments["policies"], arguments["pods"], arguments["mark"], mending)
    settling.wait(access, arguments, mending)
    return mending.end("the database was whole")
