"""From the plan and what happened so far to what comes next. Pure, so that a resumed day goes on as it would have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ftchaos.evidence.sentence import moment
from ftchaos.gameday.plan import Part, Plan
from ftchaos.gameday.record import Entry, Result

HARMED, INTERRUPTED = 4, 130


@dataclass(frozen=True)
class Begin:
    """A part is to begin, for the first time or again."""

    part: Part
    attempt: int


@dataclass(frozen=True)
class Skip:
    """A part is left out."""

    part: Part
    why: str


@dataclass(frozen=True)
class End:
    """Nothing more is to be done.

    Attributes:
        why: what kept the rest from being done; empty when all was done.
    """

    why: str = ""


def next_step(plan: Plan, entries: Sequence[Entry]) -> Begin | Skip | End:
    """What comes next.

    A part that had begun when the day died was not done, and begins again.
    """
    if (stopped := stop_reason(entries)) is not None:
        return End(f"stopped: {stopped}")
    results, skipped = results_of(entries), {entry.part for entry in entries if entry.what == "part skipped"}
    for index, part in enumerate(plan.parts):
        found = results.get(part.name)
        if found is not None:
            if ends_the_day(part, found):
                return End(f"{part.name} {ended_words(found)}")
        elif part.name not in skipped:
            before = _before(plan, index)
            if part.only_if_passed and before is not None and not _passed(results.get(before.name)):
                return Skip(part, f"{before.name}, the part before it, did not pass")
            return Begin(part, 1 + attempts(entries, part.name))
    return End()


def ends_the_day(part: Part, found: Result) -> bool:
    """Whether no other part may begin after this one."""
    if found.exit_code in (HARMED, INTERRUPTED):
        return True
    return found.verdict != "passed" and not part.continue_on_failure


def ended_words(found: Result) -> str:
    """How a part ended, as the end of a sentence."""
    if found.exit_code == HARMED:
        return "left harm"
    if found.exit_code == INTERRUPTED:
        return "was interrupted"
    return "was inconclusive" if found.verdict == "inconclusive" else found.verdict


def results_of(entries: Sequence[Entry]) -> dict[str, Result]:
    """What each part that ended came to."""
    return {entry.part: entry.result for entry in entries if entry.what == "part ended" and entry.result is not None}


def attempts(entries: Sequence[Entry], part: str) -> int:
    """How often a part began."""
    return sum(entry.what == "part began" and entry.part == part for entry in entries)


def under_way(entries: Sequence[Entry]) -> Entry | None:
    """The begin of the part that has not ended, if there is one."""
    for entry in reversed(entries):
        if entry.what in ("part ended", "part lost"):
            return None
        if entry.what == "part began":
            return entry
    return None


def known_run(entries: Sequence[Entry], part: str, attempt: int) -> str:
    """The run that an attempt at a part began; empty while it is not known."""
    for entry in entries:
        if entry.what == "part known" and (entry.part, entry.attempt) == (part, attempt):
            return entry.run_id
    return ""


def stop_reason(entries: Sequence[Entry]) -> str | None:
    """Why the day was stopped; None while it was not."""
    return next((entry.text for entry in entries if entry.what == "stopped"), None)


def used_s(entries: Sequence[Entry]) -> float:
    """How much of the time box was used, without the time between a crash and the day's resumption."""
    used, began = 0.0, 0
    for index, entry in enumerate(entries):
        if entry.what == "resumed" and index:
            used += _span_s(entries[began], entries[index - 1])
            began = index
    return used + (_span_s(entries[began], entries[-1]) if entries else 0.0)


def _span_s(first: Entry, last: Entry) -> float:
    return max(0.0, (moment(last.at) - moment(first.at)).total_seconds())


def _before(plan: Plan, index: int) -> Part | None:
    return next((part for part in reversed(plan.parts[:index]) if part.kind != "pause"), None)


def _passed(found: Result | None) -> bool:
    return found is not None and found.verdict == "passed"
