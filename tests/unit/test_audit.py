"""The audit against a naive model, and audits that are wrong against the self-test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftchaos.audit import Audit, Classes, Surviving, Survivors, classify, self_test, untold
from ftchaos.audit import holes as holes_in
from ftchaos.errors import Inconclusive
from ftchaos.ledger import TICK_S, Ledger, Outcome, WriterLedger

READ_AT = 100.0
FAULT_AT = 50.0


def intervals(sequences: set[int]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for seq in sorted(sequences):
        if found and found[-1][1] == seq - 1:
            found[-1] = found[-1][0], seq
        else:
            found.append((seq, seq))
    return tuple(found)


def writer_of(outcomes: bytes, latencies: Sequence[int] = (), number: int = 1, kind: str = "mysql") -> WriterLedger:
    """A write each 10 ms from the anchor 0 on."""
    latencies = latencies or [20] * len(outcomes)
    times = [tick for index, latency in enumerate(latencies) for tick in (1 + 200 * index, latency)]
    return WriterLedger(kind, number, 0.0, outcomes, times)


def surviving(present: set[int], corrupt: set[int] = frozenset(), duplicate: set[int] = frozenset()) -> Surviving:  # type: ignore[assignment]
    return Surviving(intervals(present), intervals(corrupt), intervals(duplicate))


def audit_of(outcomes: bytes, present: set[int], fault_at: float | None = FAULT_AT) -> Audit:
    return classify(Ledger((writer_of(outcomes),)), [Survivors("mysql", READ_AT, {1: surviving(present)})], fault_at)


writers = st.integers(0, 60).flatmap(
    lambda count: st.tuples(
        st.lists(st.sampled_from([1, 2, 2, 2, 3, 4]), min_size=count, max_size=count).map(bytes),
        st.lists(st.integers(0, 5000), min_size=count, max_size=count),
        st.sets(st.integers(1, count + 5)),
        st.sets(st.integers(1, count + 5)),
    )
)


@given(st.lists(writers, max_size=3), st.floats(-1, 2), st.integers(0, 3))
def test_classes_and_loss_are_those_of_a_naive_model(
    cases: list[tuple[bytes, list[int], set[int], set[int]]], fault_at: float, strangers: int
) -> None:
    ledger = Ledger(tuple(writer_of(case[0], case[1], number) for number, case in enumerate(cases, 1)))
    survivors = Survivors(
        "mysql",
        READ_AT,
        {number: surviving(case[2], case[2] & case[3]) for number, case in enumerate(cases, 1)},
        strangers,
    )

    audit = classify(ledger, [survivors], fault_at)

    expected = dict.fromkeys(Classes().as_dict(), 0) | {"unexpected": strangers}
    lost: dict[tuple[int, int], float] = {}
    for number, (outcomes, latencies, present, corrupt) in enumerate(cases, 1):
        known = {seq: Outcome(outcome) for seq, outcome in enumerate(outcomes, 1)}
        expected["attempted"] += len(known)
        expected["corrupt"] += len(present & corrupt)
        for seq in known.keys() | present:
            outcome = known.get(seq, Outcome.NEVER)
            acknowledged = outcome is Outcome.ACKNOWLEDGED
            indeterminate = outcome in (Outcome.ATTEMPTED, Outcome.INDETERMINATE)
            expected["acknowledged"] += acknowledged
            expected["failed"] += outcome is Outcome.FAILED
            expected["indeterminate"] += indeterminate
            expected["ok"] += acknowledged and seq in present
            expected["lost"] += acknowledged and seq not in present
            expected["recovered"] += indeterminate and seq in present
            expected["unexpected"] += not acknowledged and not indeterminate and seq in present
            if acknowledged and seq not in present:
                lost[number, seq] = (1 + 200 * (seq - 1) + latencies[seq - 1]) * TICK_S
    assert expected == audit.total.as_dict()
    assert lost.keys() == {(i.writer, seq) for i in audit.lost_intervals for seq in range(i.first, i.last + 1)}
    assert pytest.approx(min(lost.values(), default=READ_AT)) == audit.recovery_point_at
    assert pytest.approx(max(0.0, fault_at - min(lost.values())) if lost else 0.0) == audit.data_loss_s
    assert "" == self_test(ledger, [survivors])


def test_interval_that_was_lost_is_named_with_its_instants() -> None:
    audit = audit_of(b"\2" * 10, {1, 2, 3, 7, 8, 9, 10})

    (lost,) = audit.lost_intervals
    assert ("mysql", 1, 4, 6, 3) == (lost.kind, lost.writer, lost.first, lost.last, lost.count)
    assert pytest.approx((601 + 20) * TICK_S) == lost.began_at
    assert pytest.approx((1001 + 20) * TICK_S) == lost.ended_at


def test_data_loss_reaches_from_the_oldest_lost_write_to_the_fault() -> None:
    audit = audit_of(b"\2" * 10, {1, 2, 10}, fault_at=0.06)

    assert pytest.approx(0.06 - (401 + 20) * TICK_S) == audit.data_loss_s


def test_no_data_is_lost_where_every_acknowledged_write_survives() -> None:
    audit = audit_of(b"\2\3\4\1", {1})

    assert (0.0, READ_AT) == (audit.data_loss_s, audit.recovery_point_at)


def test_write_lost_after_the_fault_counts_as_lost_without_data_loss() -> None:
    audit = audit_of(b"\2" * 10, set(range(1, 10)), fault_at=0.0)

    assert (1, 0.0) == (audit.total.lost, audit.data_loss_s)


def test_loss_without_a_fault_has_no_length() -> None:
    assert audit_of(b"\2", set(), fault_at=None).data_loss_s is None


def test_row_of_a_writer_that_never_was_is_unexpected() -> None:
    survivors = Survivors("mysql", READ_AT, {1: surviving({1}), 9: surviving({1, 2})})

    assert 2 == classify(Ledger((writer_of(b"\2"),)), [survivors], None).total.unexpected


def test_each_store_has_its_own_loss() -> None:
    ledger = Ledger((writer_of(b"\2\2"), writer_of(b"\2\2\2", number=2, kind="uploads")))
    survivors = [
        Survivors("mysql", READ_AT, {1: surviving({1, 2})}),
        Survivors("uploads", READ_AT + 1, {2: surviving({1})}),
    ]

    audit = classify(ledger, survivors, FAULT_AT)

    assert (0, 2, 2) == (audit.stores["mysql"].classes.lost, audit.stores["uploads"].classes.lost, audit.total.lost)
    assert 0.0 == audit.stores["mysql"].data_loss_s
    assert audit.stores["uploads"].data_loss_s == audit.data_loss_s


@pytest.mark.parametrize("read", [[], ["uploads"], ["mysql", "mysql"]])
def test_store_that_was_not_read_makes_the_audit_inconclusive(read: list[str]) -> None:
    with pytest.raises(Inconclusive):
        classify(Ledger((writer_of(b"\2"),)), [Survivors(kind, READ_AT, {}) for kind in read], FAULT_AT)


WHOLE = Ledger((writer_of(b"\2" * 30),)), [Survivors("mysql", READ_AT, {1: surviving(set(range(1, 31)))})]


@pytest.mark.parametrize(
    ("outcomes", "present", "corrupt"),
    [
        pytest.param(b"", set(), set(), id="nothing was attempted"),
        pytest.param(b"\2" * 9, set(), set(), id="everything was lost"),
        pytest.param(b"\2\2", {1, 2}, set(), id="two writes"),
        pytest.param(b"\2" * 9, set(range(1, 10)), set(range(1, 10)), id="everything is corrupt"),
        pytest.param(b"\3" * 9, set(), set(), id="everything failed"),
        pytest.param(b"\2" * 9, {1, 3, 5, 7}, {5}, id="islands"),
    ],
)
def test_self_test_passes_whatever_survived(outcomes: bytes, present: set[int], corrupt: set[int]) -> None:
    survivors = [Survivors("mysql", READ_AT, {1: surviving(present, corrupt)})]

    assert "" == self_test(Ledger((writer_of(outcomes),)), survivors)


def test_self_test_passes_without_any_writer() -> None:
    assert "" == self_test(Ledger(()), [])


def sees_no_loss(ledger: Ledger, survivors: Sequence[Survivors], fault_at: float | None) -> Audit:
    audit = classify(ledger, survivors, fault_at)
    whole = replace(audit.whole, classes=audit.total + Classes(ok=audit.total.lost, lost=-audit.total.lost), lost=())
    return replace(audit, whole=whole)


def sees_no_corruption(ledger: Ledger, survivors: Sequence[Survivors], fault_at: float | None) -> Audit:
    audit = classify(ledger, survivors, fault_at)
    return replace(audit, whole=replace(audit.whole, classes=replace(audit.total, corrupt=0)))


def sees_no_duplicates(ledger: Ledger, survivors: Sequence[Survivors], fault_at: float | None) -> Audit:
    audit = classify(ledger, survivors, fault_at)
    return replace(audit, whole=replace(audit.whole, classes=replace(audit.total, duplicate=0)))


def names_the_wrong_write(ledger: Ledger, survivors: Sequence[Survivors], fault_at: float | None) -> Audit:
    audit = classify(ledger, survivors, fault_at)
    lost = tuple(replace(one, first=one.first + 1, last=one.last + 1) for one in audit.lost_intervals)
    return replace(audit, whole=replace(audit.whole, lost=lost))


def has_a_late_recovery_point(ledger: Ledger, survivors: Sequence[Survivors], fault_at: float | None) -> Audit:
    audit = classify(ledger, survivors, fault_at)
    return replace(audit, whole=replace(audit.whole, recovery_point_at=READ_AT))


@pytest.mark.parametrize(
    "wrong",
    [sees_no_loss, sees_no_corruption, sees_no_duplicates, names_the_wrong_write, has_a_late_recovery_point],
)
def test_self_test_finds_an_audit_that_is_blind(wrong: object) -> None:
    assert self_test(*WHOLE, wrong)  # type: ignore[arg-type]


def test_a_write_lost_from_the_middle_is_a_hole_and_one_from_the_end_is_not() -> None:
    writer = WriterLedger(
        "mysql", 1, 0.0, bytes([Outcome.ACKNOWLEDGED] * 5), [n for seq in range(5) for n in (20_000 * (seq + 1), 10)]
    )
    ledger = Ledger((writer,))

    def count(*present: tuple[int, int], until_at: float = 10.0) -> int:
        survivors = [Survivors("mysql", 20.0, {1: Surviving(present=present)})]
        return holes_in(ledger, survivors, classify(ledger, survivors, 5.5), until_at)

    assert count((1, 5)) == 0
    assert count((1, 3)) == 0
    assert count((1, 2), (4, 5)) == 1
    assert count((2, 3)) == 1
    assert count() == 0
    assert count((1, 4), until_at=4.5) == 1, "acknowledged after the last server had died"


@pytest.mark.parametrize(
    ("writers", "kinds"),
    [
        ([("uploads", b"\3\2"), ("mysql", b"\3")], ["mysql"]),
        ([("mysql", b"\3"), ("mysql", b"\1\2")], []),
        ([("mysql", b""), ("redis-a", b"\3\3\3\2")], ["mysql", "redis-a"]),  # the last only after the instant
        ([("redis-inside-a", b"\2"), ("redis-inside-b", b"\3")], []),
        ([("redis-inside-a", b"\3"), ("redis-inside-b", b"")], ["redis-inside"]),
        ([("mysql-inside", b"\3\3\1")], []),
        ([("mysql-inside", b"\3\4")], ["mysql-inside"]),
        ([("mysql-inside", b"\1")], ["mysql-inside"]),
        ([("mysql-inside", b"")], ["mysql-inside"]),
    ],
)
def test_kinds_of_writers_without_a_success_are_named(writers: list[tuple[str, bytes]], kinds: list[str]) -> None:
    ledger = Ledger(tuple(writer_of(outcomes, kind=kind) for kind, outcomes in writers))

    assert kinds == untold(ledger, 0.025)
