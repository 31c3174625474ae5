"""Intervals of consecutive numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ftchaos.audit import Interval


def merged(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Intervals in order, those that touch made one."""
    pending: Interval | None = None
    for first, last in intervals:
        if pending is not None and first == pending[1] + 1:
            pending = pending[0], last
        else:
            if pending is not None:
                yield pending
            pending = first, last
    if pending is not None:
        yield pending
