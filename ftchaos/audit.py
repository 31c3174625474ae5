"""The audit: every write of the ledger held against what survived, and the proof that the audit can see. Pure.

Classes are Jepsen's (jepsen.checker/set and set-full): **ok** acknowledged and present; **lost** acknowledged and
absent; **recovered** indeterminate and present; **unexpected** present but failed or never attempted; **duplicate**
there more than once; **corrupt** present with another content, whatever else it is. What the audit costs follows the
gaps among the survivors: whole stretches are counted by ``bytes.count``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from ftchaos.errors import Inconclusive
from ftchaos.ledger import Ledger, Outcome, WriterLedger

Interval = tuple[int, int]
"""Consecutive sequences of one writer, the first and the last."""


def untold(ledger: Ledger, before_at: float = math.inf) -> list[str]:
    """The kinds of writers that were told of no success before an instant, so that no loss of theirs could be seen."""
    told: dict[str, bool] = {}
    for writer in ledger.writers:
        # Clients inside a zone reach but the shards whose masters stand there.
        kind = writer.kind[:-2] if writer.kind.startswith("redis-inside") else writer.kind
        first = next(writer.acknowledged(), None)
        # A replica inside a zone refuses every write, so that none can be lost there.
        refused = kind == "mysql-inside" and writer.count(Outcome.FAILED) == _settled(writer) > 0
        known = refused or (first is not None and writer.known_at(first[0]) < before_at)
        told[kind] = told.get(kind, False) or known
    return [kind for kind, known in told.items() if not known]


def _settled(writer: WriterLedger) -> int:
    """How many writes have come to something: of a writer at work the newest has not yet."""
    return writer.attempted - writer.count(Outcome.ATTEMPTED)


def length(intervals: Sequence[Interval]) -> int:
    """How many sequences lie in intervals that are apart from each other."""
    return sum(last - first + 1 for first, last in intervals)


@dataclass(frozen=True)
class Surviving:
    """What is there of one writer's writes.

    Attributes:
        present: intervals of sequences that are there, in order, apart from each other.
        corrupt: likewise, those that are there with another content.
        duplicate: likewise, those that are there more than once.
    """

    present: tuple[Interval, ...] = ()
    corrupt: tuple[Interval, ...] = ()
    duplicate: tuple[Interval, ...] = ()


@dataclass(frozen=True)
class Survivors:
    """What one store has of the writes of one kind, read in one snapshot after the writers had ended.

    Attributes:
        kind: the kind of writers whose writes these are.
        read_at: when the snapshot was taken.
        writers: by number; a writer that is absent here has no survivor.
        strangers: how many more ids are there, beyond the last that each writer attempted or of no writer at all.
    """

    kind: str
    read_at: float
    writers: Mapping[int, Surviving]
    strangers: int = 0


@dataclass(frozen=True)
class Classes:
    """How many writes came to which outcome, and are of which class."""

    attempted: int = 0
    acknowledged: int = 0
    failed: int = 0
    indeterminate: int = 0
    ok: int = 0
    lost: int = 0
    recovered: int = 0
    unexpected: int = 0
    duplicate: int = 0
    corrupt: int = 0

    def __add__(self, other: Classes) -> Classes:
        return Classes(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def as_dict(self) -> dict[str, int]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True)
class LostInterval:
    """Consecutive acknowledged writes of one writer that are absent.

    Attributes:
        kind, writer: whose they were.
        first, last: their sequences.
        began_at: the earliest instant at which one of them was acknowledged.
        ended_at: when the last of them was acknowledged.
    """

    kind: str
    writer: int
    first: int
    last: int
    began_at: float
    ended_at: float

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Loss:
    """The audit of one store.

    Attributes:
        classes: its writes, counted.
        lost: what of them was lost, by writer and sequence.
        recovery_point_at: the latest instant such that every write acknowledged before it survives: when the oldest
            lost write was acknowledged, or where none is lost, when the survivors were read.
        data_loss_s: from the recovery point to the fault; 0.0 where nothing acknowledged before the fault is lost,
            and None where some is lost without there being a fault.
    """

    classes: Classes
    lost: tuple[LostInterval, ...]
    recovery_point_at: float
    data_loss_s: float | None


@dataclass(frozen=True)
class Audit:
    """What became of all writes: in all, and by the kind of writer."""

    whole: Loss
    stores: Mapping[str, Loss] = field(default_factory=dict)

    @property
    def total(self) -> Classes:
        return self.whole.classes

    @property
    def lost_intervals(self) -> tuple[LostInterval, ...]:
        return self.whole.lost

    @property
    def recovery_point_at(self) -> float:
        return self.whole.recovery_point_at

    @property
    def data_loss_s(self) -> float | None:
        return self.whole.data_loss_s


def outcomes(ledger: Ledger) -> dict[str, int]:
    """How many writes were attempted and what their clients know of them; all that is known without survivors."""
    keys = ("attempted", "acknowledged", "failed", "indeterminate")
    total = sum((_count(writer, Surviving()) for writer in ledger.writers), Classes()).as_dict()
    return {key: total[key] for key in keys}


def classify(ledger: Ledger, survivors: Sequence[Survivors], fault_at: float | None) -> Audit:
    """What became of every write.

    A write whose outcome the client never learned cannot count as lost.

    Args:
        ledger: all attempted writes, read after the writers had ended.
        survivors: one for each kind of writer.
        fault_at: the instant of the injection, on the ledger's clock; None for a run without a fault.

    Raises:
        Inconclusive: the survivors of a kind of writer were not read, or were read twice.

    Source: loss classes, jepsen.checker/set; data loss against RPO, NIST SP 800-34r1.
    """
    by_kind = {one.kind: one for one in survivors}
    if len(by_kind) != len(survivors) or (missing := set(ledger.kinds()) - by_kind.keys()):
        what = f"of {', '.join(sorted(missing))} were not" if len(by_kind) == len(survivors) else "were twice"
        raise Inconclusive(f"the survivors {what} read", "run the audit again when the database answers")
    stores = {kind: _classify_store(ledger.of(kind), by_kind[kind], fault_at) for kind in by_kind}
    losses = tuple(stores.values())
    total = sum((loss.classes for loss in losses), Classes())
    lost = tuple(interval for loss in losses for interval in loss.lost)
    return Audit(_loss(total, lost, min((one.read_at for one in survivors), default=0.0), fault_at), stores)


def _classify_store(writers: Sequence[WriterLedger], survivors: Survivors, fault_at: float | None) -> Loss:
    total = Classes()
    lost: list[LostInterval] = []
    for writer in writers:
        surviving = survivors.writers.get(writer.writer, Surviving())
        total += _count(writer, surviving)
        lost.extend(_lost(writer, surviving))
    known = {writer.writer for writer in writers}
    strangers = survivors.strangers + sum(
        length(one.present) for number, one in survivors.writers.items() if number not in known
    )
    total += Classes(unexpected=strangers)
    return _loss(total, tuple(lost), survivors.read_at, fault_at)


def _count(writer: WriterLedger, surviving: Surviving) -> Classes:
    survived = dict.fromkeys((Outcome.ATTEMPTED, Outcome.ACKNOWLEDGED, Outcome.INDETERMINATE), 0)
    for first, last in surviving.present:
        for outcome in survived:
            survived[outcome] += writer.outcomes.count(outcome, first - 1, last)
    acknowledged, ok = writer.count(Outcome.ACKNOWLEDGED), survived[Outcome.ACKNOWLEDGED]
    failed = writer.count(Outcome.FAILED)
    recovered = survived[Outcome.ATTEMPTED] + survived[Outcome.INDETERMINATE]
    return Classes(
        attempted=writer.attempted,
        acknowledged=acknowledged,
        failed=failed,
        indeterminate=writer.attempted - acknowledged - failed,
        ok=ok,
        lost=acknowledged - ok,
        recovered=recovered,
        unexpected=length(surviving.present) - ok - recovered,
        duplicate=length(surviving.duplicate),
        corrupt=length(surviving.corrupt),
    )


def _lost(writer: WriterLedger, surviving: Surviving) -> Iterator[LostInterval]:
    for gap_first, gap_last in _gaps(surviving.present, writer.attempted):
        for first, last in writer.acknowledged(gap_first, gap_last):
            earliest = writer.earliest_known_at(first, last)
            yield LostInterval(writer.kind, writer.writer, first, last, earliest, writer.known_at(last))


def _gaps(present: Sequence[Interval], attempted: int) -> Iterator[Interval]:
    after = 1
    for first, last in present:
        if first > after:
            yield after, min(first - 1, attempted)
        after = last + 1
    if after <= attempted:
        yield after, attempted


def _loss(classes: Classes, lost: tuple[LostInterval, ...], read_at: float, fault_at: float | None) -> Loss:
    if not lost:
        return Loss(classes, lost, read_at, 0.0)
    point = min(interval.began_at for interval in lost)
    return Loss(classes, lost, point, None if fault_at is None else max(0.0, fault_at - point))


def holes(ledger: Ledger, survivors: Sequence[Survivors], audit: Audit, until_at: float) -> int:
    """How many lost writes are missing from the middle of what survived, where only its end may be.

    Whatever is restored to one point in time is a whole beginning of history: when a write survives, so
    does every write that was acknowledged before it was sent. And nothing that was acknowledged after
    the last server had died may be lost at all.

    Args:
        ledger, survivors, audit: of one run.
        until_at: when the last of the lost servers was seen dead; until then a write may be acknowledged in vain.

    Source: real-time order, as in linearizability (Herlihy and Wing, 1990).
    """
    horizon_at = max(
        (
            sent_at
            for one in survivors
            for writer in ledger.of(one.kind)
            if (sent_at := _newest_surviving(writer, one.writers.get(writer.writer, Surviving()), until_at)) is not None
        ),
        default=0.0,
    )
    writers = {(writer.kind, writer.writer): writer for writer in ledger.writers}
    return sum(
        not horizon_at <= writers[lost.kind, lost.writer].known_at(seq) <= until_at
        for lost in audit.lost_intervals
        if lost.began_at < horizon_at or lost.ended_at > until_at
        for seq in range(lost.first, lost.last + 1)
    )


def _newest_surviving(writer: WriterLedger, surviving: Surviving, until_at: float) -> float | None:
    """When the newest write that survives and was acknowledged by then was sent; None without any."""
    # What was sent later was not acknowledged by then; writes are sent in order, and there may be millions later.
    sent = bisect_right(range(1, writer.attempted + 1), until_at, key=writer.sent_at)
    for first, last in reversed(surviving.present):
        for seq in range(min(last, sent), first - 1, -1):
            if writer.outcome(seq) == Outcome.ACKNOWLEDGED and writer.known_at(seq) <= until_at:
                return writer.sent_at(seq)
    return None


Classify = Callable[[Ledger, Sequence[Survivors], float | None], Audit]


def self_test(ledger: Ledger, survivors: Sequence[Survivors], classify: Classify = classify) -> str:
    """Whether the audit finds flaws planted in a copy of its own input: empty, else what it did not do.

    One acknowledged write that survived is made lost, another corrupt, a third duplicate; the audit
    must find exactly those beside what it found before. Where fewer than three survived, a writer
    with three writes is added to the copy.

    Args:
        ledger, survivors: the input of the audit.
        classify: the audit to test.
    """
    planted = _where_to_plant(ledger, survivors)
    if planted is None:
        ledger, survivors = _with_another_writer(ledger, survivors)
        planted = _where_to_plant(ledger, survivors)
        assert planted is not None
    kind, writer, (lost, corrupt, duplicate) = planted
    flawed = [_plant(one, writer, lost, corrupt, duplicate) if one.kind == kind else one for one in survivors]
    before, after = classify(ledger, survivors, None), classify(ledger, flawed, None)
    wanted = before.total + Classes(ok=-1, lost=1, corrupt=1, duplicate=1)
    if wrong := [
        f"{name} {found:,} instead of {wanted.as_dict()[name]:,}"
        for name, found in after.total.as_dict().items()
        if found != wanted.as_dict()[name]
    ]:
        return f"with planted flaws the audit found {', '.join(wrong)}"
    if not any(
        (one.kind, one.writer) == (kind, writer) and one.first <= lost <= one.last for one in after.lost_intervals
    ):
        return "the audit does not name the write that was planted as lost"
    known_at = next(one for one in ledger.of(kind) if one.writer == writer).known_at(lost)
    if not after.recovery_point_at <= min(known_at, before.recovery_point_at):
        return "the audit's recovery point is after the write that was planted as lost"
    return ""


def _where_to_plant(ledger: Ledger, survivors: Sequence[Survivors]) -> tuple[str, int, tuple[int, int, int]] | None:
    """Three sound writes of one writer, from the middle of what survived."""
    for one in survivors:
        for writer in ledger.of(one.kind):
            surviving = one.writers.get(writer.writer, Surviving())
            middle = len(surviving.present) // 2
            flawed = sorted((*surviving.corrupt, *surviving.duplicate))
            sound: list[int] = []
            for first, last in (*surviving.present[middle:], *surviving.present[:middle]):
                for acknowledged in writer.acknowledged(first, last):
                    for begin, end in _without(acknowledged, flawed):
                        centre = max(begin, (begin + end) // 2 - 1)
                        sound.extend(range(centre, min(end, centre + 2) + 1))
                        if len(sound) >= 3:
                            return one.kind, writer.writer, (sound[0], sound[1], sound[2])
    return None


def _without(interval: Interval, holes: Sequence[Interval]) -> Iterator[Interval]:
    """The parts of an interval that lie in none of the holes, which are in order."""
    first, last = interval
    for begin, end in holes:
        if begin > last:
            break
        if first < begin:
            yield first, begin - 1
        first = max(first, end + 1)
    if first <= last:
        yield first, last


def _with_another_writer(ledger: Ledger, survivors: Sequence[Survivors]) -> tuple[Ledger, Sequence[Survivors]]:
    kind = survivors[0].kind if survivors else "planted"
    number = max((writer.writer for writer in ledger.writers), default=0) + 1
    others = survivors[0] if survivors else Survivors(kind, 0.0, {})
    # Written long ago: whatever the copy has lost besides, the planted loss decides the recovery point.
    writer = WriterLedger(kind, number, others.read_at - 1.0, bytes([Outcome.ACKNOWLEDGED] * 3), [1, 1, 2, 1, 3, 1])
    grown = replace(others, writers={**others.writers, number: Surviving(present=((1, 3),))})
    return Ledger((*ledger.writers, writer)), [grown, *survivors[1:]]


def _plant(survivors: Survivors, writer: int, lost: int, corrupt: int, duplicate: int) -> Survivors:
    surviving = survivors.writers[writer]
    present: list[Interval] = []
    for first, last in surviving.present:
        if first <= lost <= last:
            present.extend(part for part in ((first, lost - 1), (lost + 1, last)) if part[0] <= part[1])
        else:
            present.append((first, last))
    flawed = Surviving(
        tuple(present),
        tuple(sorted((*surviving.corrupt, (corrupt, corrupt)))),
        tuple(sorted((*surviving.duplicate, (duplicate, duplicate)))),
    )
    return replace(survivors, writers={**survivors.writers, writer: flawed})
