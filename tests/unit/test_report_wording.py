"""Shares, offsets and objectives read right at their edges, where rounding would lie."""

from __future__ import annotations

import pytest
import samples

from ftchaos.evidence import Data
from ftchaos.report import wording


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"), (0.00001, "< 0.1 %"), (0.044, "4.4 %"), (0.34, "34 %"), (0.995, "99.5 %"), (0.9996, "99.96 %"),
        (0.999999, "99.99 %"), (1, "100 %"), (1.0004, "> 100 %"), (1.11, "111 %"), (25, "2,500 %"),
    ],
)  # fmt: skip
def test_a_share_is_never_rounded_to_nothing_or_to_everything(share: float, words: str) -> None:
    assert wording.percent(share) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (0.012, "+12 ms"), (-18, "\N{MINUS SIGN}18 s")])
def test_an_offset_says_before_or_after(seconds: float, words: str) -> None:
    assert wording.offset(seconds) == words


def test_an_unmeasured_value_is_unknown_in_words_and_in_judgement() -> None:
    rows = wording.actuals(samples.inconclusive())

    assert [row.met for row in rows] == [None, None, None]
    assert {row.actual for row in rows} == {"unknown"}
    assert wording.count(None) == wording.duration(None) == "unknown"


def test_nothing_recovers_from_a_fault_that_was_never_seen() -> None:
    run = samples.passed()
    met = wording.actuals(run)[0].met
    run.witness.proven = False

    recovery = wording.actuals(run)[0]

    assert met is True
    assert ("unknown", None, "the fault was never seen") == (recovery.actual, recovery.met, recovery.detail)


def test_one_promise_that_could_not_be_asked_for_is_one_other() -> None:
    run = samples.passed()
    run.plan.unasked = ["No acknowledged write of redis-wait is lost."]

    assert ", 1 other could not be asked for here" in wording.lead(run)


def test_a_backups_age_is_judged_only_where_the_policy_accepted_it() -> None:
    run = samples.rehearsal()
    run.data = Data(backup_age_s=600.0, source="backup age")

    loss = wording.actuals(run)[1]

    assert (loss.actual, loss.met) == ("10 min", True)


@pytest.mark.parametrize("name", ["corrupt", "duplicate", "unexpected"])
def test_a_bad_class_of_writes_damages_the_restored_data(name: str) -> None:
    run = samples.passed()
    setattr(run.data, name, 3)

    restored = wording.actuals(run)[2]

    assert restored.met is False
    assert f"3 {name}" in restored.detail


def test_a_check_that_was_not_done_leaves_the_restored_data_unknown() -> None:
    run = samples.passed()
    run.verification.checks[0].passed = None

    assert wording.actuals(run)[2].met is None


def test_milestones_come_with_their_distance_from_the_fault() -> None:
    marks = wording.milestones(samples.passed())

    assert [(mark.name, mark.offset_s) for mark in marks] == [
        ("fault", 0.0), ("proven", 0.012), ("detected", 0.62), ("restored", 14.214),
    ]  # fmt: skip
