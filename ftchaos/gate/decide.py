"""From a policy, the runs in short and the time to a decision. Pure: no I/O, and the same input gives the same answer.

Whatever is missing, stale, inconclusive, unverifiable, foreign or from the future is a no, each with its own sentence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Literal

from ftchaos.gate.confidence import proven_rate
from ftchaos.gate.flaws import flaws, foreign, unsound, unverified
from ftchaos.gate.policy import NO_OPEN_HARM, Policy, Requirement, Waiver
from ftchaos.gate.question import Asked, Question, Reason, days, id_names, names, newest_first, was_refused
from ftchaos.store.summary import Summary

State = Literal["met", "not met", "waived"]


@dataclass(frozen=True)
class Judged:
    """One requirement, and what came of it.

    Attributes:
        requirement: None for what every policy requires.
        reasons: why it is not met; the first decides.
        row: the runs that count, newest first: all passed, and nothing is wrong with them.
        proven: the success rate that they prove at 95 %.
        runs, passed: all runs that were to be looked at, and how many of them passed.
        waiver: that lets it pass, or that is there without being needed.
        waiver_refused: why a waiver does not.
    """

    name: str
    environment: str
    requirement: Requirement | None
    reasons: tuple[Reason, ...]
    row: tuple[Summary, ...] = ()
    proven: float = 0.0
    runs: int = 0
    passed: int = 0
    waiver: Waiver | None = None
    waiver_refused: str = ""

    @property
    def state(self) -> State:
        if not self.reasons:
            return "met"
        return "waived" if self.waiver and not self.waiver_refused else "not met"


@dataclass(frozen=True)
class Decision:
    """Yes or no, and why."""

    asked: Asked
    at: datetime
    judged: tuple[Judged, ...]

    @property
    def is_yes(self) -> bool:
        """Only when every requirement is met, or waived as the policy allows."""
        return bool(self.judged) and all(one.state != "not met" for one in self.judged)


class History:
    """The runs of a store that may matter to a policy, in order; made once, asked twice.

    Attributes:
        ordered: newest first.
        named: those of each definition that is required.
    """

    def __init__(self, policy: Policy, runs: Sequence[Summary]) -> None:
        wanted = {one.run.partition("/")[2] for one in policy.requirements}
        wanted |= {run.name for run in runs if run.undo_failed}
        # A large store has many others, and this is all that is done with them.
        some = [run for run in runs if not wanted.isdisjoint((run.name, *id_names(run.run_id)))]
        self.ordered = newest_first(some)
        self.named: dict[str, list[Summary]] = {one.run: [] for one in policy.requirements}
        for run in self.ordered:
            for name in names(run) & self.named.keys():
                self.named[name].append(run)


def relied_on(policy: Policy, asked: Asked, history: History, at: datetime) -> list[str]:
    """The ids of the runs that a yes would rest on, so that their files can be verified before it is decided."""
    question = Question(policy, asked, at)
    rows = (_row(question, one, _trials(question, one, history.named[one.run]))[0] for one in policy.requirements)
    ids = [run.run_id for row in rows for run in row]
    ids += [later.run_id for _, later in _harms(question, history.ordered) if later]
    return sorted(set(ids), reverse=True)


def decide(
    policy: Policy, asked: Asked, history: History, problems: Mapping[str, Sequence[str]], at: datetime
) -> Decision:
    """Whether all is met.

    Args:
        history: of every run of the store.
        problems: of each run that :func:`relied_on` names, what its verification found; a run that is not in it was
            not verified, and counts for nothing.
        at: now, in UTC.
    """
    question = Question(policy, asked, at, problems)
    judged = [_judge(question, one, history.named[one.run]) for one in policy.requirements]
    judged.append(_open_harm(question, history.ordered))
    return Decision(asked, at, tuple(_with_waiver(question, one) for one in judged))


def _trials(question: Question, requirement: Requirement, named: Sequence[Summary]) -> Iterator[Summary]:
    """The runs that are about what is asked."""
    return (run for run in named if not was_refused(run) and not foreign(question, requirement, run))


def _row(
    question: Question, requirement: Requirement, trials: Iterable[Summary]
) -> tuple[tuple[Summary, ...], list[Reason]]:
    """The newest runs in a row that count, as many as are needed, and what is wrong with the one before them."""
    row: list[Summary] = []
    for run in trials:
        broken = list(flaws(question, requirement, run, row[-1] if row else None))
        if broken:
            return tuple(row), broken
        row.append(run)
        if len(row) == requirement.needed:
            break
    return tuple(row), []


def _judge(question: Question, requirement: Requirement, named: Sequence[Summary]) -> Judged:
    trials = list(_trials(question, requirement, named))
    row, broken = _row(question, requirement, trials)
    most_s = math.inf if requirement.max_age is None else requirement.max_age
    # Newest first, so that behind the first one that is too old all are.
    looked_at = list(takewhile(lambda run: question.age_s(run) <= most_s, trials))
    passed = sum(run.verdict == "passed" for run in looked_at)
    return Judged(
        requirement.title,
        question.where(requirement),
        requirement,
        () if len(row) >= requirement.needed else tuple(_short(question, requirement, row, broken, named)),
        row,
        proven_rate(len(row), len(row)),
        len(looked_at),
        passed,
    )


def _short(
    question: Question,
    requirement: Requirement,
    row: Sequence[Summary],
    broken: Sequence[Reason],
    named: Sequence[Summary],
) -> Iterator[Reason]:
    """Why there are not enough runs in a row."""
    if row:
        before = f"before {'it' if len(row) == 1 else 'them'}: {broken[0].sentence}" if broken else "there are no more"
        have = f"{len(row)} passing {'run' if len(row) == 1 else 'runs'} in a row, {requirement.needed} are wanted"
        yield Reason("too few", f"{have}; {before}", broken[0].run_id if broken else "")
    elif broken:
        yield from broken
    else:
        elsewhere = ((run, why) for run in named if (why := foreign(question, requirement, run)))
        newest, why = next(elsewhere, (None, ""))
        where = question.where(requirement)
        if newest is not None:
            yield Reason("foreign", f"no run counts: the newest, {newest.run_id}, {why}", newest.run_id)
        elif named:
            yield Reason("missing", f"the guard refused every run of {requirement.run} in {where}", named[0].run_id)
        else:
            yield Reason("missing", f"there is no run of {requirement.run} in {where}")


def _harms(question: Question, ordered: Sequence[Summary]) -> list[tuple[Summary, Summary | None]]:
    """The runs that left harm where it matters, each with a later run of the same that passed, if there is one."""
    places = {question.asked.environment, *(question.where(one) for one in question.policy.requirements)}
    found = []
    for index, run in enumerate(ordered):
        if run.undo_failed and run.environment in places:
            later = (
                one
                for one in ordered[:index]
                if (one.kind, one.name, one.environment) == (run.kind, run.name, run.environment)
                and one.verdict == "passed"
                and not one.undo_failed
                and not [*unsound(question, one), *unverified(question, one)]
            )
            found.append((run, next(later, None)))
    return found


def _open_harm(question: Question, ordered: Sequence[Summary]) -> Judged:
    reasons = [
        Reason(
            "harm",
            f"{run.undo_failed} {'harm' if run.undo_failed == 1 else 'harms'} of {run.run_id} in {run.environment} "
            f"{'was' if run.undo_failed == 1 else 'were'} not healed, and {run.kind}/{run.name} has not passed since",
            run.run_id,
            f"{run.kind}/{run.name}",
            run.environment,
        )
        for run, healed in _harms(question, ordered)
        if healed is None
    ]
    return Judged(NO_OPEN_HARM, question.asked.environment, None, tuple(reasons))


def _with_waiver(question: Question, judged: Judged) -> Judged:
    waiver = next((one for one in question.policy.waivers if one.requirement == judged.name), None)
    if waiver is None:
        return judged
    ends_at = datetime.combine(waiver.until, datetime.min.time(), UTC) + timedelta(days=1)
    refused = ""
    if question.policy.forbid_waivers or (judged.requirement and not judged.requirement.waivable):
        refused = "the policy forbids it"
    elif question.at >= ends_at:
        refused = f"it ended on {waiver.until}"
    elif ends_at - question.at > timedelta(seconds=question.policy.longest_waiver, days=1):
        refused = f"it reaches until {waiver.until}, further than {days(question.policy.longest_waiver)} ahead"
    return replace(judged, waiver=waiver, waiver_refused=refused)
