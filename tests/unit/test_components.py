"""Each component's way down and back, from what its sampler did; and what became of the work of uploads."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from ftchaos import components
from ftchaos.components import Seen, Timeline, Way, Work
from ftchaos.ledger import TICK_S, Ledger, Outcome, WriterLedger, write_id
from ftchaos.objectives import Objectives

STEP_S = 0.02
LATENCY_S = 0.01
OBJECTIVES = Objectives(sustain_s=3.0)
FAULT_AT = 5.0
ANCHOR_S = 1.0  # a time of zero ticks is none


def writer(kind: str, works: Callable[[float], bool], number: int = 1, length_s: float = 20.0) -> WriterLedger:
    """One that writes each 20 ms from 0 on."""
    at = [index * STEP_S for index in range(round(length_s / STEP_S))]
    outcomes = bytes(Outcome.ACKNOWLEDGED if works(one) else Outcome.FAILED for one in at)
    times = [ticks for one in at for ticks in (round((one + ANCHOR_S) / TICK_S), round(LATENCY_S / TICK_S))]
    return WriterLedger(kind, number, -ANCHOR_S, outcomes, times)


def down(begin_at: float, end_at: float) -> Callable[[float], bool]:
    return lambda at: not begin_at <= at < end_at


def always(at: float) -> bool:
    return True


def timelines(
    *writers: WriterLedger, hits: tuple[str, ...] = (), until_at: float = math.inf, **seen: object
) -> dict[str, Timeline]:
    found = components.timelines(
        Seen(Ledger(writers), **seen),  # type: ignore[arg-type]
        Way(OBJECTIVES, hits, FAULT_AT, FAULT_AT, until_at),
    )
    return {one.name: one for one in found}


@pytest.mark.parametrize(
    ("kind", "component"),
    [
        ("uploads", "api"),
        ("mysql", "database"),
        ("mysql-inside", None),
        ("redis-a", "cache-a"),
        ("redis-wait-c", "cache-c"),
        ("redis-inside-b", None),
    ],
)
def test_each_kind_of_writer_samples_its_component(kind: str, component: str | None) -> None:
    assert component == components.component_of(kind)


def test_component_fails_is_writable_and_is_restored() -> None:
    found = timelines(writer("mysql", down(5.5, 8)), hits=("database",))["database"]

    assert found.hit
    assert found.restored is not None
    assert pytest.approx((5.5, 8.0, 8.0), abs=1e-3) == (found.failed_at, found.writable_at, found.restored.at)


def test_what_comes_back_only_by_the_heal_has_not_recovered() -> None:
    found = timelines(writer("mysql", down(5.5, 12)), until_at=12.0)["database"]

    assert found.failed_at == pytest.approx(5.5)
    assert (found.writable_at, found.restored) == (None, None)


def test_component_that_never_fails_is_a_control_group() -> None:
    found = timelines(writer("redis-b", always), hits=("cache-a",))["cache-b"]

    assert not found.hit
    assert (found.failed_at, found.writable_at) == (None, None)
    assert found.restored is not None


def test_writable_and_durably_writable_are_two_instants() -> None:
    found = timelines(writer("redis-a", down(5.5, 8)), writer("redis-wait-a", down(5.5, 12), 2))["cache-a"]

    assert pytest.approx((8.0, 12.0), abs=1e-3) == (found.writable_at, found.durable_at)


def test_writes_that_wait_do_not_delay_what_is_writable() -> None:
    found = timelines(writer("redis-a", always), writer("redis-wait-a", down(5.5, 20), 2))["cache-a"]

    assert (found.failed_at, found.durable_at) == (None, None)
    assert not found.durable


def test_writes_that_wait_and_never_come_back_are_not_durable_again() -> None:
    found = timelines(writer("redis-a", down(5.5, 8)), writer("redis-wait-a", down(5.5, 20), 2))["cache-a"]

    assert found.writable_at == pytest.approx(8.0)
    assert (found.durable_at, found.durable) == (None, False)


def test_failure_before_the_fault_is_none_of_it() -> None:
    found = timelines(writer("mysql", down(1, 2)))["database"]

    assert found.failed_at is None


def uploads_and_work(done: Callable[[float], float | None]) -> tuple[WriterLedger, dict[int, Work]]:
    uploads = writer("uploads", always)
    work = {}
    for seq in range(1, uploads.attempted + 1):
        at = uploads.known_at(seq)
        took = done(at)
        work[write_id(1, seq)] = Work(at, None if took is None else at + took, 0 if took is None else 1)
    return uploads, work


def test_queue_that_does_no_work_is_down_although_it_takes_it() -> None:
    uploads, work = uploads_and_work(lambda at: None if 6 <= at < 9 else 0.01)
    found = timelines(uploads, work=work)

    assert found["api"].failed_at is None
    assert found["queue"].failed_at == pytest.approx(6.0, abs=0.05)
    assert found["queue"].writable_at == pytest.approx(9.0, abs=0.05)


def test_work_that_is_done_too_late_is_a_failure() -> None:
    uploads, work = uploads_and_work(lambda at: components.LATE_S + 1 if 6 <= at < 9 else 0.01)

    assert timelines(uploads, work=work)["queue"].failed_at == pytest.approx(6.0, abs=0.05)


def test_websocket_that_tells_nothing_is_down_although_the_work_is_done() -> None:
    uploads, work = uploads_and_work(lambda at: 0.01)
    heard = {upload: (one.begun_at + 0.02,) for upload, one in work.items() if not 6 <= one.begun_at < 9}
    found = timelines(uploads, work=work, heard=heard)

    assert found["queue"].failed_at is None
    assert found["websocket"].failed_at == pytest.approx(6.0, abs=0.05)
    assert found["websocket"].restored is not None


def test_jobs_are_counted_by_what_became_of_them() -> None:
    uploads, work = uploads_and_work(lambda at: None if at > 19.9 else 0.01)
    heard = {upload: (one.begun_at,) for upload, one in work.items() if one.done_at is not None}
    first, second, third = sorted(heard)[200:203]
    heard[first] = (6.0, 7.0)
    del heard[second]
    del work[third]
    found = components.jobs(Seen(Ledger((uploads,)), work, heard), FAULT_AT)

    assert found is not None
    pending = sum(one.done_at is None for one in work.values())
    assert pending > 0
    assert (uploads.attempted, pending) == (found.acknowledged, found.pending)
    assert found.completed == uploads.attempted - pending - 1
    assert (found.repeated, found.untold, found.orphaned) == (1, 1, 1)


def test_backlog_is_drained_when_the_last_late_work_was_heard_of() -> None:
    uploads, work = uploads_and_work(lambda at: 9 - at if 6 <= at < 8 else 0.01)
    heard = {upload: (one.done_at,) for upload, one in work.items() if one.done_at is not None}
    found = components.jobs(Seen(Ledger((uploads,)), work, heard), FAULT_AT)

    assert found is not None
    assert found.drained_at == pytest.approx(9.0, abs=0.01)


def test_without_the_database_nothing_is_said_of_the_work() -> None:
    assert components.jobs(Seen(Ledger((writer("uploads", always),))), FAULT_AT) is None
