"""The service as its clients see it."""

from __future__ import annotations

from ftchaos.run import current

__all__ = ["meets_objectives"]


def meets_objectives(timeout_s: float = 20.0) -> bool:
    """Whether client operations through the public address met the objectives in the newest sustained window.

    Args:
        timeout_s: how long to wait for such a window, at least twice its length; after a step that failed, or where
            the service did not come back in time, waiting would only put off the healing.
    """
    run = current()
    if run.record.fault_at is not None and run.record.keeps_ledger and not run.record.injects_fault:
        # The source serves on all the time; what is asked is whether the copy does.
        return run.traffic.restored_at(run.record.fault_at, run.objectives) is not None
    in_vain = any(step.status == "failed" for step in run.record.steps)
    in_vain = in_vain or bool(run.record.facts.get("watch", {}).get("missing"))
    patience_s = max(timeout_s, 2 * run.objectives.sustain_s)
    return run.traffic.meets_objectives(run.objectives, 0.0 if in_vain else patience_s)
