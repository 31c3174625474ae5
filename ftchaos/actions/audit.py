"""The audit as an activity: every acknowledged write is looked for in what survived."""

from __future__ import annotations

import time

from ftchaos.clock import now
from ftchaos.components import jobs
from ftchaos.platforms.base import Step
from ftchaos.run import Run, current

__all__ = ["audit_stores", "audit_writes", "compare_servers"]

LOOK_S = 0.25
DONE_WITHIN_S = 30.0
"""Work that takes longer counts as never done: a queue hands a job on whose worker lost it only after some seconds."""


def audit_writes() -> str:
    """End the writers, read the survivors by SQL and classify every write of the ledger.

    Returns:
        The number of acknowledged and of lost writes, in words.
    """
    run = current()
    run.require("cut_over")
    run.progress.note("audit: looking for every acknowledged write")
    run.traffic.end_writers()
    total = run.traffic.audit(run.platform.survivors, run.fault_at()).total
    summary = f"{total.lost:,} of {total.acknowledged:,} acknowledged writes were lost"
    run.keep("audit", Step(summary))
    return summary


def audit_stores() -> str:
    """End the writers and look for every write in every store, and for the work of every upload.

    Returns:
        The number of acknowledged and of lost writes, in words.
    """
    run = current()
    run.require("settle")
    run.progress.note("audit: looking for every acknowledged write in every store")
    run.traffic.end_writers()
    ended_at = now()
    found = run.traffic.audit(run.platform.survivors, run.fault_at(), run.platform.traffic())
    _await_work(run, ended_at)
    lost = {kind: loss.classes.lost for kind, loss in found.stores.items() if loss.classes.lost}
    summary = f"{found.total.lost:,} of {found.total.acknowledged:,} acknowledged writes were lost"
    summary += "".join(f"; {kind}: {count:,}" for kind, count in lost.items())
    run.keep("audit", Step(summary))
    return summary


def _await_work(run: Run, ended_at: float) -> None:
    """Read what became of the work of every upload, until all is done or it is time to give up: not before then."""
    while True:
        run.traffic.read_work(run.platform.survivors)
        found = jobs(run.traffic.seen(run.record.clock), run.fault_at())
        if found is None or not found.pending or now() > ended_at + DONE_WITHIN_S:
            return
        time.sleep(LOOK_S)


def compare_servers() -> str:
    """After the heal, hold the copies of the data against each other, and everything against how it stood before.

    Raises:
        StepFailed: they could not be compared.
    """
    run = current()
    run.require("audit")
    step = run.platform.compare()
    run.record.state_after = run.platform.state()
    run.keep("compare", step)
    return step.summary
