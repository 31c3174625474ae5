"""Stop conditions: pure over what was seen, and asked in a thread that heals first and interrupts then."""

from __future__ import annotations

import json
import threading
from array import array
from pathlib import Path

import pytest

from ftchaos import stop
from ftchaos.errors import Inconclusive
from ftchaos.guard import Target
from ftchaos.ledger import TICK_S, Outcome, WriterLedger
from ftchaos.recovery import Operations
from ftchaos.witness import Observation

AT = 1000.0


def _operations(*seconds: str) -> Operations:
    """Ten operations in each second up to one second ago: ``1`` succeeded, ``0`` did not, a blank was not sent."""
    began_at = AT - stop.SETTLE_S - len(seconds)
    rows = [
        (began_at + second + number / 10, mark == "1")
        for second, marks in enumerate(seconds)
        for number, mark in enumerate(marks)
        if mark != " "
    ]
    return Operations([at for at, _ in rows], [0.01] * len(rows), bytes(good for _, good in rows))


@pytest.mark.parametrize(
    ("seconds", "stops"),
    [
        (["1111111111"] * 4, False),
        (["0000000000"] * 4, True),
        (["1111111111", "0000000000", "0000000000", "0000000000"], True),
        (["0000000000", "0000000000", "0000000000", "1111100000"], False),
        (["0000000000", "0000000000", "0000000000", "1111000000"], True),
        (["0000000000", "1111111111", "0000000000", "0000000000"], False),
        (["1111111111", "0000000000", "1111111111", "0000000000"], False),
        (["0000000000", "0000000000", "          ", "0000000000"], False),
        (["0000000000", "0000000000"], False),
        ([], False),
    ],
)
def test_service_stops_the_run_when_it_is_too_bad_in_every_second(seconds: list[str], stops: bool) -> None:
    reason = stop.service_too_bad(_operations(*seconds), 0.5, 3.0, AT)

    assert stops is bool(reason)


def test_reason_tells_the_limit_and_the_count() -> None:
    reason = stop.service_too_bad(_operations("1000000000", "0000000000", "0000000000"), 0.5, 3.0, AT)

    assert "the service was worse than 50.0% for longer than 3 s: 1 of 30 operations succeeded" == reason


def test_operations_that_may_still_be_answered_do_not_count() -> None:
    young = Operations([AT - 0.9, AT - 0.5], [0.0, 0.0], bytes(2))

    assert "" == stop.service_too_bad(young, 0.5, 1.0, AT)


@pytest.mark.parametrize("kind", [array, memoryview])
def test_only_what_was_sent_lately_is_looked_at(kind: type) -> None:
    ticks = array("I", [part for n in range(100) for part in (int((n + 1) / TICK_S), int(0.25 / TICK_S))])
    outcomes = bytes([Outcome.ACKNOWLEDGED, Outcome.FAILED] * 50)
    writer = WriterLedger("uploads", 1, AT, outcomes, memoryview(ticks) if kind is memoryview else ticks)

    found = stop.lately([writer, writer], AT + 99)

    assert [AT + 99, AT + 99, AT + 100, AT + 100] == pytest.approx(list(found.sent_at))
    assert (b"\1\1\0\0", [0.25] * 4) == (found.succeeded, pytest.approx(list(found.latency_s)))


ZONES = {"mysql-a": "zone-a", "api-a": "zone-a", "mysql-b": "zone-b", "api-b": "zone-b"}


def _seen(*changes: tuple[float, str, bool, str]) -> list[Observation]:
    up = [Observation(1.0, name, True, "answered") for name in ZONES]
    return [*up, *(Observation(*change) for change in changes)]


def _stranger(*changes: tuple[float, str, bool, str], at: float = AT) -> str:
    may_fall = stop.allowed([Target("mysql-a", "mysql", "zone-a", 3)], ZONES)
    return stop.stranger_down(_seen(*changes), may_fall, 10.0, at)


def test_targets_and_their_zones_may_fall() -> None:
    assert "" == _stranger((20.0, "mysql-a", False, "refused"), (20.0, "api-a", False, "refused"))


