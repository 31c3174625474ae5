"""What many clients did together is what one list of all their operations in order says."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from ftchaos import recovery, sampled
from ftchaos.ledger import WriterLedger
from ftchaos.objectives import Objectives
from ftchaos.sampled import Sampled

OBJECTIVES = Objectives(sustain_s=0.004, success=0.5)
ATTEMPTED, ACKNOWLEDGED, FAILED = 1, 2, 3

OUTCOMES = [ATTEMPTED, *[ACKNOWLEDGED] * 5, FAILED]
# Ticks between two writes of a client, the latency of the second in ticks, and its outcome; ties are frequent.
WRITES = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([1, 7, 20_000]), st.sampled_from(OUTCOMES)),
    max_size=60,
)
CLIENTS = st.lists(WRITES, min_size=1, max_size=4)
INSTANTS = st.integers(0, 1200).map(lambda ticks: ticks * 50e-6)


def clients(drawn: list[list[tuple[int, int, int]]]) -> list[WriterLedger]:
    found = []
    for number, writes in enumerate(drawn, 1):
        times, sent = array("I"), 1
        for gap, latency, _ in writes:
            sent += gap
            times.extend((sent, latency))
        found.append(WriterLedger("mysql", number, 0.0, bytes(one[2] for one in writes), memoryview(times)))
    return found


@given(CLIENTS, INSTANTS)
def test_the_first_failure_after_an_instant_and_the_next_success_are_those_of_all(
    drawn: list[list[tuple[int, int, int]]], after_at: float
) -> None:
    writers = clients(drawn)
    found = []
    for operations in (recovery.operations(writers), sampled.around_failures(sampled.of(writers))):
        failed = operations.succeeded.find(0, bisect_left(operations.sent_at, after_at))
        back = operations.succeeded.find(1, failed) if failed >= 0 else -1
        found.append([operations.sent_at[index] if index >= 0 else None for index in (failed, back)])

    assert found[0] == found[1]


@given(CLIENTS, INSTANTS, INSTANTS)
def test_the_service_of_any_stretch_of_time_is_that_of_all(
    drawn: list[list[tuple[int, int, int]]], from_at: float, to_at: float
) -> None:
    writers = clients(drawn)
    expected = recovery.service(recovery.part(recovery.operations(writers), from_at, to_at))

    assert expected == sampled.service(sampled.of(writers).part(from_at, to_at))


@settings(max_examples=300)
@given(CLIENTS, INSTANTS, st.sampled_from([0.5, 0.9, 1.0]))
def test_a_recovery_is_found_where_all_operations_show_it(
    drawn: list[list[tuple[int, int, int]]], after_at: float, success: float
) -> None:
    writers = clients(drawn)
    objectives = Objectives(sustain_s=0.004, success=success)
    expected = recovery.restored(recovery.operations(writers), objectives, after_at)

    assert expected == sampled.restored(sampled.of(writers), objectives, after_at)


@settings(max_examples=300)
@given(CLIENTS, INSTANTS, INSTANTS, st.sampled_from([0.5, 0.9, 1.0]))
def test_a_recovery_from_harm_done_bit_by_bit_is_found_where_all_operations_show_it(
    drawn: list[list[tuple[int, int, int]]], one_at: float, other_at: float, success: float
) -> None:
    writers, (since_at, after_at) = clients(drawn), sorted((one_at, other_at))
    objectives = Objectives(sustain_s=0.004, success=success)
    expected = recovery.restored(recovery.operations(writers), objectives, after_at, since_at)
    at_once = recovery.restored(recovery.operations(writers), objectives, after_at)

    assert expected == sampled.restored(sampled.of(writers), objectives, after_at, since_at)
    assert expected is None or (at_once is not None and expected.resolution_s >= 0)


def test_what_went_well_is_not_put_in_order() -> None:
    well = [(1, 1, ACKNOWLEDGED)] * 50
    drawn = [[*well, (1, 1, FAILED), *well], [*well, *well]]

    assert 3 == len(sampled.around_failures(sampled.of(clients(drawn))))


def test_of_nobody_nothing_is_known() -> None:
    nobody = Sampled(())

    assert {None} == set(sampled.service(nobody).as_dict().values())
    assert sampled.restored(nobody, OBJECTIVES, 0.0) is None
    assert 0 == len(sampled.around_failures(nobody))
