"""A configuration and where it is kept, and the workloads as the cluster shows them."""

from __future__ import annotations

from ftchaos.run import current

__all__ = ["configuration_kept", "workloads_ready"]


def configuration_kept() -> bool:
    """Whether there is something that the lost namespaces would come back from; after a loss, whether it was found."""
    run = current()
    if run.record.fault_at is not None:
        return "decide" in run.record.facts
    problem = run.platform.backups_complete()
    if problem:
        run.progress.note(problem)
    return not problem


def workloads_ready() -> bool:
    """Whether every workload is as ready as it is to be, and after a loss as it was before."""
    run = current()
    problem = run.platform.writer_in_place()
    if problem:
        run.progress.note(problem)
    return not problem
