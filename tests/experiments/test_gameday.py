"""Game days in a real lab: killed in the middle and resumed, stopped, and refused beside another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stages import CONFIGURATION
from trials import LAB, Trials
from workplaces import Workplace

from ftchaos import evidence

SHIPPED = Path(__file__).resolve().parents[2] / "experiments"
PLAN = """\
name: short
title: A short game day
time_box: 20m
people:
  - {name: Ada, role: lead}
parts:
  - experiment: worker-kill
  - manual: Look at the dashboards
    name: look
  - experiment: api-instance-kill
    only_if_passed: true
"""
WITHIN_S = 120.0


@pytest.fixture
def place(trials: Trials) -> Workplace:
    """A plan of experiments that promise nothing: how quick this machine is does not matter here."""
    folder = trials.stage.place.folder
    (folder / "short.yaml").write_text(PLAN)
    (folder / "experiments").mkdir(exist_ok=True)
    for name in ("worker-kill", "api-instance-kill"):
        lines = (SHIPPED / f"{name}.yaml").read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.strip().startswith("promises:")]
        assert len(kept) < len(lines)
        (folder / "experiments" / f"{name}.yaml").write_text("".join(kept))
    return trials.stage.place


@pytest.fixture
def begin(place: Workplace) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begins the day; one that a failed test left is ended in order."""
    days: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        days.append(place.begin("gameday", "run", "short.yaml", "--lab", LAB, *options))
        return days[-1]

    yield begin
    for day in days:
        day.terminate()
        day.communicate(timeout=WITHIN_S)


def _wait(day: subprocess.Popen[str], condition: Callable[[], Any]) -> None:
    """Wait for something that happens while the day is under way."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if day.poll() is not None or time.monotonic() > deadline:
            day.terminate()
            pytest.fail("\n".join(day.communicate()))
        time.sleep(0.05)


def _day(place: Workplace) -> Path:
    return max(place.reports.glob("*-short-*"))


def _happened(place: Workplace, what: str, part: str) -> bool:
    found = list(place.reports.glob("*-short-*/gameday.jsonl"))
    lines = max(found).read_text().splitlines() if found else []
    return any((one["what"], one.get("part")) == (what, part) for one in map(json.loads, lines))


def _harmed(place: Workplace, clause: str) -> bool:
    return any(clause in path.read_text() for path in place.state.glob("runs/*.undo.jsonl"))


def _approved(day: subprocess.Popen[str], place: Workplace) -> None:
    _wait(day, lambda: _happened(place, "part began", "look"))
    done = place.run("gameday", "approve", "look", "--by", "Ada", "--reason", "all green")
    assert done.exit_code == 0, done.stderr


def _ensure_nothing_left(place: Workplace, trials: Trials) -> None:
    assert not list(place.state.glob("runs/*.json"))
    assert not list(place.state.glob("gamedays/*.json"))
    assert place.run("recover", "--json").json == []
    trials.stage.ensure_up()


@pytest.mark.parametrize("whole", [False, True], ids=["the day alone", "the part with it"])
def test_a_day_that_is_killed_in_the_middle_of_a_fault_is_resumed(
    trials: Trials, place: Workplace, begin: Callable[[], subprocess.Popen[str]], whole: bool
) -> None:
    known = set(place.reports.glob("*-short-*"))
    day = begin()
    _wait(day, lambda: set(place.reports.glob("*-short-*")) - known)
    assert place.run("gameday", "note", "the graphs went red", "--by", "Bob").exit_code == 0
    refused = place.run("gameday", "run", "short.yaml")
    _approved(day, place)
    _wait(day, lambda: _harmed(place, "api-a was killed"))
    (part,) = (json.loads(path.read_text()) for path in place.state.glob("locks/*.lock") if path.stem != "game day")
    day.kill()
    if whole:
        os.kill(part["pid"], signal.SIGKILL)
    day.communicate()

    died = place.run("gameday", "run", "short.yaml")
    resumed = place.run("gameday", "run", "short.yaml", "--resume", "--lab", LAB)

    assert (refused.exit_code, died.exit_code) == (5, 5)
    assert "a game day is under way" in refused.stderr
    assert "died and is not finished" in died.stderr
    assert resumed.exit_code == 0, resumed.stderr
    found = json.loads((_day(place) / "gameday.json").read_text())
    assert [("worker-kill", 1), ("look", 1), ("api-instance-kill", 2)] == [
        (one["name"], one["attempts"]) for one in found["parts"]
    ]
    (lost,) = found["parts"][2]["earlier"]
    assert evidence.read(place.reports / lost).verdict == "inconclusive"
    said = [(one["who"], one["what"]) for one in found["timeline"] if one["lane"] == "people"]
    assert [("Bob", "the graphs went red"), ("Ada", "approved: all green")] == said
    for one in (found["parts"][0], found["parts"][2]):
        assert (_day(place) / ".." / one["result"]["run_id"] / "report.html").is_file()
    assert place.run("report", "verify", "--all").exit_code == 0
    _ensure_nothing_left(place, trials)


@pytest.mark.parametrize("how", ["stop", "signal"])
def test_a_stop_heals_the_part_and_no_other_begins(
    trials: Trials, place: Workplace, begin: Callable[..., subprocess.Popen[str]], how: str
) -> None:
    # Long enough that the part is not over before it is stopped.
    (place.folder / "lasting.yaml").write_text(CONFIGURATION.replace("sustain: 1s", "sustain: 5s"))
    day = begin("--config", "lasting.yaml")
    _wait(day, lambda: _harmed(place, "worker-a was killed"))
    if how == "stop":
        assert place.run("gameday", "stop", "--by", "Ada", "--reason", "the phone rings").exit_code == 0
    else:
        day.send_signal(signal.SIGINT)

    day.communicate(timeout=WITHIN_S)

    assert day.returncode == 130
    found = evidence.read(_day(place))
    assert ("inconclusive", 130) == (found.verdict, found.exit_code)
    assert ("the phone rings" if how == "stop" else "SIGINT") in found.reasons[0]
    first, *others = found.steps
    assert first.status in ("failed", "aborted")  # stopped by its own stop, or by a signal where it does not listen
    assert ["not run", "not run"] == [step.status for step in others]
    run = next(one for one in json.loads((_day(place) / "gameday.json").read_text())["parts"])["result"]["run_id"]
    undo = evidence.read(place.reports / run).undo
    assert undo.recorded == undo.healed > 0
    _ensure_nothing_left(place, trials)
