"""The backups as a restore would find them."""

from __future__ import annotations

from ftchaos.run import current

__all__ = ["backup_complete"]


def backup_complete() -> bool:
    """Whether there is at least one complete backup, and the archive of the binary log grows."""
    run = current()
    problem = run.platform.backups_complete()
    if problem:
        run.progress.note(problem)
    return not problem
