"""The workloads of an application as the cluster shows them."""

from __future__ import annotations

from ftchaos.run import current

__all__ = ["workloads_ready"]


def workloads_ready() -> bool:
    """Whether every workload is as ready as it is to be, and after a loss as it was before."""
    run = current()
    problem = run.platform.writer_in_place()
    if problem:
        run.progress.note(problem)
    return not problem
