"""Faults. Each is resolved to what it hits at that moment, announced in the undo log, injected, and then proven.

A function here is named like the fault of the platform that it stands for; an experiment has one of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ftchaos.clock import now
from ftchaos.errors import Inconclusive
from ftchaos.platforms.base import Harm, Step
from ftchaos.run import Run, current
from ftchaos.units import human_duration

__all__ = [
    "exhaust_memory",
    "fail_mysql_primary",
    "fail_mysql_replica",
    "fail_queue_master",
    "fail_redis_masters",
    "fail_zone",
    "fill_disk",
    "jump_clock",
    "kill_instance",
    "load_autoscaler",
    "lose_target",
    "move_address",
    "partition_namespaces",
    "slow_dependency",
]

PROOF_TIMEOUT_S = 5.0
WHERE_GIVEN = ("count", "instance", "label")


def fail_zone(zone: str = "primary", manner: str = "outage") -> str:
    """Let a zone lose its power, cut it off, or take it away in another manner that the platform knows.

    Args:
        zone: its name, or ``primary`` for that of the MySQL primary; on Kubernetes, where no server says who that is,
            and for a drain, that with most of the application's pods.
        manner: ``outage``, ``partition``, ``partition-in``, ``partition-out``, on Kubernetes ``drain``, ``nodes`` or
            ``out-of-service``, on AWS ``power``.
    """
    return _inject("fail_zone", zone=zone, manner=manner)


def fail_mysql_primary(manner: str = "kill", label: str = "") -> str:
    """Take the MySQL primary: ``kill``, ``lag`` then kill, ``partition``, or the ``polite`` managed failover.

    Args:
        label: on Kubernetes, ``key=value`` of the pod that leads.
    """
    return _inject("fail_mysql_primary", manner=manner, label=label)


def fail_mysql_replica(manner: str = "kill", zone: str = "") -> str:
    """Let one MySQL replica die (``kill``), or fall behind (``lag``); by default the first."""
    return _inject("fail_mysql_replica", manner=manner, zone=zone)


def fail_redis_masters(which: str = "one", manner: str = "kill", label: str = "") -> str:
    """Take masters of the Redis Cluster: ``one``, ``every-second``, or one by its name.

    Args:
        label: on Kubernetes, ``key=value`` of the pods that lead.
    """
    return _inject("fail_redis_masters", which=which, manner=manner, label=label)


def fail_queue_master(manner: str = "kill") -> str:
    """Take the Redis master of the queue, which Sentinels watch."""
    return _inject("fail_queue_master", manner=manner)


def kill_instance(tier: str, count: str = "", instance: str = "") -> str:
    """Kill one instance of a tier: ``api``, ``websocket`` (the one that holds the clients' sockets) or ``worker``.

    Args:
        tier: on Kubernetes also ``monitoring``, which no client uses, or ``db``.
        count: on Kubernetes, how many: a number, a share of each workload such as ``50%``, or ``all``.
        instance: its name; without it any.
    """
    return _inject("kill_instance", tier=tier, count=count, instance=instance)


def load_autoscaler(
    target: str = "", rate: str = "200", rise: str = "1m", bites_within: str = "3m", lasts: str = "14m",
    under_way: str = "200", path: str = "/api/users/1/files",
) -> str:  # fmt: skip
    """Read from the application beyond the usual, until a HorizontalPodAutoscaler is above its target; on Kubernetes.

    Args:
        target: its namespace and name; without it that of the tier api.
        rate: requests a second at the most.
        rise: how long it takes to get there; it rises no more once the autoscaler is above its target.
        bites_within: how long after that it may take until it is.
        lasts: after which time the load ends by itself.
        under_way: how many requests may be under way at once.
        path: what is read, by GET.
    """
    return _inject(
        "load_autoscaler", target=target, rate=rate, rise=rise, bites_within=bites_within, lasts=lasts,
        under_way=under_way, path=path,
    )  # fmt: skip


def partition_namespaces(between: str, and_: str, seen: str = "/health", lasts: str = "20s") -> str:
    """Cut two namespaces of a cluster off from each other, and from nobody else.

    Args:
        seen: what cannot work then, as the proof: a path of the application, or ``namespace/name`` of a workload whose
            pods are not ready then.
        lasts: for how long that must not work without a break.
    """
    return _inject("partition_namespaces", between=between, and_=and_, seen=seen, lasts=lasts)


def lose_target(tier: str = "api") -> str:
    """Let one target behind the load balancer hang: it accepts, and never answers."""
    return _inject("lose_target", tier=tier)


def move_address() -> str:
    """Let the writer's address lead elsewhere, as a change of DNS does, while old connections live on."""
    return _inject("move_address")


def slow_dependency(of: str = "mysql", delay: str = "200ms") -> str:
    """Slow down the way to a server that others depend on."""
    return _inject("slow_dependency", of=of, delay=delay)


def fill_disk(zone: str = "primary") -> str:
    """Let the volume of a MySQL server be full."""
    return _inject("fill_disk", zone=zone)


def jump_clock(by: str = "1h") -> str:
    """Let the wall clock of a MySQL server jump."""
    return _inject("jump_clock", by=by)


def exhaust_memory(of: str = "primary") -> str:
    """Let a MySQL server get no more memory."""
    return _inject("exhaust_memory", of=of)


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a platform gets: some only where they were given, as not every platform knows them."""
    return {key: value for key, value in arguments.items() if key not in WHERE_GIVEN or value not in ("", None)}


def _inject(fault: str, **arguments: str) -> str:
    run = current()
    harm = run.platform.harm(fault, given(arguments))
    run.ensure_within(harm)
    run.record.hits, run.record.gradual = list(harm.hits), harm.gradual
    run.record.targets = [{"name": one.name, "kind": one.kind, "zone": one.zone} for one in harm.targets]
    signs = list(harm.signs)
    with run.undo.injecting():
        said = run.platform.inject(fault, harm, run.undo, lambda: run.begin_fault(harm.clause, signs))
    run.progress.note(said)
    proven_at = _prove(run, signs, max(harm.proof_s, PROOF_TIMEOUT_S))
    seen = f"the damage was seen {human_duration(proven_at - run.fault_at())} after the fault began"
    if harm.stays_s:
        _ensure_stays(run, signs, proven_at, harm)
        seen += f", and lasted for {human_duration(harm.stays_s)}"
    run.keep("inject", Step(seen, facts={"proven_at": proven_at}))
    return said


def _ensure_stays(run: Run, signs: list[str], proven_at: float, harm: Harm) -> None:
    """Wait until the damage has been seen to last without a break.

    Until then it may come and go, as instances of an application notice at different moments what they lack; but never
    for so long that a recovery could have been seen between.

    Raises:
        Inconclusive: it does not last.
        StepFailed: the run was ended early, or nobody looks any more.
    """
    begin_by = proven_at + run.objectives.sustain_s
    deadline = begin_by + harm.stays_s + PROOF_TIMEOUT_S
    while now() <= deadline:
        run.traffic.ensure_alive()
        run.require()
        seen = run.traffic.seen_down(signs)
        if seen is not None and seen[0] <= begin_by and seen[1] - seen[0] >= harm.stays_s:
            return
        time.sleep(0.05)
    raise Inconclusive(
        f"{', '.join(signs)} went down and did not stay down, as by a hiccup, while the fault lasts until it is healed",
        "nothing can be concluded from this run; name as its sign what cannot work without what was taken",
    )


def _prove(run: Run, signs: list[str], proof_s: float) -> float:
    """When the witness had seen every sign of the damage.

    Raises:
        Inconclusive: it has not within the time.
        StepFailed: it does not look any more.
    """
    fault_at = run.fault_at()
    deadline = now() + proof_s
    while (proven_at := run.traffic.proven_at(signs, fault_at)) is None:
        run.traffic.ensure_alive()
        if now() > deadline:
            raise Inconclusive(
                f"the fault was never seen: {', '.join(signs)} looked from outside as before",
                "the injection had no effect; nothing can be concluded from this run",
            )
        time.sleep(0.01)
    return proven_at
