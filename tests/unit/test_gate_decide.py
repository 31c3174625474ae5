"""The gate says yes only when all is proven; each kind of no has its own sentence."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from gate_samples import (
    ASKED,
    COMMIT,
    IMAGE,
    NOW,
    failed,
    inconclusive,
    judge,
    kinds,
    policy,
    requirement,
    run,
    unreadable,
    why,
)

from ftchaos.gate.decide import History, decide, relied_on
from ftchaos.gate.question import Asked
from ftchaos.store import Summary


def test_one_recent_run_that_passed_is_a_yes() -> None:
    decision = judge(policy(), [run(2)])

    assert decision.is_yes
    assert [one.state for one in decision.judged] == ["met", "met"]


def test_no_evidence_at_all_is_a_no() -> None:
    decision = judge(policy(), [])

    assert not decision.is_yes
    assert why(decision) == "there is no run of drill/restore in staging"


@pytest.mark.parametrize(
    ("what", "wanted", "kind", "words"),
    [
        (run(name="other"), {}, "missing", "there is no run of drill/restore"),
        (run(kind="experiment"), {}, "missing", "there is no run of drill/restore"),
        (run(32), {}, "stale", "is 32 d old, 31 d are allowed"),
        (run(31.001), {}, "stale", "is 31.1 d old, 31 d are allowed"),
        (failed(), {}, "failed", "failed: The RTO was missed."),
        (inconclusive(), {}, "inconclusive", "was inconclusive: The fault was never seen."),
        (inconclusive(exit_code=130), {}, "inconclusive", "was inconclusive"),
        (inconclusive(exit_code=5), {}, "missing", "the guard refused every run of drill/restore in staging"),
        (unreadable(), {}, "unverifiable", "cannot be read: evidence.json is not evidence"),
        (run(manifest_sha256=""), {}, "unverifiable", "has no manifest"),
        (run(exit_code=4), {}, "unverifiable", "says passed with exit code 4, which cannot be"),
        (run(verdict="excellent"), {}, "unverifiable", "says excellent with exit code 0"),
        (run(ended_at="yesterday"), {}, "unverifiable", "which is no span of time"),
        (run(ended_at="2026-11-23T06:00:00"), {}, "unverifiable", "which is no span of time"),
        (run(began_at="2026-11-23T06:00:00Z"), {}, "unverifiable", "which is no span of time"),
        (run(name="easy", run_id="20261122T120000Z-restore-7f3a"), {}, "unverifiable", "its id says otherwise"),
        (run(-0.1), {}, "future", "in the future, so its age is not known"),
        (run(environment="lab"), {}, "foreign", "ran in lab, not in staging"),
        (run(environment=""), {}, "foreign", "ran in an unknown environment, not in staging"),
        (run(platform="lab"), {"platform": "aws"}, "foreign", "ran on the platform lab, not on aws"),
        (run(commit="f" * 40), {"commit": "same"}, "foreign", f"was about commit {'f' * 40}, not {COMMIT}"),
        (run(commit=COMMIT[:12]), {"commit": "same"}, "foreign", "was about commit 2508e40c2508, not"),
        (run(commit=""), {"commit": "same"}, "foreign", "was about an unknown commit"),
        (run(), {"commit": "f" * 40}, "foreign", f"not {'f' * 40}"),
        (run(image="app:latest"), {"image": "same"}, "foreign", "was about image app:latest"),
        (run(image=""), {"image": "same"}, "foreign", "was about an unknown image"),
        (run(), {"definition": "ee" * 32}, "foreign", "played another definition, cdcdcdcdcdcd, not eeeeeeeeeeee"),
        (run(recovery_time_s=7201.0), {"recovery_time": "50%"}, "objective", "was 2 h, 50% is the most, which is 2 h"),
        (run(recovery_time_s=31.0), {"recovery_time": "30s"}, "objective", "was 31 s, 30s is the most"),
        (run(recovery_time_s=None), {"recovery_time": "50%"}, "objective", "did not measure the recovery time"),
        (run(data_loss_s=1.0), {"data_loss": "0%"}, "objective", "the data loss of"),
        (run(data_loss_s=None), {"data_loss": "1s"}, "objective", "did not measure the data loss"),
        (run(recovery_time_s=float("nan")), {"recovery_time": "50%"}, "objective", "of unknown length"),
        (run(rto_s=float("inf")), {"recovery_time": "50%"}, "objective", "of unknown length"),
        (run(lost=3), {"lost": 2}, "objective", "lost 3 acknowledged writes, 2 are allowed"),
        (run(lost=None), {"lost": 2}, "objective", "did not count the writes that were lost"),
        (run(undo_failed=1), {}, "harm", "left harm that was not healed"),
        (run(), {"signed_by": ["key-1"]}, "unsigned", "is not signed"),
        (run(signed_by="key-2"), {"signed_by": ["key-1"]}, "unsigned", "signed by key-2, which is not accepted"),
        (run(), {"passes": 2}, "too few", "1 passing run in a row, 2 are wanted; there are no more"),
        (run(), {"success_rate": "10%"}, "too few", "1 passing run in a row, 2 are wanted"),
    ],
)  # fmt: skip
def test_every_kind_of_no(what: Summary, wanted: dict[str, Any], kind: str, words: str) -> None:
    decision = judge(policy(requirement(**wanted)), [what])

    assert not decision.is_yes
    assert kinds(decision)[0] == kind
    assert words in why(decision)


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        (run(30.9), {}),
        (run(-0.003), {}),  # within the skew of the clocks
        (run(commit=COMMIT.upper()), {"commit": "same"}),
        (run(), {"commit": COMMIT}),
        (run(image=f"mirror.example.com/app@{IMAGE.partition('@')[2]}"), {"image": "same"}),
        (run(environment="drill-eu"), {"environment": "drill-eu"}),
        (run(recovery_time_s=7199.0), {"recovery_time": "50%"}),
        (run(recovery_time_s=0.0, data_loss_s=0.0), {"recovery_time": "1s", "data_loss": "0%"}),
        (run(signed_by="key-1"), {"signed_by": ["key-0", "key-1"]}),
        (run(), {"definition": "cd" * 32, "platform": "aws", "lost": 0}),
    ],
)
def test_what_is_enough(what: Summary, wanted: dict[str, Any]) -> None:
    assert why(judge(policy(requirement(**wanted)), [what])) == ""


def test_what_does_not_verify_is_a_no_and_an_older_run_does_not_stand_in_for_it() -> None:
    newest, older = run(1), run(2)

    decision = judge(policy(), [newest, older], problems={newest.run_id: ["altered: run.json"]})

    assert kinds(decision) == ["unverifiable"]
    assert "does not verify: altered: run.json" in why(decision)


def test_what_was_not_verified_is_a_no() -> None:
    decision = decide(policy(), ASKED, History(policy(), [run()]), {}, NOW)

    assert "was not verified" in why(decision)


def test_only_what_a_yes_would_rest_on_is_verified() -> None:
    given = policy(requirement(passes=2))
    runs = [run(1), run(2), run(3), run(1.5, name="other"), run(0.5, environment="lab")]

    assert relied_on(given, ASKED, History(given, runs), NOW) == [runs[0].run_id, runs[1].run_id]


@pytest.mark.parametrize("broken", [failed(1.5), inconclusive(1.5), unreadable(1.5), run(1.5, undo_failed=1)])
def test_anything_but_a_pass_breaks_the_row(broken: Summary) -> None:
    decision = judge(policy(requirement(passes=3)), [run(1), broken, run(2), run(3)])

    assert kinds(decision) == ["too few"]
    assert "1 passing run in a row, 3 are wanted; before it:" in why(decision)


def test_a_run_that_the_guard_refused_neither_counts_nor_breaks_the_row() -> None:
    decision = judge(policy(requirement(passes=2)), [run(1), inconclusive(1.5, exit_code=5), run(2)])

    assert decision.is_yes


def test_a_run_about_something_else_neither_counts_nor_breaks_the_row() -> None:
    decision = judge(policy(requirement(passes=2)), [run(1), failed(1.5, environment="lab"), run(2)])

    assert decision.is_yes


def test_the_order_of_the_runs_does_not_matter() -> None:
    runs = [failed(3), run(1), run(2)]

    assert judge(policy(requirement(passes=2)), runs).is_yes
    assert judge(policy(requirement(passes=2)), runs[::-1]).is_yes
    assert not judge(policy(), [run(3), failed(1)]).is_yes


def test_the_policy_holds_a_run_against_its_own_objectives_too() -> None:
    """A run with a generous --rto passes by its own word; that is not what was promised."""
    generous = run(recovery_time_s=20_000.0, rto_s=360_000.0)

    decision = judge(policy(objectives={"rto": "4h"}), [generous])

    assert "the recovery time of" in why(decision)
    assert "the RTO is 4 h" in why(decision)


def test_a_margin_counts_from_the_stricter_objective() -> None:
    tight = run(recovery_time_s=40.0, rto_s=60.0)

    assert not judge(policy(requirement(recovery_time="50%"), objectives={"rto": "4h"}), [tight]).is_yes
    assert judge(policy(requirement(recovery_time="70%"), objectives={"rto": "4h"}), [tight]).is_yes


def test_a_game_day_is_held_against_the_objectives_by_its_parts() -> None:
    day = run(kind="gameday", name="quarterly", recovery_time_s=None, data_loss_s=None)
    wanted = {"run": "gameday/quarterly", "every": "90d"}

    assert judge(policy(wanted, objectives={"rto": "4h", "rpo": "15m"}), [day]).is_yes
    assert not judge(policy({**wanted, "recovery_time": "50%"}), [day]).is_yes


def test_a_missed_game_day_says_when_it_was_due() -> None:
    day = run(100, kind="gameday", name="quarterly")

    decision = judge(policy({"run": "gameday/quarterly", "every": "90d"}), [day])

    assert kinds(decision) == ["overdue"]
    assert "gameday/quarterly was missed: it was due on 2026-11-13, 10 d ago" in why(decision)


def test_a_missed_game_day_still_shows_when_it_was_made_up_for() -> None:
    days = [run(at, kind="gameday", name="quarterly") for at in (1, 180)]
    once = {"run": "gameday/quarterly", "every": "90d"}

    assert judge(policy(once), days).is_yes
    decision = judge(policy({**once, "passes": 2}), days)
    assert "179 d lie between" in why(decision)


def test_harm_that_was_left_open_is_a_no_until_the_same_run_passes() -> None:
    harmed = failed(3, name="zone", exit_code=4, undo_failed=2)

    decision = judge(policy(), [run(1), harmed])

    assert [one.state for one in decision.judged] == ["met", "not met"]
    assert "2 harms of" in decision.judged[1].reasons[0].sentence
    assert judge(policy(), [run(1), harmed, run(2, name="zone")]).is_yes
    assert not judge(policy(), [run(1), harmed, run(4, name="zone")]).is_yes
    assert not judge(policy(), [run(1), harmed, run(2, name="zone", environment="lab")]).is_yes
    assert judge(policy(), [run(1), failed(3, name="zone", undo_failed=2, environment="lab")]).is_yes


def test_the_run_that_closes_a_harm_must_verify() -> None:
    harmed, healed = failed(3, name="zone", undo_failed=1), run(2, name="zone")

    history = History(policy(), [run(1), harmed, healed])

    assert healed.run_id in relied_on(policy(), ASKED, history, NOW)
    assert not judge(policy(), [run(1), harmed, healed], problems={healed.run_id: ["altered: run.json"]}).is_yes


def test_a_commit_that_nobody_named_matches_nothing() -> None:
    runs = [run(commit="", image="")]

    assert not judge(policy(requirement(commit="same")), runs, Asked("staging")).is_yes
    assert not judge(policy(requirement(image="same")), runs, Asked("staging")).is_yes


def waived(until: date, **more: Any) -> Any:
    waiver = {"requirement": "restore", "person": "A. Person", "reason": "moved", "until": until}
    return policy(waivers=[waiver], **more)


@pytest.mark.parametrize(
    ("days", "state", "refused"),
    [(0, "waived", ""), (30, "waived", ""), (-1, "not met", "it ended on"), (32, "not met", "it reaches until")],
)
def test_a_waiver_counts_until_its_last_day_and_not_for_too_long(days: int, state: str, refused: str) -> None:
    decision = judge(waived(NOW.date() + timedelta(days=days)), [])

    assert decision.judged[0].state == state
    assert refused in decision.judged[0].waiver_refused
    assert decision.is_yes == (state == "waived")


def test_a_forbidden_waiver_does_not_count() -> None:
    """The file is refused as well; this is the second lock on that door."""
    assert not judge(waived(NOW.date(), forbid_waivers=True), []).is_yes
    assert not judge(
        policy(requirement(waivable=False), waivers=waived(NOW.date()).waivers), []
    ).is_yes  # fmt: skip


def test_the_runs_before_the_row_are_counted_too() -> None:
    judged = judge(policy(requirement(passes=2)), [run(1), run(2), failed(3), run(4), run(60)]).judged[0]

    assert (len(judged.row), judged.passed, judged.runs) == (2, 3, 4)
    assert judged.proven == pytest.approx(0.2236, abs=1e-4)
