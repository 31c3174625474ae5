"""What is wrong with one run as proof of a requirement: it is about something else, or does not prove it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import timedelta

from ftchaos.gate.policy import SAME, Requirement
from ftchaos.gate.question import NEVER, Kind, Question, Reason, days, length, moment, names
from ftchaos.store.summary import Summary
from ftchaos.units import human_duration


def foreign(question: Question, requirement: Requirement, run: Summary) -> str:
    """How a run is not about what is asked; empty for one that is. One that cannot be read may well be about it."""
    if run.verdict == "unreadable":
        return ""
    where = question.where(requirement)
    if run.environment != where:
        return f"ran in {run.environment or 'an unknown environment'}, not in {where}"
    if requirement.platform and run.platform != requirement.platform:
        return f"ran on the platform {run.platform or 'unknown'}, not on {requirement.platform}"
    if requirement.commit:
        wanted = question.asked.commit if requirement.commit == SAME else requirement.commit
        if not wanted or run.commit.lower() != wanted.lower():
            return f"was about {f'commit {run.commit}' if run.commit else 'an unknown commit'}, not {wanted or 'known'}"
    if requirement.image:
        wanted = question.asked.image if requirement.image == SAME else requirement.image
        if not wanted or digest(run.image) != digest(wanted):
            return f"was about {f'image {run.image}' if run.image else 'an unknown image'}, not {wanted or 'known'}"
    if requirement.definition and run.definition_sha256 != requirement.definition:
        return (
            f"played another definition, {run.definition_sha256[:12] or 'unknown'}, not {requirement.definition[:12]}"
        )
    return ""


def digest(image: str) -> str:
    """What an image is, wherever it is kept: its digest; a tag says nothing, as it can be moved."""
    found = re.search(r"(?:^|@)(sha256:[0-9a-f]{64})$", image)
    return found[1] if found else f"no digest: {image}"


def flaws(question: Question, requirement: Requirement, run: Summary, newer: Summary | None) -> Iterator[Reason]:
    """Everything for which a run does not count; the first decides."""
    found = [*unsound(question, run), *_insufficient(question, requirement, run, newer)]
    # Only what a yes would rest on is verified: all else is a no anyway.
    yield from found or unverified(question, run)


def _insufficient(
    question: Question, requirement: Requirement, run: Summary, newer: Summary | None
) -> Iterator[Reason]:
    if run.verdict == "unreadable":
        return
    if run.verdict != "passed":
        kind: Kind = "failed" if run.verdict == "failed" else "inconclusive"
        said = run.reason or f"it ended with exit code {run.exit_code}"
        yield Reason(
            kind, f"the run {run.run_id} {'failed' if kind == 'failed' else 'was inconclusive'}: {said}", run.run_id
        )
    if run.undo_failed:
        yield Reason("harm", f"the run {run.run_id} left harm that was not healed", run.run_id)
    yield from _too_old(question, requirement, run, newer)
    for accepted in (requirement.signed_by, question.policy.signed_by):
        if accepted and run.signed_by not in accepted:
            by = f"is signed by {run.signed_by}, which is not accepted" if run.signed_by else "is not signed"
            yield Reason("unsigned", f"the run {run.run_id} {by}", run.run_id)
            break
    yield from _beyond(question, requirement, run)


def unsound(question: Question, run: Summary) -> Iterator[Reason]:
    began_at, ended_at = moment(run.began_at), moment(run.ended_at)
    problem = ""
    if run.verdict == "unreadable":
        problem = f"cannot be read: {run.reason}"
    elif not run.manifest_sha256:
        problem = "has no manifest"
    elif len(names(run)) > 1:
        problem = f"says it was {run.kind}/{run.name}, but its id says otherwise"
    elif NEVER in (began_at, ended_at) or began_at > ended_at:
        problem = f"says it went from {run.began_at} to {run.ended_at}, which is no span of time"
    elif run.verdict not in ("passed", "failed", "inconclusive") or (run.verdict == "passed") != (run.exit_code == 0):
        problem = f"says {run.verdict} with exit code {run.exit_code}, which cannot be"
    if problem:
        yield Reason("unverifiable", f"the run {run.run_id} {problem}", run.run_id)
    elif question.is_future(run):
        ahead = human_duration((ended_at - question.at).total_seconds())
        yield Reason("future", f"the run {run.run_id} ended {ahead} in the future, so its age is not known", run.run_id)


def unverified(question: Question, run: Summary) -> Iterator[Reason]:
    if found := question.problem(run):
        yield Reason("unverifiable", f"the run {run.run_id} does not verify: {found}", run.run_id)


def _too_old(question: Question, requirement: Requirement, run: Summary, newer: Summary | None) -> Iterator[Reason]:
    age_s = question.age_s(run)
    if requirement.max_age is not None and age_s > requirement.max_age:
        most = days(requirement.max_age)
        yield Reason("stale", f"the run {run.run_id} is {days(age_s)} old, {most} are allowed", run.run_id)
    if requirement.every is None:
        return
    if newer is None and age_s > requirement.every:
        due_at = moment(run.ended_at) + timedelta(seconds=requirement.every)
        late = f"it was due on {due_at:%Y-%m-%d}, {days(age_s - requirement.every)} ago"
        yield Reason("overdue", f"{requirement.run} was missed: {late}; the last run is {run.run_id}", run.run_id)
    elif newer is not None:
        apart_s = (moment(newer.ended_at) - moment(run.ended_at)).total_seconds()
        if apart_s > requirement.every:
            gap = f"{days(apart_s)} lie between {run.run_id} and {newer.run_id}"
            yield Reason(
                "overdue", f"{requirement.run} was missed: {gap}, {days(requirement.every)} are allowed", run.run_id
            )


def _beyond(question: Question, requirement: Requirement, run: Summary) -> Iterator[Reason]:
    """Figures beyond what the policy allows; what was not measured is beyond."""
    promised = question.policy.objectives
    figures = (
        ("recovery time", run.recovery_time_s, "RTO", run.rto_s, promised.rto, requirement.recovery_time),
        ("data loss", run.data_loss_s, "RPO", run.rpo_s, promised.rpo, requirement.data_loss),
    )
    for name, actual_s, objective, own_s, promised_s, margin in figures:
        if margin is None and promised_s is None:
            continue
        objective_s = own_s if promised_s is None else min(own_s, promised_s)
        if actual_s is None:
            # A game day is as good as its parts, which have the figures.
            if margin is not None or run.kind != "gameday":
                yield Reason("objective", f"the run {run.run_id} did not measure the {name}", run.run_id)
            continue
        limit_s = objective_s if margin is None else margin.limit_s(objective_s)
        if not 0 <= actual_s <= limit_s < math.inf:
            most = f"the {objective} is {length(objective_s)}"
            if margin is not None:
                most = f"{margin.text} is the most, which is {length(limit_s)}; {most}"
            yield Reason("objective", f"the {name} of {run.run_id} was {length(actual_s)}, {most}", run.run_id)
    if requirement.lost is not None and (run.lost is None or run.lost > requirement.lost):
        lost = (
            "did not count the writes that were lost" if run.lost is None else f"lost {run.lost:,} acknowledged writes"
        )
        yield Reason("objective", f"the run {run.run_id} {lost}, {requirement.lost:,} are allowed", run.run_id)
