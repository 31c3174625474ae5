"""When the service was restored, and how it did: from client operations alone. Pure.

An operation counts where it was sent: an open-loop client sends on whether or not the service answers, so the
instants at which it sent are a steady clock. One that failed, timed out or was never answered is a failure.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from typing import overload

from ftchaos.ledger import TICK_S, Outcome, WriterLedger
from ftchaos.objectives import Objectives

SILENCE = 1 / 3
"""The longest part of a sustained window that may pass without any operation: beyond it nothing is known."""


class Ticks(Sequence[float]):
    """Instants or lengths of time as a ledger has them; each becomes seconds when it is looked at."""

    def __init__(self, ticks: Sequence[int] | memoryview, origin_s: float = 0.0) -> None:
        self._ticks, self._origin_s = ticks, origin_s

    def __len__(self) -> int:
        return len(self._ticks)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Ticks: ...
    def __getitem__(self, index: int | slice) -> float | Ticks:
        if isinstance(index, slice):
            return Ticks(self._ticks[index], self._origin_s)
        return self._origin_s + self._ticks[index] * TICK_S

    def __iter__(self) -> Iterator[float]:
        origin_s = self._origin_s
        return (origin_s + ticks * TICK_S for ticks in self._ticks)

    def counted(self, chosen: bytes) -> Counter[float]:
        """How often each stands where a byte is not zero."""
        # Out of the file's every second number first: they are counted twice as fast when they stand together.
        ticks = array("I", self._ticks.tobytes()) if isinstance(self._ticks, memoryview) else self._ticks
        counts = Counter(compress(ticks, chosen))
        return Counter({self._origin_s + one * TICK_S: count for one, count in counts.items()})


@dataclass(frozen=True)
class Operations:
    """What clients did through the public path, in the order in which it was sent.

    Attributes:
        sent_at: when each was sent.
        latency_s: how long each took until its outcome was known.
        succeeded: one byte each: 1 acknowledged, 0 anything else.
    """

    sent_at: Sequence[float]
    latency_s: Sequence[float]
    succeeded: bytes

    def __len__(self) -> int:
        return len(self.succeeded)

    def __iter__(self) -> Iterator[tuple[float, float, bool]]:
        """Each operation as (sent_at, latency_s, succeeded)."""
        return zip(self.sent_at, self.latency_s, map(bool, self.succeeded), strict=True)


def part(operations: Operations, from_at: float, to_at: float) -> Operations:
    """The operations that were sent within a stretch of time."""
    first, last = bisect_left(operations.sent_at, from_at), bisect_left(operations.sent_at, to_at)
    return Operations(
        operations.sent_at[first:last], operations.latency_s[first:last], operations.succeeded[first:last]
    )


@dataclass(frozen=True)
class Restored:
    """The service was restored.

    Attributes:
        at: when the first operation of the sustained window was sent.
        resolution_s: how long before it the operation before was sent, hence by how much ``at`` may be late.
    """

    at: float
    resolution_s: float


@dataclass(frozen=True)
class Service:
    """The service as clients saw it.

    Attributes:
        success_ratio: share of operations that succeeded.
        p50_ms, p95_ms, p99_ms: latency of those that did, nearest rank; None where none did.
        unavailable_s: how long the newest operation was a failed one.
    """

    success_ratio: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    unavailable_s: float | None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True)
class Span:
    """A named part of a partition of time."""

    name: str
    began_at: float
    ended_at: float

    @property
    def duration_s(self) -> float:
        return self.ended_at - self.began_at


_SUCCEEDED = bytes(outcome == Outcome.ACKNOWLEDGED for outcome in range(256))


def operations(writers: Iterable[WriterLedger]) -> Operations:
    """What some writers did, together."""
    parts = [of_writer(writer) for writer in writers]
    if len(parts) == 1:
        return parts[0]
    return in_order(row for part in parts for row in part)


def in_order(rows: Iterable[tuple[float, float, bool]]) -> Operations:
    """Operations from any order, each as (sent_at, latency_s, succeeded)."""
    rows = sorted(rows)
    return Operations(
        array("d", (row[0] for row in rows)), array("d", (row[1] for row in rows)), bytes(row[2] for row in rows)
    )


def of_writer(writer: WriterLedger) -> Operations:
    """What one writer did; its times are looked at where somebody asks."""
    # A slice of a memoryview copies nothing.
    sent, latency = writer.times[0::2], writer.times[1::2]
    return Operations(Ticks(sent, writer.anchor_at), Ticks(latency), writer.outcomes.translate(_SUCCEEDED))


def restored(
    operations: Operations, objectives: Objectives, after_at: float, since_at: float | None = None
) -> Restored | None:
    """When clients saw the service meet its objectives again and for long enough, or None while they have not.

    The window begins with an operation that was sent at or after an instant, succeeded and was quick
    enough; of all that were sent within ``sustain_s`` from it, enough succeeded, and the 95th
    percentile of the latency of those is within the objective. No part of it is without operations
    for long, and at least one was sent after its end: until then it has not passed.

    Args:
        operations: what clients did; one that is still under way counts as failed, until asked again.
        objectives: what the service promises.
        after_at: usually the fault.
        since_at: from when on harm was done bit by bit, until ``after_at``. Then it was restored with the first window
            from which all that have passed met the objectives, one that began after the harm among them.

    Source: ``restored_at`` in the definitions of ftchaos; nearest-rank percentiles.
    """
    found, last_at = None, -math.inf
    first_at = after_at if since_at is None else since_at
    for begin, met in _windows(operations, objectives, first_at):
        last_at = operations.sent_at[begin]
        if not met:
            found = None
        elif found is None and operations.succeeded[begin] and operations.latency_s[begin] <= objectives.p95_s:
            before_at = operations.sent_at[begin - 1] if begin else first_at
            found = Restored(last_at, last_at - before_at)
            if since_at is None:
                break
    return found if last_at >= after_at else None


def _windows(operations: Operations, objectives: Objectives, after_at: float) -> Iterator[tuple[int, bool]]:
    """Each operation after an instant, and whether the sustained window from it on met the objectives.

    It ends before the first window that has not passed yet.
    """
    count = len(operations)
    sent_at, succeeded, latency_s = operations.sent_at, operations.succeeded, operations.latency_s
    first = end = bisect_left(sent_at, after_at)
    good = quick = 0
    # The newest operation after which the service was silent for too long; a window holds none such but at its end.
    silent_until = first
    for begin in range(first, count):
        until_at = sent_at[begin] + objectives.sustain_s
        while end < count and sent_at[end] < until_at:
            good += succeeded[end]
            quick += succeeded[end] and latency_s[end] <= objectives.p95_s
            if end > begin and sent_at[end] - sent_at[end - 1] > SILENCE * objectives.sustain_s:
                silent_until = end
            end += 1
        if end == count:
            return
        silent = silent_until > begin or sent_at[end] - sent_at[end - 1] > SILENCE * objectives.sustain_s
        met = good >= objectives.success * (end - begin) and quick >= math.ceil(0.95 * good)
        yield begin, met and not silent
        good -= succeeded[begin]
        quick -= succeeded[begin] and latency_s[begin] <= objectives.p95_s


def service(operations: Operations) -> Service:
    """How the service did over all these operations; all None without any."""
    if not len(operations):
        return Service(None, None, None, None, None)
    quickest = sorted(latency_s for _, latency_s, succeeded in operations if succeeded)
    p50_ms, p95_ms, p99_ms = (_percentile_ms(quickest, share) for share in (0.50, 0.95, 0.99))
    ratio = operations.succeeded.count(1) / len(operations)
    return Service(ratio, p50_ms, p95_ms, p99_ms, sum(span.duration_s for span in outages(operations)))


def outages(operations: Operations) -> Iterator[Span]:
    """The times in which the newest operation was a failed one: each from its first failure to the next success."""
    for first, after in failures(operations.succeeded):
        last_at = operations.sent_at[after - 1] + operations.latency_s[after - 1]
        ended_at = operations.sent_at[after] if after < len(operations) else last_at
        yield Span("unavailable", operations.sent_at[first], max(ended_at, operations.sent_at[first]))


def failures(succeeded: bytes) -> Iterator[tuple[int, int]]:
    """Where each unbroken row of failures begins, and what comes after it."""
    first = succeeded.find(0)
    while first >= 0:
        after = succeeded.find(1, first)
        after = len(succeeded) if after < 0 else after
        yield first, after
        first = succeeded.find(0, after)


def _percentile_ms(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 2) if ordered else None


def partition(began_at: float, ended_at: float, marks: Sequence[tuple[str, float]]) -> list[Span]:
    """Time cut into contiguous named parts that together are exactly the whole.

    Args:
        began_at: begin of the whole, usually the fault; the first part begins there whatever its mark says.
        ended_at: end of the whole, usually the service restored.
        marks: the parts in their order, each with the instant at which it began; a name may come again.
            A mark before the one before it, or after the end, is moved there: the part has no length.
    """
    begins = [began_at]
    for _, at in marks[1:]:
        begins.append(min(max(at, begins[-1]), max(ended_at, began_at)))
    ends = [*begins[1:], max(ended_at, began_at)]
    return [Span(name, begin, end) for (name, _), begin, end in zip(marks, begins, ends, strict=False)]
