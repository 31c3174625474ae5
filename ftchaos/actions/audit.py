"""The audit as an activity: every acknowledged write is looked for in what survived."""

from __future__ import annotations

from ftchaos.platforms.base import Step
from ftchaos.run import current

__all__ = ["audit_writes"]


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
