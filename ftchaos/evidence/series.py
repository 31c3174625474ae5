"""Client operations in equal buckets of time, few enough for a chart that stays small."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ftchaos.evidence.record import Series

POINTS = 240
_STEPS_S = (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def buckets(
    name: str,
    operations: Iterable[tuple[float, float, bool]],
    *,
    origin_at: float,
    from_at: float,
    to_at: float,
    points: int = POINTS,
) -> Series:
    """The operations of one kind, counted and with their 95th percentile, in buckets of equal length.

    Args:
        name: what they are, such as ``uploads``.
        operations: (sent_at, latency_s, succeeded) in any order; those outside the window are left out.
        origin_at: the instant that counts as zero, usually the fault; all on one clock.
        from_at: begin of the window.
        to_at: end of the window.
        points: the most buckets wanted; one or two more where the window is not aligned with the origin.
    """
    length_s = max(to_at - from_at, _STEPS_S[0])
    step_s = next((step for step in _STEPS_S if length_s / step <= points), length_s / points)
    # Buckets are aligned with the origin, so that none mixes the time before the fault with the time after.
    first = math.floor((from_at - origin_at) / step_s)
    count = max(1, math.ceil((to_at - origin_at) / step_s) - first)
    succeeded, failed = [0] * count, [0] * count
    latencies_ms: list[list[float]] = [[] for _ in range(count)]
    for sent_at, latency_s, success in operations:
        if not from_at <= sent_at < to_at:
            continue
        # The last instants of the window may round up into a bucket that is not there.
        index = min(math.floor((sent_at - origin_at) / step_s) - first, count - 1)
        (succeeded if success else failed)[index] += 1
        latencies_ms[index].append(latency_s * 1000)
    return Series(
        name=name,
        from_s=first * step_s,
        step_s=step_s,
        succeeded=succeeded,
        failed=failed,
        p95_ms=[_p95(values) for values in latencies_ms],
    )


def _p95(values: list[float]) -> float | None:
    """The nearest-rank 95th percentile, rounded to 10 microseconds; None of nothing."""
    if not values:
        return None
    return round(sorted(values)[math.ceil(0.95 * len(values)) - 1], 2)
