"""A game day plays its parts in order, stops all at once, and goes on where it was killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gameday_samples as samples
import pytest
from gameday_samples import Killed, words, world

from ftchaos.errors import Inconclusive
from ftchaos.gameday import day as days
from ftchaos.gameday.people import Answer
from ftchaos.gameday.record import Entry, Record

WHOLE = [
    "began",
    "part began zone-outage", "part ended zone-outage",
    "part began pause-2", "part ended pause-2",
    "part began look", "approved look", "part ended look",
    "part began restore", "part ended restore",
    "ended",
]  # fmt: skip


def test_parts_are_played_in_order(tmp_path: Path) -> None:
    here = world(tmp_path)

    entries = here.play()

    assert WHOLE == words(entries)
    assert ["begin zone-outage", "ask look", "begin restore"] == here.log
    assert days.of(here.loaded, entries).exit_code == 0


def test_a_pause_takes_its_time_and_an_approval_ends_it_early(tmp_path: Path) -> None:
    here = world(tmp_path)
    here.play()
    whole_s = here.watch.elapsed_s
    (tmp_path / "early").mkdir()
    early = world(tmp_path / "early")
    early.watch.at(40, lambda: early.record.append("approved", part="pause-2", by="Ada") and None)

    early.play()

    assert 120 < whole_s < 123
    assert 70 < early.watch.elapsed_s < 75


def test_a_part_that_fails_ends_the_day(tmp_path: Path) -> None:
    here = world(tmp_path, results={"zone-outage": samples.result("failed", reason="too slow.")})

    day = days.of(here.loaded, here.play())

    assert ["begin zone-outage"] == here.log
    assert (day.verdict, day.exit_code) == ("failed", 1)
    assert ["failed", "not run", "not run", "not run"] == [part.state for part in day.parts]
    assert "zone-outage failed: too slow." == day.reasons[0]


CONTINUED = samples.PLAN.replace("experiment: zone-outage", "experiment: zone-outage\n    continue_on_failure: true")


def test_a_day_goes_on_after_a_failure_where_the_plan_says_so(tmp_path: Path) -> None:
    here = world(tmp_path, CONTINUED, results={"zone-outage": samples.result("failed", reason="too slow.")})

    day = days.of(here.loaded, here.play())

    assert ["failed", "passed", "passed", "passed"] == [part.state for part in day.parts]
    assert day.exit_code == 1


@pytest.mark.parametrize("exit_code", [4, 130])
def test_a_day_never_goes_on_after_harm_or_an_interruption(tmp_path: Path, exit_code: int) -> None:
    verdict = "failed" if exit_code == 4 else "inconclusive"
    here = world(tmp_path, CONTINUED, results={"zone-outage": samples.result(verdict, exit_code, "it is so.")})

    day = days.of(here.loaded, here.play())

    assert ["begin zone-outage"] == here.log
    assert day.exit_code == exit_code


def test_a_part_is_left_out_unless_the_one_before_passed_and_pauses_do_not_count(tmp_path: Path) -> None:
    text = samples.PLAN.replace("    role: lead\n  - drill", "    role: lead\n    continue_on_failure: true\n  - drill")
    here = world(tmp_path, text, answers=iter([Answer(False, "Ada", "all red")]))

    day = days.of(here.loaded, here.play())

    assert ["passed", "passed", "failed", "skipped"] == [part.state for part in day.parts]
    assert "begin restore" not in here.log
    assert day.reasons[0] == "look failed: rejected by Ada: all red."


def test_nobody_answers(tmp_path: Path) -> None:
    here = world(
        tmp_path,
        samples.PLAN.replace("role: lead\n  - drill", "role: lead\n    within: 5m\n  - drill"),
        answers=iter([]),
    )

    day = days.of(here.loaded, here.play())

    assert "look was inconclusive: nobody answered within 5 min." == day.reasons[0]
    assert day.exit_code == 3


def test_an_old_approval_does_not_answer_a_new_question(tmp_path: Path) -> None:
    here = world(tmp_path, answers=iter([]))
    here.watch.at(10, lambda: here.record.append("approved", part="look", by="Ada") and None)

    day = days.of(here.loaded, here.play())

    assert day.parts[2].state == "inconclusive"


def _signalled(here: samples.World) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _asked(here: samples.World) -> None:
    here.record.append("stopped", by="Ada", text="the phone rings")


@pytest.mark.parametrize("how", [_signalled, _asked])
@pytest.mark.parametrize("at_s", [10, 60, 91], ids=["run", "pause", "question"])
def test_a_stop_ends_the_part_by_its_own_stop_and_no_other_begins(
    tmp_path: Path, how: Callable[[samples.World], None], at_s: float
) -> None:
    here = world(tmp_path, answers=iter([]))
    here.watch.at(at_s, lambda: how(here))

    day = days.of(here.loaded, here.play())

    assert day.exit_code == 130
    assert day.reasons[0].startswith("The game day was stopped: ")
    assert "begin restore" not in here.log
    assert at_s <= here.watch.elapsed_s < at_s + 4
    if at_s == 10:
        assert here.log[1].startswith("stop zone-outage: ")
    assert [part.state for part in day.parts].count("interrupted") == 1


def test_the_end_of_the_time_box_stops_the_day(tmp_path: Path) -> None:
    here = world(tmp_path, samples.PLAN.replace("2h", "100s"), answers=iter([]))

    day = days.of(here.loaded, here.play())

    assert day.reasons[0] == "The game day was stopped: the time box of 1 min 40 s is over."
    assert here.watch.elapsed_s < 102


def test_a_signal_does_not_outlive_the_day(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    world(tmp_path).play()

    assert signal.getsignal(signal.SIGTERM) == before


class Dying(Record):
    """A record in whose appends the process is killed: after the line is there, before, or in its middle."""

    def __init__(self, here: samples.World, appends: int, where: str) -> None:
        super().__init__(here.folder, here.watch.utc)
        self.left = appends
        self.where = where

    def append(self, what: Any, **values: Any) -> Entry:
        if self.left <= 0:
            raise Killed
        self.left -= 1
        if self.left:
            return super().append(what, **values)
        if self.where != "before":
            super().append(what, **values)
        if self.where == "middle":
            content = self.path.read_bytes()
            self.path.write_bytes(content[: content.rstrip(b"\n").rfind(b"\n") + 9])
        raise Killed


@pytest.mark.parametrize("where", ["before", "middle", "after"])
@pytest.mark.parametrize("appends", range(1, len(WHOLE) + 3))
def test_a_day_that_was_killed_anywhere_goes_on_where_it_was(tmp_path: Path, appends: int, where: str) -> None:
    here = world(tmp_path)
    try:
        here.play(Dying(here, appends, where))
    except Killed:
        kept = words(here.record.entries())
    else:
        pytest.fail("nothing was killed")
    here.log.clear()
    here.answers = iter([Answer(True, "Ada", "all green")])

    day = days.of(here.loaded, here.play())

    assert day.exit_code == 0
    done = [one.partition(" ended ")[2] for one in kept if one.startswith("part ended ")]
    assert not {f"begin {name}" for name in done} & set(here.log)
    ended = [one for one in words(here.record.entries()) if one.startswith("part ended")]
    assert ["part ended zone-outage", "part ended pause-2", "part ended look", "part ended restore"] == ended
    began = [one for one in kept if one.startswith("part began")]
    if len(began) > len(done):  # it died within a part, which is healed before it begins again
        name = began[-1].removeprefix("part began ")
        assert here.log.index("recover") < 2
        assert day.resumed == 1
        assert next(part for part in day.parts if part.name == name).attempts == 2


def test_a_resumed_day_waits_for_the_run_that_outlived_it(tmp_path: Path) -> None:
    here = world(tmp_path)
    with pytest.raises(Killed):
        here.play(Dying(here, 3, "after"))  # began, part began, part known
    here.log.clear()

    here.play()

    assert ["wait for zone-outage 20261123T090001Z-zone-outage-0001", "recover", "begin zone-outage"] == here.log[:3]


def test_a_resumed_day_that_cannot_be_healed_ends_harmed(tmp_path: Path) -> None:
    here = world(tmp_path)
    with pytest.raises(Killed):
        here.play(Dying(here, 2, "after"))
    here.log.clear()
    here.harmed = ["zone-a is cut off"]

    day = days.of(here.loaded, here.play())

    assert (day.verdict, day.exit_code) == ("failed", 4)
    assert "zone-a is cut off" in day.reasons[0]
    assert not [line for line in here.log if line.startswith("begin")]


def test_the_time_between_a_crash_and_the_resumption_is_not_of_the_time_box(tmp_path: Path) -> None:
    here = world(tmp_path)
    with pytest.raises(Killed):
        here.play(Dying(here, 4, "after"))
    here.watch.elapsed_s += 86400

    day = days.of(here.loaded, here.play())

    assert day.exit_code == 0
    assert day.used_s < 200


def test_a_record_that_cannot_be_written_stops_the_part(tmp_path: Path) -> None:
    here = world(tmp_path)

    class Full(Record):
        def append(self, what: Any, **values: Any) -> Entry:
            if what == "part known":
                raise Inconclusive("no space left")
            return super().append(what, **values)

    with pytest.raises(Inconclusive, match="no space left"):
        here.play(Full(tmp_path, here.watch.utc))

    assert ["begin zone-outage", "stop zone-outage: the game day broke off"] == here.log
