"""The loop of a game day: asks what comes next, does it, and keeps what happened before it goes on.

A stop, a signal and the end of the time box end the part under way by its own stop, so that it heals, and no later
part begins. Everything that decides lies in the record, so that a day that was killed goes on where it was.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Protocol

from ftchaos import clock
from ftchaos.gameday import steps
from ftchaos.gameday.people import Answer
from ftchaos.gameday.plan import Part, Plan
from ftchaos.gameday.record import Began, Entry, Record, Result
from ftchaos.gameday.steps import Begin, Skip
from ftchaos.units import human_duration

LOOK_S = 0.25
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Watch(Protocol):
    """The time, which tests make pass as they like."""

    def now(self) -> float: ...

    def utc(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


class Clock:
    """The time as it is."""

    def now(self) -> float:
        return clock.now()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        import time

        time.sleep(seconds)


class Running(Protocol):
    """A part under way; see :class:`ftchaos.gameday.parts.Running`."""

    def run_id(self) -> str: ...

    def poll(self) -> Result | None: ...

    def stop(self, reason: str) -> None: ...


class Parts(Protocol):
    """Whoever begins parts; see :class:`ftchaos.gameday.parts.Parts`."""

    def begin(self, part: Part) -> Running: ...

    def wait_for(self, part: Part, run_id: str) -> None: ...

    def recover(self) -> tuple[list[str], list[str]]: ...


class People(Protocol):
    """Whoever answers; see :class:`ftchaos.gameday.people.People`."""

    def ask(self, part: Part) -> None: ...

    def answer(self, part: Part, run_id: str) -> Answer | None: ...


class Play:
    """One game day from its begin, or from where it was killed, to its last entry.

    Args:
        plan: what is played.
        tell: told what happens, a line each.
    """

    def __init__(
        self, plan: Plan, record: Record, parts: Parts, people: People, watch: Watch, tell: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._record = record
        self._parts = parts
        self._people = people
        self._watch = watch
        self._tell = tell
        self._signal = ""
        self._heard = 0

    def run(self, about: Began) -> None:
        """Play to the end.

        Args:
            about: what it begins with, unless it began before.

        Raises:
            FtchaosError: the record cannot be kept; the part under way was stopped and has healed.
        """
        entries = self._record.entries()
        if not any(entry.what == "began" for entry in entries):
            self._record.append("began", text=self._plan.title, day=about)
        elif not any(entry.what == "ended" for entry in entries):
            self._resume(entries)
        self._heard = len(self._record.entries())
        self._began_at, self._used_s = self._watch.now(), steps.used_s(self._record.entries())
        before = {number: signal.signal(number, self._interrupt) for number in ENDING}
        try:
            self._go_on()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _go_on(self) -> None:
        while not any(entry.what == "ended" for entry in self._record.entries()):
            self._stop_if_due()
            step = steps.next_step(self._plan, self._record.entries())
            if isinstance(step, Skip):
                self._record.append("part skipped", part=step.part.name, text=step.why)
                self._tell(f"{step.part.name}: left out, because {step.why}")
            elif isinstance(step, Begin):
                self._play(step.part, step.attempt)
            else:
                self._record.append("ended", text=step.why)

    def _resume(self, entries: list[Entry]) -> None:
        """Heal what the part left that was under way when the day died."""
        self._record.append("resumed", text="what the interrupted part left is healed first")
        lost = steps.under_way(entries)
        part = self._plan.part(lost.part) if lost is not None else None
        if part is not None and lost is not None and part.is_run:
            self._parts.wait_for(part, steps.known_run(entries, part.name, lost.attempt))
        healed, failed = self._parts.recover()
        if part is None or lost is None:
            return
        if failed:
            reason = f"the game day died, and not healed is: {'; '.join(failed)}"
            result = Result(verdict="failed", exit_code=steps.HARMED, reason=reason)
            self._record.append("part ended", part=part.name, attempt=lost.attempt, result=result)
        else:
            said = f"the game day died; healed: {'; '.join(healed) or 'nothing was left harmed'}"
            self._record.append("part lost", part=part.name, attempt=lost.attempt, text=said)
            self._tell(f"{part.name}: {said}")

    def _play(self, part: Part, attempt: int) -> None:
        self._record.append("part began", part=part.name, attempt=attempt)
        self._tell(f"[{self._plan.parts.index(part) + 1}/{len(self._plan.parts)}] {part.name} begins")
        result = self._run(part, attempt) if part.is_run else self._wait(part, attempt)
        self._record.append("part ended", part=part.name, attempt=attempt, result=result)
        self._tell(f"{part.name} {steps.ended_words(result)}: {result.reason or result.summary or 'as planned'}")

    def _run(self, part: Part, attempt: int) -> Result:
        running = self._parts.begin(part)
        known = ""
        try:
            while (result := running.poll()) is None:
                if not known and (known := running.run_id()):
                    self._record.append("part known", part=part.name, attempt=attempt, run_id=known)
                if (reason := self._stop_if_due()) is not None:
                    running.stop(reason)
                self._watch.sleep(LOOK_S)
            return result
        except BaseException:
            # Whatever is wrong with the day itself, its part must not be left alone with what it harmed.
            running.stop("the game day broke off")
            while running.poll() is None:
                self._watch.sleep(LOOK_S)
            raise

    def _wait(self, part: Part, attempt: int) -> Result:
        """A pause, or a question; both are cut short by an approval."""
        limit_s = part.within if part.pause is None else part.pause
        deadline = self._watch.now() + limit_s
        if part.kind == "manual":
            self._people.ask(part)
        while (reason := self._stop_if_due()) is None:
            if (answer := self._answered(part)) is not None:
                by = f"{answer.by}: {answer.text}" if answer.text else answer.by
                if answer.what == "approved":
                    return Result(verdict="passed", exit_code=0, summary=f"approved by {by}")
                return Result(verdict="failed", exit_code=1, reason=f"rejected by {by}")
            if self._watch.now() >= deadline:
                if part.kind == "pause":
                    return Result(verdict="passed", exit_code=0, summary=f"waited for {human_duration(limit_s)}")
                return Result(
                    verdict="inconclusive", exit_code=3, reason=f"nobody answered within {human_duration(limit_s)}"
                )
            if part.kind == "manual" and (said := self._people.answer(part, self._record.path.parent.name)):
                self._record.append(said.what, part=part.name, by=said.by, text=said.text)
                self._tell(f"{part.name}: {said.what} by {said.by}")
                continue
            self._watch.sleep(min(LOOK_S, max(0.0, deadline - self._watch.now())))
        return Result(verdict="inconclusive", exit_code=steps.INTERRUPTED, reason=reason)

    def _answered(self, part: Part) -> Entry | None:
        """The first answer since the part began last."""
        entries = self._record.entries()
        begin = max(index for index, one in enumerate(entries) if (one.what, one.part) == ("part began", part.name))
        answers = (one for one in entries[begin:] if one.what in ("approved", "rejected") and one.part == part.name)
        return next(answers, None)

    def _stop_if_due(self) -> str | None:
        """Why the day is to stop, which is kept first; None to go on."""
        self._hear()
        if (reason := steps.stop_reason(self._record.entries())) is not None:
            return reason
        if self._signal:
            self._record.append("stopped", by="the system", text=f"interrupted by {self._signal}")
        elif self._used_s + self._watch.now() - self._began_at > self._plan.time_box:
            over = f"the time box of {human_duration(self._plan.time_box)} is over"
            self._record.append("stopped", by="the plan", text=over)
        return steps.stop_reason(self._record.entries())

    def _hear(self) -> None:
        """Tell what people said elsewhere."""
        entries = self._record.entries()
        for entry in entries[self._heard :]:
            if entry.what in ("note", "lesson", "action", "stopped"):
                self._tell(f"{entry.what}{f' by {entry.by}' if entry.by else ''}: {entry.text}")
        self._heard = len(entries)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        self._signal = signal.Signals(number).name
