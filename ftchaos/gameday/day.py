"""From the plan and the record to what the whole day came to, ``gameday.json``. Pure; computed again by ``verify``.

A day passes when every part passed. One that left harm fails it and outranks all; else an interruption, a part that
failed, and a part that proved nothing or did not run decide in this order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ftchaos import evidence
from ftchaos.errors import Invalid
from ftchaos.evidence import Action, Evidence
from ftchaos.evidence import part as evidence_part
from ftchaos.evidence.sentence import moment
from ftchaos.evidence.types import Count, Instant, Seconds, Sha256, Text, UpTo100
from ftchaos.gameday import steps
from ftchaos.gameday.plan import Loaded, Part, Plan
from ftchaos.gameday.record import SPOKEN, Began, Entry, Result, RunId, began
from ftchaos.units import human_duration

FILE = "gameday.json"
SCHEMA_FILE = Path(__file__).resolve().parent.parent / "gameday.schema.json"
State = Literal["passed", "failed", "inconclusive", "interrupted", "skipped", "not run"]
_MOST_EVENTS = 1000


class Person(evidence_part.Part):
    name: Text
    role: Text


class PartDone(evidence_part.Part):
    """One part as it went.

    ``what`` is the definition, the question or the length of the pause. ``earlier`` are runs of attempts that died.
    """

    name: Text
    kind: Literal["experiment", "drill", "pause", "manual"]
    what: Text
    state: State
    attempts: Count = 0
    began_at: Instant | None = None
    ended_at: Instant | None = None
    reason: Text = ""
    result: Result | None = None
    earlier: UpTo100[RunId] = Field(default_factory=list)


class Event(evidence_part.Part):
    """One line of the timeline: of a person, of the day itself, of a fault, or of the service that came back."""

    at: Instant
    lane: Literal["people", "day", "fault", "service"]
    what: Text
    who: Text = ""
    part: Text = ""


class Day(evidence_part.Part):
    """A whole game day."""

    schema_: Annotated[Literal["ftchaos.gameday/1"], Field(alias="schema")] = "ftchaos.gameday/1"
    run_id: RunId
    name: Text
    title: Text
    description: Text = ""
    environment: Text
    platform: Text
    plan_file: Text
    plan_sha256: Sha256
    people: UpTo100[Person] = Field(default_factory=list)
    time_box_s: Seconds
    used_s: Seconds
    resumed: Count = 0
    began_at: Instant
    ended_at: Instant
    verdict: Literal["passed", "failed", "inconclusive"]
    exit_code: Count
    reasons: UpTo100[Text] = Field(default_factory=list)
    summary: Text
    parts: UpTo100[PartDone]
    timeline: Annotated[list[Event], Field(max_length=_MOST_EVENTS)]
    lessons: UpTo100[Text] = Field(default_factory=list)
    actions: UpTo100[Action] = Field(default_factory=list)


def of(loaded: Loaded, entries: Sequence[Entry]) -> Day:
    """What a day came to so far.

    Raises:
        Invalid: the record does not say what it began with, or is that of another plan.
    """
    about = began(entries)
    if about is None:
        raise Invalid("the record of the day does not say what it began with", "was it edited?")
    if about.plan_sha256 != loaded.sha256:
        raise Invalid(f"{loaded.path} is not the plan that {about.run_id} began with", "was it edited?")
    plan = loaded.plan
    parts = [_part(part, entries) for part in plan.parts]
    exit_code, reasons = _judged(parts, entries)
    instants = [entry.at for entry in entries]
    return Day(
        run_id=about.run_id,
        name=plan.name,
        title=plan.title,
        description=plan.description,
        environment=about.environment,
        platform=about.platform,
        plan_file=about.plan_file,
        plan_sha256=about.plan_sha256,
        people=[Person(name=one.name, role=one.role) for one in plan.people],
        time_box_s=plan.time_box,
        used_s=steps.used_s(entries),
        resumed=sum(entry.what == "resumed" for entry in entries),
        began_at=min(instants),
        ended_at=max(instants),
        verdict="passed" if exit_code == 0 else "failed" if exit_code in (1, 4) else "inconclusive",
        exit_code=exit_code,
        reasons=reasons,
        summary=_summary(plan, about, parts),
        parts=parts,
        timeline=_timeline(plan, entries),
        lessons=[entry.text for entry in entries if entry.what == "lesson"],
        actions=[Action(what=one.text, owner=one.owner, due=one.due) for one in entries if one.what == "action"],
    )


def as_evidence(day: Day, about: Began) -> Evidence:
    """The day as evidence, which lists, trends and the gate read; the figures are those of its parts."""
    return Evidence(
        run_id=day.run_id,
        kind="gameday",
        name=day.name,
        title=day.title,
        environment=day.environment,
        platform=day.platform,
        injects_fault=False,
        began_at=day.began_at,
        ended_at=day.ended_at,
        verdict=day.verdict,
        exit_code=day.exit_code,
        reasons=day.reasons,
        summary=day.summary,
        objectives=evidence.Objectives(**about.objectives),
        definition=evidence.Definition(
            path=day.plan_file, sha256=day.plan_sha256, title=day.title, description=day.description
        ),
        plan=evidence.Plan(
            scenario=day.description or day.title,
            test_type="game day",
            expected="every part passes",
            participants=[f"{one.name} ({one.role})" for one in day.people],
        ),
        follow_up=evidence.FollowUp(lessons=day.lessons, actions=day.actions),
        steps=[_step(part) for part in day.parts],
        system=evidence.System(
            definition_sha256=day.plan_sha256,
            commit=about.commit,
            settings={"image": about.image} if about.image else {},
            **about.machine,  # type: ignore[arg-type]
        ),
    )


def schema_text() -> str:
    """The JSON Schema of ``gameday.json`` as it is shipped, made from the models."""
    schema = Day.model_json_schema(by_alias=True, mode="validation")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


@cache
def schema() -> dict[str, Any]:
    """The shipped JSON Schema."""
    loaded: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    return loaded


def _part(part: Part, entries: Sequence[Entry]) -> PartDone:
    mine = [entry for entry in entries if entry.part == part.name]
    begins = [entry for entry in mine if entry.what == "part began"]
    last = next((entry for entry in mine if entry.what == "part ended" and entry.result is not None), None)
    skipped = next((entry for entry in mine if entry.what == "part skipped"), None)
    lost = [entry for entry in mine if entry.what == "part lost"]
    runs = (steps.known_run(entries, part.name, entry.attempt) for entry in lost)
    result = last.result if last is not None else None
    state: State = "skipped" if skipped is not None else "interrupted" if begins else "not run"
    if result is not None:
        state = "interrupted" if result.exit_code == steps.INTERRUPTED else result.verdict
    closing = last or (lost[-1] if lost else None)
    return PartDone(
        name=part.name,
        kind=part.kind,
        what=part.definition or part.manual or human_duration(part.pause or 0.0),
        state=state,
        attempts=len(begins),
        began_at=begins[-1].at if begins else None,
        ended_at=closing.at if closing is not None else None,
        reason=result.reason if result is not None else skipped.text if skipped is not None else "",
        result=result,
        earlier=[run for run in runs if run],
    )


def _judged(parts: Sequence[PartDone], entries: Sequence[Entry]) -> tuple[int, list[str]]:
    """The exit code, and why; the first reason decides."""
    found: dict[int, list[str]] = {4: [], 130: [], 1: [], 3: []}
    stopped = steps.stop_reason(entries)
    if stopped is not None:
        found[130].append(f"The game day was stopped: {stopped.rstrip('.')}.")
    for part in parts:
        said = part.reason.rstrip(".")
        if part.result is not None and part.result.exit_code == steps.HARMED:
            found[4].append(f"{part.name} left the system harmed: {said}.")
        elif part.state == "interrupted":
            found[130].append(f"{part.name} was interrupted{f': {said}' if said else ''}.")
        elif part.state == "failed":
            found[1].append(f"{part.name} failed: {said}.")
        elif part.state == "inconclusive":
            found[3].append(f"{part.name} was inconclusive: {said}.")
        elif part.state == "skipped":
            found[3].append(f"{part.name} was left out: {said}.")
        elif part.state == "not run":
            found[3].append(f"{part.name} did not run.")
    code = next((code for code, reasons in found.items() if reasons), 0)
    return code, [reason for reasons in found.values() for reason in reasons]


def _summary(plan: Plan, about: Began, parts: Sequence[PartDone]) -> str:
    runs = [part for part in parts if part.kind != "pause"]
    passed = sum(part.state == "passed" for part in runs)
    times = [
        f"{part.name} {human_duration(part.result.recovery_time_s)}"
        for part in runs
        if part.result is not None and part.result.recovery_time_s is not None
    ]
    lost = [part.result.lost for part in runs if part.result is not None and part.result.lost is not None]
    took = f"; recovery times: {', '.join(times)}" if times else ""
    writes = f"; {sum(lost):,} acknowledged writes were lost in all" if lost else ""
    return f"{passed} of {len(runs)} parts of {plan.name} passed in {about.environment}{took}{writes}."


def _step(part: PartDone) -> evidence.Step:
    states: dict[State, Literal["succeeded", "failed", "aborted", "not run"]] = {
        "passed": "succeeded", "failed": "failed", "inconclusive": "failed", "interrupted": "aborted",
        "skipped": "not run", "not run": "not run",
    }  # fmt: skip
    length_s = None
    if part.began_at is not None and part.ended_at is not None:
        length_s = max(0.0, (moment(part.ended_at) - moment(part.began_at)).total_seconds())
    good = part.state == "passed"
    said = part.result.summary if part.result is not None else ""
    return evidence.Step(
        name=part.name,
        status=states[part.state],
        began_at=part.began_at,
        duration_s=length_s,
        output=said,
        error="" if good else f"{part.state}: {part.reason}" if part.reason else part.state,
    )


def _timeline(plan: Plan, entries: Sequence[Entry]) -> list[Event]:
    found = [event for entry in entries for event in _events(plan, entry)]
    return sorted(found, key=lambda event: moment(event.at))[:_MOST_EVENTS]


def _events(plan: Plan, entry: Entry) -> Iterator[Event]:
    result = entry.result
    if entry.what in SPOKEN:
        words = {"note": entry.text, "lesson": f"lesson: {entry.text}", "stopped": f"stop: {entry.text}"}
        owner = ", ".join(one for one in (entry.owner, entry.due and f"until {entry.due}") if one)
        said = words.get(entry.what, f"{entry.what}{f': {entry.text}' if entry.text else ''}")
        said = f"{said} ({owner})" if owner else said
        yield Event(at=entry.at, lane="people", what=said, who=entry.by, part=entry.part)
    elif entry.what == "part ended" and result is not None:
        if result.fault_at is not None:
            what = result.fault or "the fault was injected"
            yield Event(at=result.fault_at, lane="fault", what=what, part=entry.part)
        if result.restored_at is not None:
            yield Event(at=result.restored_at, lane="service", what="it met its SLO again", part=entry.part)
        yield Event(at=entry.at, lane="day", what=f"{entry.part} {steps.ended_words(result)}", part=entry.part)
    elif entry.what != "part known":
        again = f", attempt {entry.attempt}" if entry.attempt > 1 else ""
        words = {
            "began": f"{plan.title} began",
            "ended": "the game day ended",
            "resumed": f"resumed: {entry.text}",
            "part began": f"{entry.part} began{again}",
            "part lost": f"{entry.part} was lost: {entry.text}",
            "part skipped": f"{entry.part} was left out: {entry.text}",
        }
        yield Event(at=entry.at, lane="day", what=words[entry.what], part=entry.part)
