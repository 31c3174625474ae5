"""The undo log is on disk before the harm, survives a torn line, and heals past a heal that fails."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from ftchaos.errors import HealFailed, Invalid, Refused
from ftchaos.undo import Record, UndoLog, is_fault, repair


@pytest.fixture
def log(tmp_path: Path) -> UndoLog:
    return UndoLog(tmp_path / "undo.jsonl")


def test_record_is_on_disk_when_record_returns(log: UndoLog) -> None:
    log.record("lab", "lab.begin", {"name": "x"}, "a lab is begun")

    (line,) = log.path.read_text().splitlines()
    assert json.loads(line)["arguments"] == {"name": "x"}


def test_harm_whose_undo_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        UndoLog(tmp_path / "absent" / "undo.jsonl").record("lab", "h", {}, "harm")


def test_heals_run_newest_first_and_a_second_round_finds_nothing(log: UndoLog) -> None:
    for name in ("first", "second"):
        log.record("lab", name, {}, name)
    healed: list[str] = []

    def heal(record: Record) -> str:
        healed.append(record.heal)
        return "done"

    assert len(log.heal(heal).healed) == 2
    assert len(log.heal(heal).healed) == 0
    assert healed == ["second", "first"]


def test_a_heal_that_fails_does_not_abandon_the_others(log: UndoLog) -> None:
    for name in ("first", "second", "third"):
        log.record("lab", name, {}, name)

    def heal(record: Record) -> str:
        if record.heal == "second":
            raise HealFailed("stuck", "pull harder")
        if record.heal == "third":
            raise ZeroDivisionError("a bug in a heal")
        return "done"

    healing = log.heal(heal)

    assert [record.heal for record in healing.healed] == ["first"]
    assert [record.heal for record, _ in healing.failed] == ["third", "second"]
    assert [record.healed for record in log.records()] == [True, False, False]
    assert log.records()[1].error == "stuck"


def test_a_failed_heal_is_tried_again_and_then_counts_as_healed(log: UndoLog) -> None:
    log.record("lab", "first", {}, "first")

    def fail(record: Record) -> str:
        raise HealFailed("stuck")

    log.heal(fail)
    log.heal(lambda record: "done")

    assert log.records()[0].healed
    assert log.records()[0].error == ""


@pytest.mark.parametrize("kept", range(1, 40, 7))
def test_a_line_cut_off_by_a_crash_is_passed_over_and_swallows_nothing(log: UndoLog, kept: int) -> None:
    log.record("lab", "first", {}, "first")
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + whole[:kept])

    assert len(log.records()) == 1
    log.record("lab", "second", {}, "second")
    assert [record.heal for record in log.records()] == ["first", "second"]


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(log: UndoLog) -> None:
    log.record("lab", "first", {}, "first")
    log.path.write_bytes(b"{nonsense\n" + log.path.read_bytes())

    with pytest.raises(Invalid, match="line 1"):
        log.records()


def test_a_full_disk_does_not_stop_the_heals(log: UndoLog) -> None:
    for name in ("first", "second"):
        log.record("lab", name, {}, name)
    full = UndoLog(log.path)
    full._append = _full  # type: ignore[method-assign]

    healing = full.heal(lambda record: "done")

    assert [record.heal for record in healing.healed] == ["second", "first"]
    assert len(healing.unnoted) == 2
    assert not any(record.healed for record in log.records())


def _full(entry: object, **_: object) -> None:
    raise OSError(28, "No space left on device")


def test_after_a_stop_nothing_more_can_be_harmed_by_any_process(log: UndoLog) -> None:
    log.record("lab", "first", {}, "first")
    log.stop("ftchaos stop")
    log.stop("a later reason")

    for one in (log, UndoLog(log.path)):
        with pytest.raises(Refused, match="the run was stopped: ftchaos stop\nHINT: not done any more: second"):
            one.record("lab", "second", {}, "second")
    assert ["first"] == [record.heal for record in log.records()]
    assert 1 == len(log.heal(lambda _: "done").healed)


def test_a_stop_before_the_first_harm_holds_too(log: UndoLog) -> None:
    log.stop("too late")

    with pytest.raises(Refused, match="was stopped"):
        UndoLog(log.path).record("lab", "first", {}, "first")


def test_a_stop_holds_on_a_full_disk(log: UndoLog) -> None:
    log._append = _full  # type: ignore[method-assign]
    log.stop("full")

    with pytest.raises(Refused, match="was stopped"):
        log.record("lab", "first", {}, "first")


def test_a_log_that_nobody_stopped_is_not_stopped(log: UndoLog) -> None:
    assert "" == log.stopped()


def test_what_was_begun_for_the_run_outlives_a_heal_of_faults_only(log: UndoLog) -> None:
    for name in ("lab.begin", "fault.fail_zone"):
        log.record("lab", name, {}, name)

    assert ["fault.fail_zone"] == [one.heal for one in log.heal(lambda _: "done", only=is_fault).healed]
    assert ["lab.begin"] == [one.heal for one in log.heal(lambda _: "done").healed]


@pytest.mark.parametrize("another", [False, True])
def test_a_second_heal_waits_for_the_first_and_finds_nothing_to_do(log: UndoLog, another: bool) -> None:
    """Whether it is the same log or, as in another process, one of its own."""
    log.record("lab", "first", {}, "first")
    begun, let_go = threading.Event(), threading.Event()

    def heal(record: Record) -> str:
        begun.set()
        assert let_go.wait(5)
        return "done"

    first = threading.Thread(target=log.heal, args=(heal,))
    first.start()
    assert begun.wait(5)
    found: list[int] = []
    second = threading.Thread(
        target=lambda: found.append(len((UndoLog(log.path) if another else log).heal(lambda _: "again").healed))
    )
    second.start()
    second.join(0.05)
    waited = second.is_alive()
    let_go.set()
    first.join(5)
    second.join(5)

    assert (True, [0]) == (waited, found)
    assert "done" == log.records()[0].detail


def test_a_killed_healer_lets_the_next_one_in(log: UndoLog) -> None:
    log.record("lab", "first", {}, "first")
    child = os.fork()
    if child == 0:
        log.heal(lambda _: os._exit(9))
    os.waitpid(child, 0)

    assert 1 == len(log.heal(lambda _: "done").healed)


def test_a_heal_during_the_injection_is_repeated(log: UndoLog) -> None:
    with log.injecting():
        log.record("lab", "first", {}, "first")
        early = log.heal(lambda _: "too early")

        assert (["first"], []) == ([record.heal for record in early.early], early.healed)
        assert not UndoLog(log.path).records()[0].healed

    assert 1 == len(log.heal(lambda _: "done").healed)


def test_a_heal_by_another_process_during_the_injection_is_repeated(log: UndoLog) -> None:
    log.record("lab", "before", {}, "before")
    with log.injecting():
        log.record("lab", "first", {}, "first")
        assert 2 == len(UndoLog(log.path).heal(lambda _: "too early").healed)

    assert [True, False] == [record.healed for record in log.records()]
    assert ["first"] == [record.heal for record in log.heal(lambda _: "done").healed]


def test_an_injection_that_fails_is_healed_like_any_other(log: UndoLog) -> None:
    def inject() -> None:
        with log.injecting():
            log.record("lab", "first", {}, "first")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        inject()

    assert 1 == len(log.heal(lambda _: "done").healed)
    assert 0 == len(log.heal(lambda _: "done").healed)


def test_a_failed_heal_names_the_command_with_a_chosen_state_folder(
    log: UndoLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FTCHAOS_STATE", raising=False)
    assert "ftchaos recover" == repair()

    monkeypatch.setenv("FTCHAOS_STATE", "/a state/folder")
    log.record("lab", "first", {}, "first")
    log.heal(lambda _: 1 / 0)  # type: ignore[arg-type, return-value]

    assert "FTCHAOS_STATE='/a state/folder' ftchaos recover" == log.records()[0].repair
    log.heal(lambda _: "done")
    assert "" == log.records()[0].repair


def test_nothing_is_left_by_a_heal_of_nothing(log: UndoLog) -> None:
    log.heal(lambda _: "done")

    assert [] == list(log.path.parent.iterdir())
