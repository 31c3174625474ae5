"""Bad evidence is never of help, whatever it says, and the answer depends on nothing but what was given."""

from __future__ import annotations

import dataclasses
import random
from datetime import timedelta
from typing import Any

from gate_samples import COMMIT, IMAGE, NOW, failed, judge, policy, requirement, run, unreadable
from hypothesis import given, settings
from hypothesis import strategies as some

from ftchaos.gate import explain, github, junit, words
from ftchaos.gate.policy import Policy
from ftchaos.store import Summary

AGES = some.floats(-2, 120).map(lambda days: round(days, 3))
VERDICTS = some.sampled_from([("passed", 0), ("failed", 1), ("failed", 4), ("inconclusive", 3), ("inconclusive", 5)])
NAMES = some.sampled_from(["restore", "zone"])
TEXTS = some.text(max_size=20) | some.sampled_from(["staging", "lab", "drill", "aws", "2026-11-23T06:00:00Z", COMMIT])
FIGURES = some.none() | some.floats()


@some.composite
def runs(draw: some.DrawFn) -> Summary:
    verdict, exit_code = draw(VERDICTS)
    return run(
        draw(AGES),
        draw(NAMES),
        verdict=verdict,
        exit_code=exit_code,
        environment=draw(some.sampled_from(["staging", "staging", "lab"])),
        commit=draw(some.sampled_from([COMMIT, COMMIT, "", "f" * 40])),
        image=draw(some.sampled_from([IMAGE, IMAGE, "app:latest"])),
        recovery_time_s=draw(some.sampled_from([1.0, 9000.0, None])),
        undo_failed=int(exit_code == 4),
        signed_by=draw(some.sampled_from(["key-1", ""])),
    )


@some.composite
def hostile(draw: some.DrawFn) -> Summary:
    """Anything that fits the types."""
    change: dict[str, Any] = {field.name: draw(TEXTS) for field in dataclasses.fields(Summary)}
    change |= {name: draw(FIGURES) for name in ("recovery_time_s", "data_loss_s")}
    change |= {name: draw(some.floats()) for name in ("rto_s", "rpo_s")}
    change |= {"exit_code": draw(some.integers()), "undo_failed": draw(some.integers(0)), "lost": draw(some.integers())}
    keep = draw(some.sets(some.sampled_from(sorted(change))))
    return dataclasses.replace(
        run(draw(AGES), draw(NAMES)), **{name: value for name, value in change.items() if name not in keep}
    )


@some.composite
def policies(draw: some.DrawFn) -> Policy:
    wanted = []
    for number in range(draw(some.integers(1, 3))):
        one: dict[str, Any] = {"name": f"one-{number}", "run": f"drill/{draw(NAMES)}"}
        one["passes"] = draw(some.integers(1, 4))
        one[draw(some.sampled_from(["max_age", "every"]))] = f"{draw(some.integers(1, 90))}d"
        one |= draw(
            some.sampled_from([{}, {"commit": "same"}, {"image": "same"}, {"recovery_time": "50%"}, {"lost": 0}])
        )
        wanted.append(one)
    return policy(*wanted)


BAD = [
    lambda ago, name: failed(ago, name=name),
    lambda ago, name: failed(ago, name=name, exit_code=4, undo_failed=1),
    lambda ago, name: run(ago, name, verdict="inconclusive", exit_code=3),
    lambda ago, name: run(ago, name, verdict="inconclusive", exit_code=5),
    lambda ago, name: run(ago, name, verdict="inconclusive", exit_code=130),
    lambda ago, name: unreadable(ago, name),
    lambda ago, name: run(ago, name, environment="lab"),
    lambda ago, name: run(ago, name, manifest_sha256=""),
    lambda ago, name: run(ago, name, ended_at="soon"),
    lambda ago, name: run(-1 - abs(ago), name),
    lambda ago, name: run(ago, name, exit_code=1),
]


@given(policies(), some.lists(runs(), max_size=12), some.sampled_from(BAD), AGES, NAMES)
@settings(max_examples=200, deadline=None)
def test_bad_evidence_never_turns_a_no_into_a_yes(
    given: Policy, known: list[Summary], make: Any, ago: float, name: str
) -> None:
    before = judge(given, known)
    after = judge(given, [*known, make(ago, name)])

    for old, new in zip(before.judged, after.judged, strict=True):
        assert not (new.state == "met" and old.state != "met"), new
    assert before.is_yes or not after.is_yes


@given(policies(), some.lists(runs(), min_size=1, max_size=12), some.data())
@settings(max_examples=150, deadline=None)
def test_taking_a_run_away_that_counts_or_failing_its_verification_never_helps(
    given: Policy, known: list[Summary], data: some.DataObject
) -> None:
    before = judge(given, known)
    victim = data.draw(some.sampled_from(known))
    after = judge(given, known, problems={victim.run_id: ["altered: run.json"]})

    assert before.is_yes or not after.is_yes


@given(policies(), some.lists(runs(), max_size=10))
@settings(max_examples=100, deadline=None)
def test_a_yes_today_is_not_made_of_a_no_of_yesterday(given: Policy, known: list[Summary]) -> None:
    """Time alone never helps, but for evidence that came from the future."""
    known = [one for one in known if one.ended_at <= NOW.isoformat()]
    before = judge(given, known)
    later = judge(given, known, at=NOW + timedelta(days=3))

    assert before.is_yes or not later.is_yes


@given(policies(), some.lists(runs(), max_size=10), some.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_the_order_of_the_runs_changes_nothing(given: Policy, known: list[Summary], seed: int) -> None:
    known = list({one.run_id: one for one in known}.values())
    shuffled = random.Random(seed).sample(known, len(known))

    assert judge(given, known) == judge(given, shuffled)


@given(policies(), some.lists(runs(), max_size=10))
@settings(max_examples=200, deadline=None)
def test_more_is_never_asked_for_by_asking_for_less(given: Policy, known: list[Summary]) -> None:
    """A policy with one more requirement is never easier to meet."""
    further = policy(requirement(name="further")).requirements
    more = given.model_copy(update={"requirements": [*given.requirements, *further]})

    assert not judge(more, known).is_yes or judge(given, known).is_yes


@given(policies(), some.lists(hostile() | runs(), max_size=10))
@settings(max_examples=150, deadline=None)
def test_hostile_runs_give_an_answer_that_is_safe_to_print(given: Policy, known: list[Summary]) -> None:
    decision = judge(given, known)

    for one in decision.judged:
        said = "\n".join([words.wants(one), *words.why(one), words.proves(one), words.waiver(one)])
        assert said.replace("\n", "").isprintable()
    script = explain.script(decision, "reports", "ftchaos gate")
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert all(line.startswith(("ftchaos ", "for run in $(seq ")) for line in commands)
    assert all(line.startswith(("::error title=", "::warning title=")) for line in github.workflow_commands(decision))
    assert "\n::" not in github.summary(decision)
    assert junit.render(decision)
