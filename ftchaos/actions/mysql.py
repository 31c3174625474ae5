"""The disaster of the MySQL tier, for drills."""

from __future__ import annotations

import time

from ftchaos.clock import now
from ftchaos.errors import Inconclusive
from ftchaos.platforms.base import Step
from ftchaos.run import Run, current

__all__ = ["lose_database_tier"]

PROOF_TIMEOUT_S = 5.0
ASSUMED = "the disaster was assumed and nothing was destroyed; the recovery time counts from here"
DESTROYED = "the MySQL primary was destroyed, and its replicas and all their volumes with it"


def lose_database_tier() -> str:
    """Kill every MySQL server at once and take its volume away, so that failover has nothing to turn to.

    Where a platform restores beside the source, nothing is harmed: the clients end, and all that they know to be
    written by then must be in the copy.

    Returns:
        What was destroyed, in words.

    Raises:
        Inconclusive: the witness did not see every server go down within five seconds.
    """
    run = current()
    if not run.record.injects_fault:
        run.traffic.end_writers()
        run.begin_fault("", [])
        run.keep("destroy", Step(ASSUMED, facts={"proven_at": run.fault_at()}))
        return ASSUMED
    recovery = run.platform.recovery()
    targets = list(recovery.destroy_targets())
    with run.undo.injecting():
        step = recovery.destroy(run.undo, run.id, lambda: run.begin_fault(DESTROYED, targets))
    proven_at = _prove(run, targets)
    run.keep("destroy", Step(step.summary, facts={**step.facts, "proven_at": proven_at}))
    return step.summary


def _prove(run: Run, targets: list[str]) -> float:
    """When the witness had seen all targets go down.

    Raises:
        Inconclusive: it has not within the time.
        StepFailed: it does not look any more.
    """
    fault_at = run.fault_at()
    deadline = now() + PROOF_TIMEOUT_S
    while (proven_at := run.traffic.proven_at(targets, fault_at)) is None:
        run.traffic.ensure_alive()
        if now() > deadline:
            raise Inconclusive(
                f"the fault was never seen: {', '.join(targets)} still answered from outside",
                "the injection had no effect; nothing can be concluded from this run",
            )
        time.sleep(0.01)
    return proven_at
