"""Instances of the application are deleted without grace; their controllers make others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid, Refused
from ftchaos.guard import Target
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes.calls import KILL
from ftchaos.platforms.kubernetes.faults import pods, settling, signs
from ftchaos.platforms.kubernetes.inventory import COMPONENT_LABEL, Inventory, Pod
from ftchaos.platforms.mending import Mending

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access

# What the clients of a tier use; nothing that a client uses depends on the monitoring.
HITS = {
    "api": ("api",),
    "websocket": ("api", "websocket"),
    "worker": ("queue",),
    "monitoring": (),
    "db": ("database", "api", "queue", "websocket"),
}
PROOF_S = 60.0
ALL = "all"


def plan(inventory: Inventory, tier: str = "api", instance: str = "", count: str = "1") -> Harm:
    """Which instances die.

    Args:
        tier: ``api``, ``websocket``, ``worker``, ``monitoring`` or ``db``: the component that a pod's label
            ``app.kubernetes.io/component`` names, or the name of what controls it, or its last part; where there is no
            such pod, all in the namespace of that name, or whose name ends with it.
        instance: the name of a pod; by default the first of the tier that are ready.
        count: how many: a number; a share of each workload of the tier, such as ``50%``, at least one of it; or
            ``all``. The blast radius is held against each workload.

    Raises:
        Invalid: there is no such tier, not as many ready instances in it, or the count is none.
        Refused: nothing would bring one of them back.
    """
    if tier not in HITS:
        raise Invalid(f"the application has no tier {tier!r}", f"choose {', '.join(HITS)}")
    found = sorted(members(inventory, tier), key=lambda pod: pod.full_name)
    fit = [pod for pod in found if pod.ready and not pod.terminating and instance in ("", pod.name, pod.full_name)]
    if not fit:
        names = ", ".join(pod.full_name for pod in found)
        hint = f"it has {names}" if names else f"label its pods with {COMPONENT_LABEL}={tier}"
        raise Invalid(f"the tier {tier} has no ready instance {instance!r}".replace(" ''", ""), hint)
    hit = _chosen(fit, str(count))
    if bare := [pod.full_name for pod in hit if not pod.workload]:
        raise Refused(f"{', '.join(bare)} has no controller that would bring it back", "choose another instance")
    said = hit[0].full_name if len(hit) == 1 else f"{len(hit)} of {len(found)} instances of the tier {tier}"
    return Harm(
        f"{said} {'was' if len(hit) == 1 else 'were'} killed",
        tuple(_targets(inventory, tier, found, hit)),
        signs.of(inventory, hit),
        {
            "place": dict(inventory.place), "manner": KILL, "pods": [pod.key for pod in hit], "nodes": [],
            "spared": {}, "ready": settling.plan(inventory, hit),
        },
        HITS[tier],
        proof_s=PROOF_S,
    )  # fmt: skip


def members(inventory: Inventory, tier: str) -> list[Pod]:
    """The pods of a tier, as :func:`plan` finds them."""
    found = [pod for pod in inventory.pods if _is_of(pod, tier)]
    return found or [one for one in inventory.pods if _is_named(one.namespace, tier)]


def _is_of(pod: Pod, tier: str) -> bool:
    return pod.tier == tier or (not pod.tier and _is_named(pod.workload.partition("/")[2], tier))


def _is_named(name: str, tier: str) -> bool:
    return name == tier or name.endswith(f"-{tier}")


def _chosen(fit: Sequence[Pod], count: str) -> list[Pod]:
    """As many of those that are fit, of all workloads alike."""
    by_owner: dict[str, list[Pod]] = {}
    for pod in fit:
        by_owner.setdefault(pod.owner, []).append(pod)
    number, percent, rest = count.strip().partition("%")
    if count != ALL and (rest or not number.isdecimal() or int(number) == 0 or (percent and int(number) > 100)):
        raise Invalid(f"{count!r} is no count of instances", "give a number, a share such as 50%, or all")
    if count == ALL:
        return list(fit)
    if percent:
        return [pod for each in by_owner.values() for pod in each[: max(1, len(each) * int(number) // 100)]]
    if int(number) > len(fit):
        raise Invalid(f"{number} instances were to die, and {len(fit)} are ready", "choose fewer, or all")
    return list(fit[: int(number)])


def _targets(inventory: Inventory, tier: str, members: Sequence[Pod], hit: Iterable[Pod]) -> list[Target]:
    """Each by its workload where the tier has several, so that none of these is wholly taken unnoticed."""
    owners = [pod.owner for pod in members]
    several = len(set(owners)) > 1
    return [
        Target(pod.full_name, pod.owner if several else tier, inventory.zone_of(pod), owners.count(pod.owner))
        for pod in hit
    ]


def inject(access: Access, harm: Harm) -> str:
    return f"{harm.clause}: {pods.kill(access, harm.undo['pods'])}"


def effect(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """The instances, while they are still there."""
    return pods.remaining(access, undo)


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending("with kubectl")
    settling.wait(access, arguments, mending)
    return mending.end("the instance was replaced")
