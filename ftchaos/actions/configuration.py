"""The loss of an application's namespaces and the way back, each step a timed phase, for drills."""

from __future__ import annotations

import time

from ftchaos.clock import now
from ftchaos.errors import Inconclusive
from ftchaos.platforms.base import Step
from ftchaos.run import Run, current

__all__ = [
    "await_loss",
    "await_ready",
    "compare_with_before",
    "create_namespaces",
    "create_objects",
    "fetch_configuration",
    "look_again",
    "lose_namespaces",
]

PROOF_TIMEOUT_S = 30.0
"""How long after they are gone a witness may take to see it; it lists anew within a second where its watch broke."""


def lose_namespaces() -> str:
    """Delete the namespaces, after all that they hold is on disk for the undo, and while a witness watches them.

    Returns:
        What was deleted, in words.
    """
    run = current()
    recovery = run.platform.recovery()
    targets = list(recovery.destroy_targets())
    clause = f"{' and '.join(targets)} {'was' if len(targets) == 1 else 'were'} deleted"
    run.traffic.begin_sight(run.platform.traffic())
    with run.undo.injecting():
        step = recovery.destroy(run.undo, run.id, lambda: run.begin_fault(clause, targets))
    run.record.targets = [{"name": one.partition(" ")[2], "kind": "namespace", "zone": ""} for one in targets]
    run.keep("destroy", step)
    return step.summary


def await_loss() -> str:
    """Wait until the namespaces and all that was in them are gone, and the witness has seen it."""
    run = current()
    return run.step("detect", "lose", lambda: _proven(run, run.platform.recovery().detect(run.fault_at())), "destroy")


def fetch_configuration() -> str:
    """Fetch what is to be restored: the manifests, the repository, or the newest backup."""
    run = current()
    return run.step("decide", "fetch", lambda: run.platform.recovery().decide(run.options.to), "detect")


def create_namespaces() -> str:
    """Create the namespaces."""
    run = current()
    return run.step("provision", "provision", lambda: run.platform.recovery().provision(), "decide")


def create_objects() -> str:
    """Create the objects, those first that others refer to."""
    run = current()
    return run.step("restore", "create", lambda: run.platform.recovery().restore(run.progress.count), "provision")


def await_ready() -> str:
    """Wait until every workload is as ready as before, which ends the recovery time, or time is up."""
    run = current()
    said = run.step("cut_over", "become ready", lambda: run.platform.recovery().cut_over(), "restore")
    run.record.watched_until = now()
    run.record.answered_at = run.record.facts["cut_over"]["ready_at"]
    run.save()
    return said


def compare_with_before() -> str:
    """Hold every object against what was there before the loss, and name what differs."""
    run = current()
    run.require("cut_over")
    step = run.platform.recovery().verify_restored()
    run.keep("verify_restored", step)
    return step.summary


def look_again() -> str:
    """After the heal, see how every object stands, for the evidence to tell what is not as before."""
    run = current()
    run.record.state_after = run.platform.state()
    run.save()
    return f"{len(run.record.state_after)} objects"


def _proven(run: Run, step: Step) -> Step:
    """The same step, once whoever did not do it has seen it, too.

    Raises:
        Inconclusive: it has not within the time.
        StepFailed: it does not look any more.
    """
    targets, deadline = list(run.platform.recovery().destroy_targets()), now() + PROOF_TIMEOUT_S
    while run.traffic.proven_at(targets, run.fault_at()) is None:
        run.traffic.ensure_alive()
        if now() > deadline:
            raise Inconclusive(
                f"the loss was never seen: {', '.join(targets)} from outside", "see observations/sight.log of the run"
            )
        time.sleep(0.01)
    return step
