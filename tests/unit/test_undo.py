"""The undo log is on disk before the harm, survives a torn line, and heals past a heal that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftchaos.errors import HealFailed, Invalid, Refused
from ftchaos.undo import Record, UndoLog


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


def _full(entry: object) -> None:
    raise OSError(28, "No space left on device")
