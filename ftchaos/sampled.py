"""What several clients of one component did, together. Pure.

Millions of operations are put in order only where somebody looks: around failures, and where a recovery is looked for.
Everything else is counted, client by client. What it says is what :mod:`ftchaos.recovery` says of all of them in order.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, compress, pairwise

from ftchaos import recovery
from ftchaos.ledger import WriterLedger
from ftchaos.objectives import Objectives
from ftchaos.recovery import Operations, Restored, Service, Ticks

_SHARES = (0.50, 0.95, 0.99)
# In how many sustained windows after an instant a recovery is looked for first.
_WINDOWS = 4


@dataclass(frozen=True)
class Sampled:
    """What each client did, in the order in which it sent."""

    parts: tuple[Operations, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[tuple[float, float, bool]]:
        """Each operation as (sent_at, latency_s, succeeded), client by client."""
        for one in self.parts:
            yield from one

    def part(self, from_at: float, to_at: float) -> Sampled:
        """The operations that were sent within a stretch of time."""
        return Sampled(tuple(recovery.part(one, from_at, to_at) for one in self.parts))

    def count(self, succeeded: bool) -> int:
        return sum(one.succeeded.count(succeeded) for one in self.parts)

    def ordered(self) -> Operations:
        """All of them in the order in which they were sent."""
        return self.parts[0] if len(self.parts) == 1 else recovery.in_order(self)

    @property
    def last_at(self) -> float:
        """When the last operation was sent."""
        return max((one.sent_at[-1] for one in self.parts if len(one)), default=-math.inf)


def of(writers: Iterable[WriterLedger]) -> Sampled:
    """What some writers did."""
    return Sampled(tuple(recovery.of_writer(writer) for writer in writers))


def around_failures(sampled: Sampled) -> Operations:
    """In order, the operations between which and the next that succeeded something was not well.

    Whatever is left out succeeded, and so did whatever was sent just before it: the first failure after an instant,
    the next success and every outage are those of all operations.
    """
    if len(sampled.parts) == 1:
        return sampled.parts[0]
    rows: list[tuple[float, float, bool]] = []
    stretches = list(_failing(sampled))
    for (from_at, to_at), (until_at, _) in pairwise([*stretches, (math.inf, math.inf)]):
        after: list[tuple[float, float, bool]] = []
        for one in sampled.parts:
            first, last = bisect_left(one.sent_at, from_at), bisect_right(one.sent_at, to_at)
            rows += _between(one, first, last)
            after += _between(one, last, last + 1)
        # Where the next stretch begins at once, it has that operation itself.
        rows += [next_one for next_one in sorted(after)[:1] if next_one[0] < until_at]
    return recovery.in_order(rows)


def _between(one: Operations, first: int, last: int) -> Operations:
    return Operations(one.sent_at[first:last], one.latency_s[first:last], one.succeeded[first:last])


def _failing(sampled: Sampled) -> Iterator[tuple[float, float]]:
    """The stretches of time in which any client failed, from its first failure to the last before its next success."""
    spans = sorted(
        (one.sent_at[first], one.sent_at[after - 1])
        for one in sampled.parts
        for first, after in recovery.failures(one.succeeded)
    )
    begin_at = end_at = -math.inf
    for from_at, to_at in spans:
        if from_at > end_at:
            if begin_at > -math.inf:
                yield begin_at, end_at
            begin_at = from_at
        end_at = max(end_at, to_at)
    if spans:
        yield begin_at, end_at


def restored(
    sampled: Sampled, objectives: Objectives, after_at: float, since_at: float | None = None
) -> Restored | None:
    """See :func:`ftchaos.recovery.restored`, which is asked of ever longer stretches of time.

    Whether a window is one depends on nothing that was sent later than the operation after it.
    """
    if len(sampled.parts) == 1:
        return recovery.restored(sampled.parts[0], objectives, after_at, since_at)
    # The operation before is what the resolution is measured from.
    first_at = after_at if since_at is None else since_at
    earlier = [(one.sent_at, bisect_left(one.sent_at, first_at)) for one in sampled.parts]
    from_at = max((sent_at[index - 1] for sent_at, index in earlier if index), default=first_at)
    if since_at is not None:
        return recovery.restored(sampled.part(from_at, math.inf).ordered(), objectives, after_at, since_at)
    length_s = _WINDOWS * objectives.sustain_s
    while True:
        found = recovery.restored(sampled.part(from_at, after_at + length_s).ordered(), objectives, after_at)
        if found is not None or after_at + length_s > sampled.last_at:
            return found
        length_s *= _WINDOWS


def service(sampled: Sampled) -> Service:
    """See :func:`ftchaos.recovery.service`."""
    if not len(sampled):
        return Service(None, None, None, None, None)
    latencies: Counter[float] = Counter()
    for one in sampled.parts:
        latencies += _latencies(one)
    p50_ms, p95_ms, p99_ms = (_percentile_ms(latencies, share) for share in _SHARES)
    unavailable_s = sum(span.duration_s for span in recovery.outages(around_failures(sampled)))
    return Service(sampled.count(True) / len(sampled), p50_ms, p95_ms, p99_ms, unavailable_s)


def _latencies(one: Operations) -> Counter[float]:
    """How often each latency was that of an operation that succeeded."""
    if isinstance(one.latency_s, Ticks):
        return one.latency_s.counted(one.succeeded)
    return Counter(compress(one.latency_s, one.succeeded))


def _percentile_ms(latencies: Counter[float], share: float) -> float | None:
    """By nearest rank."""
    ordered = sorted(latencies.items())
    counts = list(accumulate(count for _, count in ordered))
    return round(ordered[bisect_left(counts, math.ceil(share * counts[-1]))][0] * 1000, 2) if counts else None
