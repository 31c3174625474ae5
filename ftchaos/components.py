"""How each thing that clients use went down and came back, from its own sampler alone. Pure.

The API, the database and each shard of the cache are sampled by writers of the ledger. The queue is sampled by what it
is for: each acknowledged upload is work that must be done. The WebSocket is sampled by what is heard of that work.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ftchaos import sampled
from ftchaos.ledger import Ledger, write_id
from ftchaos.objectives import Objectives
from ftchaos.recovery import Operations, Restored
from ftchaos.sampled import Sampled

UPLOADS = "uploads"
WAIT = "redis-wait-"
PLAIN = "redis-"
INSIDE = "-inside"
# Work is given up as undone, or unheard, after this long; a sweeper finds forgotten work within two or three seconds.
LATE_S = 5.0
# Work takes milliseconds, but its objective is not that of a request: nobody waits for it.
WORK_P95_S = 1.0


@dataclass(frozen=True)
class Work:
    """What the database says of one upload's work, in seconds on the run's clock.

    Attributes:
        done_at: when it was completed; None while it is not.
        times: how often it was completed.
    """

    begun_at: float
    done_at: float | None
    times: int


@dataclass(frozen=True)
class Seen:
    """All that the samplers have seen of a run.

    Attributes:
        work: by upload; None when the database was not asked.
        heard: when each upload's work was heard of; None when nobody listened.
    """

    ledger: Ledger
    work: Mapping[int, Work] | None = None
    heard: Mapping[int, Sequence[float]] | None = None


@dataclass(frozen=True)
class Timeline:
    """One component from the fault on.

    Attributes:
        hit: whether the fault was to disturb it.
        failed_at: when the first operation that failed was sent; None when none failed.
        writable_at: when the first one that succeeded after it was sent.
        durable_at: the same for writes that a second server confirmed.
        durable: false while such writes have failed and not come back.
        restored: when it met its objectives again and for long enough.
        operations: all that its sampler did.
    """

    name: str
    hit: bool
    failed_at: float | None
    writable_at: float | None
    durable_at: float | None
    restored: Restored | None
    operations: Sampled
    durable: bool = True


def component_of(kind: str) -> str | None:
    """The component that a kind of writer samples; None for clients inside a zone that is cut off."""
    if INSIDE in kind:
        return None
    if kind == UPLOADS:
        return "api"
    if kind.startswith(PLAIN):
        return f"cache-{kind[-1]}"
    return "database" if kind == "mysql" else None


@dataclass(frozen=True)
class Way:
    """Between which instants components go down and come back, and what that means.

    Attributes:
        hits: names of the components that the fault was to disturb.
        after_at: from when on health counts as a recovery: when the damage was proven, else the fault.
        until_at: until when: what comes back only by the heal has not recovered.
        since_at: from when on harm was done bit by bit, where it was; see :func:`ftchaos.recovery.restored`.
    """

    objectives: Objectives
    hits: Sequence[str]
    fault_at: float
    after_at: float
    until_at: float = math.inf
    since_at: float | None = None


def timelines(seen: Seen, way: Way) -> list[Timeline]:
    """Every component that has a sampler."""
    sampled = {component_of(kind) for kind in seen.ledger.kinds()} - {None}
    found = []
    for name in sorted(str(one) for one in sampled):
        kinds = [kind for kind in seen.ledger.kinds() if component_of(kind) == name]
        plain = [kind for kind in kinds if not kind.startswith(WAIT)]
        durable = [kind for kind in kinds if kind.startswith(WAIT)]
        found.append(_timeline(name, _of(seen.ledger, plain), way))
        if durable:
            # Confirmed again may well be only after the heal, which brings the second server back.
            confirmed = _timeline(name, _of(seen.ledger, durable), dataclasses.replace(way, until_at=math.inf))
            found[-1] = dataclasses.replace(
                found[-1],
                durable_at=found[-1].writable_at if confirmed.failed_at is None else confirmed.writable_at,
                durable=confirmed.failed_at is None or confirmed.writable_at is not None,
            )
    objectives = dataclasses.replace(way.objectives, p95_s=max(way.objectives.p95_s, WORK_P95_S))
    work = dataclasses.replace(way, objectives=objectives)
    if seen.work is not None:
        found.append(_timeline("queue", _done(seen), work))
    if seen.heard is not None:
        found.append(_timeline("websocket", told(seen), work))
    return found


def _of(ledger: Ledger, kinds: Iterable[str]) -> Sampled:
    return sampled.of(writer for kind in kinds for writer in ledger.of(kind))


def _timeline(name: str, operations: Sampled, way: Way) -> Timeline:
    seen = operations.part(0.0, way.until_at)
    disturbed = sampled.around_failures(seen)
    failed = disturbed.succeeded.find(0, bisect_left(disturbed.sent_at, way.fault_at))
    back = disturbed.succeeded.find(1, failed) if failed >= 0 else -1
    return Timeline(
        name=name,
        hit=name in way.hits,
        failed_at=disturbed.sent_at[failed] if failed >= 0 else None,
        writable_at=disturbed.sent_at[back] if back >= 0 else None,
        durable_at=None,
        restored=_restored(seen, way),
        operations=operations,
    )


def _restored(seen: Sampled, way: Way) -> Restored | None:
    """When a component came back to stay; well for a moment and down again is not recovered."""
    found = sampled.restored(seen, way.objectives, way.after_at, way.since_at)
    if found is None or way.since_at is not None:  # which looks at all of the time
        return found
    lately = max(way.after_at, seen.last_at - 2 * way.objectives.sustain_s - 0.2)
    return found if sampled.restored(seen, way.objectives, lately) else None


def _acknowledged(seen: Seen) -> list[tuple[float, int]]:
    """When each upload was acknowledged, in that order."""
    return sorted(
        (writer.known_at(seq), write_id(writer.writer, seq))
        for writer in seen.ledger.of(UPLOADS)
        for first, last in writer.acknowledged()
        for seq in range(first, last + 1)
    )


def _done(seen: Seen) -> Sampled:
    """The work of each acknowledged upload as an operation: it succeeded when it was done in time.

    How long it took is told by the database's clock alone, which may be another than that of the clients.
    """
    work = seen.work or {}
    return _operations(
        (at, one.done_at - one.begun_at if (one := work.get(upload)) and one.done_at is not None else None)
        for at, upload in _acknowledged(seen)
    )


def told(seen: Seen) -> Sampled:
    """What was heard of each acknowledged upload as an operation: it succeeded when it was heard in time."""
    heard = seen.heard or {}
    # Before the first word was heard nobody may have listened yet.
    listening_at = min((min(instants) for instants in heard.values()), default=-math.inf)
    return _operations(
        (at, min(heard[upload]) - at if upload in heard else None)
        for at, upload in _acknowledged(seen)
        if at >= listening_at
    )


def _operations(rows: Iterable[tuple[float, float | None]]) -> Sampled:
    """Operations from when each began and how long it took, None for never."""
    sent_at, latency_s, succeeded = array("d"), array("d"), bytearray()
    for at, took_s in rows:
        # It may be done before its client knows that it was accepted.
        took_s = None if took_s is None else max(took_s, 0.0)
        sent_at.append(at)
        latency_s.append(LATE_S if took_s is None else min(took_s, LATE_S))
        succeeded.append(took_s is not None and took_s < LATE_S)
    return Sampled((Operations(sent_at, latency_s, bytes(succeeded)),))


@dataclass(frozen=True)
class Jobs:
    """What became of the work of acknowledged uploads; see :class:`ftchaos.evidence.Jobs`."""

    acknowledged: int
    completed: int
    pending: int
    orphaned: int
    repeated: int
    untold: int
    drained_at: float | None


def jobs(seen: Seen, fault_at: float) -> Jobs | None:
    """What became of the work; None when the database was not asked.

    What is lost with its upload is the loss of that upload, and not counted a second time.
    """
    if seen.work is None:
        return None
    uploads = _acknowledged(seen)
    there = [seen.work[upload] for _, upload in uploads if upload in seen.work]
    heard = seen.heard or {}
    late = [
        first for at, upload in uploads if upload in heard and (first := min(heard[upload])) > max(fault_at, at + 1)
    ]
    # Before the first word was heard nobody may have listened yet.
    listening_at = min((min(instants) for instants in heard.values()), default=math.inf)
    done = {upload for upload, one in seen.work.items() if one.done_at is not None and one.done_at > listening_at}
    return Jobs(
        acknowledged=len(uploads),
        completed=sum(one.done_at is not None for one in there),
        pending=sum(one.done_at is None for one in there),
        orphaned=len(heard.keys() - seen.work.keys()),
        repeated=sum(len(instants) > 1 for instants in heard.values()),
        untold=len(done - heard.keys()),
        drained_at=max(late, default=None),
    )
