"""One instance of the application is deleted without grace; its controller makes another."""

from __future__ import annotations

from collections.abc import Mapping
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

# What the clients of a tier use.
HITS = {"api": ("api",), "websocket": ("api", "websocket"), "worker": ("queue",)}
PROOF_S = 60.0


def plan(inventory: Inventory, tier: str = "api", instance: str = "") -> Harm:
    """Which instance dies.

    Args:
        tier: ``api``, ``websocket`` or ``worker``: the component that a pod's label ``app.kubernetes.io/component``
            names, or the name of what controls it, or its last part.
        instance: the name of a pod; by default the first of the tier that is ready.

    Raises:
        Invalid: there is no such tier, or no such instance in it.
        Refused: nothing would bring it back.
    """
    if tier not in HITS:
        raise Invalid(f"the application has no tier {tier!r}", f"choose {', '.join(HITS)}")
    members = sorted((pod for pod in inventory.pods if _is_of(pod, tier)), key=lambda pod: pod.full_name)
    fit = [pod for pod in members if pod.ready and not pod.terminating and instance in ("", pod.name, pod.full_name)]
    if not fit:
        names = ", ".join(pod.full_name for pod in members)
        hint = f"it has {names}" if names else f"label its pods with {COMPONENT_LABEL}={tier}"
        raise Invalid(f"the tier {tier} has no ready instance {instance!r}".replace(" ''", ""), hint)
    pod = fit[0]
    if not pod.workload:
        raise Refused(f"{pod.full_name} has no controller that would bring it back", "choose another instance")
    zone = inventory.zone_of(pod)
    return Harm(
        f"{pod.full_name} was killed",
        (Target(pod.full_name, tier, zone, len(members)),),
        signs.of(inventory, [pod]),
        {
            "place": dict(inventory.place), "manner": KILL, "pods": [pod.key], "nodes": [], "spared": {},
            "ready": settling.plan(inventory, [pod]),
        },
        HITS[tier],
        proof_s=PROOF_S,
    )  # fmt: skip


def _is_of(pod: Pod, tier: str) -> bool:
    name = pod.workload.partition("/")[2]
    return pod.tier == tier or (not pod.tier and (name == tier or name.endswith(f"-{tier}")))


def inject(access: Access, harm: Harm) -> str:
    return f"{harm.clause}: {pods.kill(access, harm.undo['pods'])}"


def effect(access: Access, undo: Mapping[str, Any]) -> list[str]:
    """The instance, while it is still there."""
    return pods.remaining(access, undo)


def heal(access: Access, arguments: Mapping[str, Any]) -> str:
    mending = Mending("with kubectl")
    settling.wait(access, arguments, mending)
    return mending.end("the instance was replaced")
