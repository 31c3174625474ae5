"""Game days without processes and without time: scripted parts, people and clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ftchaos.gameday import plan as plans
from ftchaos.gameday.people import Answer
from ftchaos.gameday.plan import Loaded, Part
from ftchaos.gameday.play import Play
from ftchaos.gameday.record import Began, Entry, Record, Result

PLAN = """\
name: sample
title: A sample day
time_box: 2h
people:
  - {name: Ada, role: lead}
parts:
  - experiment: zone-outage
  - pause: 1m
  - manual: Look at the dashboards
    name: look
    role: lead
  - drill: restore
    only_if_passed: true
"""
AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
RUN_ID = "20261123T090000Z-sample-7f3a"


class Killed(BaseException):
    """What kill -9 does, as far as this process can play it."""


def loaded(folder: Path, text: str = PLAN) -> Loaded:
    path = folder / "plan.yaml"
    path.write_text(text)
    return plans.load(path)


def result(verdict: str = "passed", exit_code: int | None = None, reason: str = "", **more: Any) -> Result:
    code = {"passed": 0, "failed": 1, "inconclusive": 3}[verdict] if exit_code is None else exit_code
    return Result.model_validate({"verdict": verdict, "exit_code": code, "reason": reason, **more})


def began(of: Loaded) -> Began:
    return Began(
        run_id=RUN_ID, environment="lab", platform="lab", plan_file="plan.yaml", plan_sha256=of.sha256,
        objectives={"rto_s": 14400.0, "rpo_s": 900.0}, machine={"ftchaos": "0.1.0", "cpus": 2},
    )  # fmt: skip


@dataclass
class Watch:
    """Time passes only when somebody sleeps; then things may happen."""

    elapsed_s: float = 0.0
    events: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def now(self) -> float:
        return self.elapsed_s

    def utc(self) -> datetime:
        return AT + timedelta(seconds=self.elapsed_s)

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += max(seconds, 0.01)
        for event in [one for one in self.events if one[0] <= self.elapsed_s]:
            self.events.remove(event)
            event[1]()

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        self.events.append((seconds, act))


@dataclass
class Running:
    watch: Watch
    result: Result
    ends_at: float
    log: list[str]
    name: str

    def run_id(self) -> str:
        return f"20261123T090001Z-{self.name}-0001"

    def poll(self) -> Result | None:
        return self.result if self.watch.now() >= self.ends_at else None

    def stop(self, reason: str) -> None:
        if f"stop {self.name}: {reason}" not in self.log:
            self.log.append(f"stop {self.name}: {reason}")
            self.result, self.ends_at = result("inconclusive", 130, reason), self.watch.now() + 2


@dataclass
class World:
    """Everything around a day.

    Attributes:
        results: what each part comes to; one that is not named passes.
        answers: what people say at the terminal.
        harmed: what a recovery cannot heal.
        log: what was done, in order.
    """

    folder: Path
    loaded: Loaded
    results: Mapping[str, Result] = field(default_factory=dict)
    answers: Iterator[Answer | None] = field(default_factory=lambda: iter([]))
    harmed: list[str] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    log: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def record(self) -> Record:
        return Record(self.folder, self.watch.utc)

    def begin(self, part: Part) -> Running:
        self.log.append(f"begin {part.name}")
        return Running(self.watch, self.results.get(part.name, result()), self.watch.now() + 30, self.log, part.name)

    def wait_for(self, part: Part, run_id: str) -> None:
        self.log.append(f"wait for {part.name} {run_id}".strip())

    def recover(self) -> tuple[list[str], list[str]]:
        self.log.append("recover")
        return [], self.harmed

    def ask(self, part: Part) -> None:
        self.log.append(f"ask {part.name}")

    def answer(self, part: Part, run_id: str) -> Answer | None:
        return next(self.answers, None)

    def play(self, record: Record | None = None) -> list[Entry]:
        Play(self.loaded.plan, record or self.record, self, self, self.watch, self.said.append).run(began(self.loaded))
        return self.record.entries()


def world(folder: Path, text: str = PLAN, **more: Any) -> World:
    made = World(folder, loaded(folder, text), **more)
    if "answers" not in more:
        made.answers = iter([None, Answer(True, "Ada", "all green")])
    return made


def words(entries: list[Entry]) -> list[str]:
    return [f"{one.what} {one.part}".strip() for one in entries if one.what != "part known"]
