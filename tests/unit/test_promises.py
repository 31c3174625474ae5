"""A promise that was not kept is named; one of which nobody knows is never counted as kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ftchaos.components import Jobs, Timeline
from ftchaos.platforms.base import STORES
from ftchaos.promises import Kept, Promises, asked, broken, unknown
from ftchaos.recovery import Restored
from ftchaos.sampled import Sampled

NOTHING = Sampled(())
PROMISED = Promises(recovery_time_s=60.0, lost={"mysql": 0, "redis-wait": 0}, success=0.99, jobs=True)
DATABASE = Timeline("database", True, 101.0, 103.0, None, Restored(103.0, 0.02), NOTHING)
KEPT = Kept(
    timelines=(DATABASE, replace(DATABASE, name="cache-b", hit=False)),
    lost={"mysql": 0, "mysql-inside": 7, "redis-a": 9, "redis-wait-a": 0, "redis-wait-b": 0},
    success=0.995,
    jobs=Jobs(10, 10, 0, 0, 0, 0, None),
    fault_at=100.0,
    watched_s=20.0,
)


def late(restored_at: float | None, *, hit: bool = True) -> Timeline:
    return replace(DATABASE, hit=hit, restored=None if restored_at is None else Restored(restored_at, 0.02))


def test_kept_promises_give_no_word() -> None:
    assert broken(PROMISED, KEPT) == ()
    assert unknown(PROMISED, KEPT) == ()


def test_without_promises_nothing_can_be_broken() -> None:
    worst = Kept((late(None),), None, None, None, 100.0, None)

    assert broken(Promises(), worst) == unknown(Promises(), worst) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timelines": (late(161.0),)}, "the database took 61 s to recover, longer than the 60 s promised"),
        ({"timelines": (late(None),), "watched_s": 60.0}, "the database was not restored within the 60 s promised"),
        ({"lost": {"mysql": 3, "redis-wait-a": 0}}, "3 acknowledged writes of mysql were lost"),
        ({"lost": {"mysql": 0, "redis-wait-a": 1, "redis-wait-b": 2}}, "3 acknowledged writes of redis-wait were lost"),
        ({"success": 0.9}, "90.00% of requests succeeded, where 99.0% are promised"),
        ({"jobs": Jobs(10, 8, 2, 0, 0, 0, None)}, "the work of 2 acknowledged uploads was not done"),
    ],
)
def test_a_broken_promise_is_named(change: dict[str, object], words: str) -> None:
    found = broken(PROMISED, replace(KEPT, **change))  # type: ignore[arg-type]

    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "change",
    [
        {"timelines": (late(None),), "watched_s": 59.0},
        {"timelines": (late(None),), "watched_s": None},
        {"lost": None},
        {"lost": {"mysql": 0}},
        {"success": None},
        {"jobs": None},
    ],
)
def test_what_was_not_measured_is_unknown_and_not_kept(change: dict[str, object]) -> None:
    kept = replace(KEPT, **change)  # type: ignore[arg-type]

    assert unknown(PROMISED, kept)
    assert not broken(PROMISED, kept)


def test_a_run_without_clients_inside_has_told_them_nothing() -> None:
    promised = Promises(lost={"mysql-inside": 0})

    assert unknown(promised, replace(KEPT, lost={"mysql": 0})) == ()
    assert unknown(promised, replace(KEPT, lost=None))
    assert broken(promised, KEPT)


def test_the_control_group_owes_no_recovery() -> None:
    kept = replace(KEPT, timelines=(DATABASE, late(None, hit=False)), watched_s=90.0)

    assert broken(PROMISED, kept) == ()


def test_nothing_that_was_hit_recovers_where_clients_use_nothing_of_it() -> None:
    control = replace(KEPT, timelines=(late(103.0, hit=False),))

    assert ("whether anything recovers in time, as clients use nothing of what was hit",) == unknown(PROMISED, control)
    assert () == unknown(replace(PROMISED, recovery_time_s=None), control)


def test_each_promise_has_a_sentence() -> None:
    assert len(PROMISED.words()) == 5


def test_only_what_clients_write_to_is_asked_for_and_the_rest_is_said() -> None:
    promises = Promises(60.0, {"mysql": 0, "mysql-inside": 0, "uploads": 0, "redis-wait": 0}, 0.99, jobs=True)
    here, elsewhere = asked(promises, ["mysql"])

    assert Promises(60.0, {"mysql": 0}, 0.99) == here
    assert Promises(lost={"mysql-inside": 0, "uploads": 0, "redis-wait": 0}, jobs=True) == elsewhere
    assert (promises, Promises()) == asked(promises, STORES)


def test_what_is_written_to_and_yet_nobody_sampled_stays_unknown() -> None:
    here, _ = asked(PROMISED, ["mysql", "redis", "redis-wait"])

    assert "how many acknowledged writes of redis-wait were lost" in unknown(here, replace(KEPT, lost={"mysql": 0}))


def test_what_no_replica_can_confirm_is_not_asked_for() -> None:
    here, elsewhere = asked(Promises(lost={"redis": 5, "redis-wait": 0}), ["mysql", "redis"])

    assert Promises(lost={"redis": 5}) == here
    assert Promises(lost={"redis-wait": 0}) == elsewhere


def test_word_of_a_master_without_a_replica_is_to_be_kept_as_that_of_a_replica() -> None:
    here, elsewhere = asked(Promises(lost={"mysql": 0, "redis-wait": 0}), ["mysql", "redis"])
    (said,) = broken(here, replace(KEPT, lost={"mysql": 0, "redis-a": 7}))

    assert (Promises(lost={"mysql": 0, "redis": 0}), Promises()) == (here, elsewhere)
    assert "7 acknowledged writes of redis were lost, where none is promised" == said
    assert "how many acknowledged writes of redis were lost" in unknown(here, replace(KEPT, lost={"mysql": 0}))
