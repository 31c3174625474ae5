"""The MySQL tier as its owner sees it."""

from __future__ import annotations

from ftchaos.run import current

__all__ = ["writer_in_place"]


def writer_in_place() -> bool:
    """Whether the public writer address leads to a server that takes writes."""
    run = current()
    problem = run.platform.writer_in_place()
    if problem:
        run.progress.note(problem)
    return not problem