def test_target_that_stands_in_several_zones_lets_no_server_fall_whose_zone_nobody_knows() -> None:
    may_fall = stop.allowed([Target("Deployment app/api", "workload", "", 5)], {**ZONES, "node-x": ""})

    assert {"Deployment app/api"} == may_fall


def test_server_that_is_neither_target_nor_in_a_targets_zone_stops_the_run() -> None:
    reason = _stranger((20.0, "mysql-b", False, "Connection refused"))

    assert "mysql-b went down (Connection refused), which is no target and in no target's zone" == reason


@pytest.mark.parametrize(
    "changes",
    [
        [(20.0, "mysql-b", False, "no answer"), (20.5, "mysql-b", True, "answered")],
        [(20.0, "api-b", False, "HTTP 503")],
        [(5.0, "mysql-b", False, "down before the fault")],
        [(AT - 0.5, "mysql-b", False, "only just")],
    ],
)
def test_what_came_back_still_answers_was_down_before_or_only_just_now_is_no_stranger(
    changes: list[tuple[float, str, bool, str]],
) -> None:
    assert "" == _stranger(*changes)


def test_server_that_was_never_up_was_not_harmed() -> None:
    seen = [Observation(20.0, "mysql-b", False, "refused")]

    assert "" == stop.stranger_down(seen, set(), 10.0, AT)


def test_changes_are_read_on_from_where_they_were_read_last(tmp_path: Path) -> None:
    path = tmp_path / "witness.jsonl"
    changes = stop.Changes(path)
    assert [] == changes.read()

    first = json.dumps({"at": 1.0, "target": "mysql-a", "up": True, "saw": "answered"})
    second = json.dumps({"at": 3.0, "target": "mysql-a", "up": False, "saw": "refused"})
    path.write_text(f'{first}\n{{"at": 2.0, "up": {{"mysql-a": true}}}}\n{second[:20]}')
    assert [Observation(1.0, "mysql-a", True, "answered")] == changes.read()

    with path.open("a") as file:
        file.write(second[20:] + "\n")
    assert Observation(3.0, "mysql-a", False, "refused") == changes.read()[-1]
    assert 2 == len(changes.read())


def _watch(*conditions: stop.Condition) -> tuple[stop.Watch, list[str], threading.Event]:
    told: list[str] = []
    interrupted = threading.Event()
    return stop.Watch(conditions, told.append, interrupted.set), told, interrupted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "LOOK_S", 0.002)


def test_watch_without_a_reason_stops_nothing() -> None:
    asked = threading.Event()
    watch, told, interrupted = _watch(lambda: asked.set() or "")
    watch.begin()
    assert asked.wait(5)
    watch.end()

    assert ("", [], False) == (watch.reason, told, interrupted.is_set())


def test_first_condition_that_holds_heals_and_then_interrupts() -> None:
    watch, told, interrupted = _watch(lambda: "", lambda: "the disk is full", lambda: "later")
    watch.begin()

    assert interrupted.wait(5)
    assert ("the disk is full", ["the disk is full"]) == (watch.reason, told)
    watch.end()


def test_heal_that_hangs_does_not_keep_the_main_thread_from_being_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "INTERRUPT_S", 0.01)
    healed, interrupted = threading.Event(), threading.Event()
    watch = stop.Watch([lambda: "now"], lambda _: healed.wait(5) and None, interrupted.set)
    watch.begin()

    assert interrupted.wait(5)
    assert not healed.is_set()
    healed.set()
    watch.end()


def test_heal_that_crashes_still_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    interrupted = threading.Event()
    watch = stop.Watch([lambda: "now"], lambda _: 1 / 0 and None, interrupted.set)
    watch.begin()

    assert interrupted.wait(5)
    watch.end()


def test_condition_that_cannot_be_asked_stops_the_run_only_when_that_lasts() -> None:
    asked = 0

    def once_blind() -> str:
        nonlocal asked
        asked += 1
        if asked < stop.BLIND:
            raise Inconclusive("the ledger is being closed")
        return ""

    def blind() -> str:
        raise Inconclusive("the ledger is gone")

    watch, told, interrupted = _watch(once_blind, blind)
    watch.begin()

    assert interrupted.wait(5)
    watch.end()
    assert ["a stop condition could not be watched: the ledger is gone"] == told
