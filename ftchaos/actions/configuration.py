"""The loss of an application's namespaces and the way back, each step a timed phase, for drills."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ftchaos.clock import now
from ftchaos.run import current
from ftchaos.traffic import WITNESS_FILE

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


def lose_namespaces() -> str:
    """Delete the namespaces, after all that they hold is on disk for the undo.

    Returns:
        What was deleted, in words.
    """
    run = current()
    recovery = run.platform.recovery()
    targets = list(recovery.destroy_targets())
    clause = f"{' and '.join(targets)} {'was' if len(targets) == 1 else 'were'} deleted"
    with run.undo.injecting():
        step = recovery.destroy(run.undo, run.id, lambda: run.begin_fault(clause, targets))
    _witness(step.facts["seen"])
    run.record.targets = [{"name": one.partition(" ")[2], "kind": "namespace", "zone": ""} for one in targets]
    run.keep("destroy", step)
    return step.summary


def await_loss() -> str:
    """Wait until the namespaces and all that was in them are gone: the proof that the fault bit."""
    run = current()
    said = run.step("detect", "lose", lambda: run.platform.recovery().detect(run.fault_at()), "destroy")
    _witness(run.record.facts["detect"]["seen"])
    return said


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


def _witness(seen: Iterable[Mapping[str, Any]]) -> None:
    """Keep what was seen among the observations of the run, which the proof is made of."""
    with (current().folder / WITNESS_FILE).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(one)) + "\n" for one in seen)
