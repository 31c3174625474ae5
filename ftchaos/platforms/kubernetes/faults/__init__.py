"""The faults of Kubernetes by name, with the names and arguments that the lab's have.

Each module has four functions: ``plan`` resolves the fault against the inventory, touching nothing; ``inject`` does it;
``effect`` says what of it the cluster does not show yet; ``heal`` undoes it from the undo record alone, however often,
also after a crash half way. What several of them harm is a module of its own: ``nodes``, ``pods``, ``network``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftchaos.errors import Invalid
from ftchaos.platforms.base import Harm
from ftchaos.platforms.kubernetes.calls import needed
from ftchaos.platforms.kubernetes.faults import autoscaler, instance, mysql_primary, namespaces, redis_masters, zone

if TYPE_CHECKING:
    from ftchaos.platforms.kubernetes.access import Access


@dataclass(frozen=True)
class Fault:
    """The functions of one module."""

    plan: Callable[..., Harm]
    inject: Callable[[Access, Harm], str]
    effect: Callable[[Access, Mapping[str, Any]], list[str]]
    heal: Callable[[Access, Mapping[str, Any]], str]


FAULTS = {
    "fail_mysql_primary": Fault(mysql_primary.plan, mysql_primary.inject, mysql_primary.effect, mysql_primary.heal),
    "fail_redis_masters": Fault(redis_masters.plan, redis_masters.inject, redis_masters.effect, redis_masters.heal),
    "fail_zone": Fault(zone.plan, zone.inject, zone.effect, zone.heal),
    "kill_instance": Fault(instance.plan, instance.inject, instance.effect, instance.heal),
    "load_autoscaler": Fault(autoscaler.plan, autoscaler.inject, autoscaler.effect, autoscaler.heal),
    "partition_namespaces": Fault(namespaces.plan, namespaces.inject, namespaces.effect, namespaces.heal),
}


def find(name: str) -> Fault:
    """A fault by its name.

    Raises:
        Invalid: Kubernetes knows no such fault.
    """
    if name not in FAULTS:
        raise Invalid(f"Kubernetes knows no fault {name!r}", f"it knows {', '.join(FAULTS)}")
    return FAULTS[name]


def ensure_allowed(access: Access, harm: Harm) -> None:
    """Ask, before the undo is written and anything touched, whether the fault and its heal are allowed.

    Raises:
        Refused: the credentials may not do all of it, as those that may only read.
    """
    access.ensure_right_place()
    access.ensure_allowed(needed(harm.undo["manner"], harm.undo["place"]["namespaces"]))


def await_effect(access: Access, name: str, harm: Harm) -> None:
    """Wait until the cluster shows the damage; before that nothing may be said of a recovery.

    Raises:
        Inconclusive: it does not show all of it in time.
    """
    access.until(
        lambda: find(name).effect(access, harm.undo),
        lambda missing: not missing,
        harm.proof_s,
        lambda missing: f"the damage is not seen: {'; '.join(missing or ['nobody answers'])}:",
    )
