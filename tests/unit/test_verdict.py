"""No fact that is missing or bad may ever end as passed, and the first in the design's order decides."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftchaos.objectives import Objectives
from ftchaos.verdict import Facts, decide

GOOD = Facts(
    objectives=Objectives(),
    injects_fault=True,
    keeps_ledger=True,
    heals_failed=(),
    refusals=(),
    interruptions=(),
    stopped=(),
    unmet_before=(),
    steps_failed=(),
    fault_proven=True,
    audit_complete=True,
    self_test_passed=True,
    recovery_time_s=14.2,
    watched_s=20.0,
    data_loss_s=0.0,
    backup_age_s=40.0,
    corrupt=0,
    duplicate=0,
    unexpected=0,
    deviations=(),
    damage=(),
    promises_broken=(),
    promises_unknown=(),
)

# These only matter where another fact is missing; they have tests of their own below.
SECONDARY = {"accepts_backup_age", "watched_s", "backup_age_s", "restores"}
FACTS = [field.name for field in fields(Facts) if field.name not in SECONDARY]
FOUND = [
    *("heals_failed", "refusals", "interruptions", "stopped", "unmet_before", "steps_failed", "deviations", "damage"),
    "promises_broken",
]

BAD: list[tuple[str, Any, str, int]] = [
    ("heals_failed", ("lab.begin zone-a: port taken",), "failed", 4),
    ("refusals", ("the environment is protected",), "inconclusive", 5),
    ("interruptions", ("SIGTERM",), "inconclusive", 130),
    ("stopped", ("the service was down for 61 s",), "inconclusive", 3),
    ("unmet_before", ("the service meets its objectives",), "inconclusive", 3),
    ("steps_failed", ("restore the backup",), "inconclusive", 3),
    ("fault_proven", False, "inconclusive", 3),
    ("audit_complete", False, "inconclusive", 3),
    ("self_test_passed", False, "inconclusive", 3),
    ("recovery_time_s", 14400.01, "failed", 1),
    ("data_loss_s", 900.01, "failed", 1),
    ("deviations", ("a writer is in place",), "failed", 1),
    ("corrupt", 1, "failed", 1),
    ("duplicate", 1, "failed", 1),
    ("unexpected", 1, "failed", 1),
    ("damage", ("files has 3 rows fewer",), "failed", 1),
    ("promises_broken", ("12 acknowledged writes of mysql were lost",), "failed", 1),
]


def test_all_good_facts_pass_without_a_reason() -> None:
    verdict = decide(GOOD)

    assert (verdict.verdict, verdict.exit_code, verdict.reasons) == ("passed", 0, ())


def test_no_facts_at_all_are_inconclusive() -> None:
    assert decide(Facts()).exit_code == 3


@pytest.mark.parametrize("name", FACTS)
def test_one_missing_fact_never_passes(name: str) -> None:
    verdict = decide(replace(GOOD, **{name: None}))

    assert verdict.verdict == "inconclusive"
    assert verdict.exit_code == 3
    assert verdict.reasons


@pytest.mark.parametrize(("name", "value", "outcome", "code"), BAD)
def test_one_bad_fact_decides_alone(name: str, value: object, outcome: str, code: int) -> None:
    verdict = decide(replace(GOOD, **{name: value}))

    assert (verdict.verdict, verdict.exit_code) == (outcome, code)
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].endswith(".")


def test_only_of_a_configuration_no_loss_of_data_is_asked() -> None:
    unknown = replace(GOOD, data_loss_s=None)

    assert "passed" == decide(replace(unknown, restores="configuration")).verdict
    assert "inconclusive" == decide(replace(unknown, restores="data")).verdict
    assert "inconclusive" == decide(replace(unknown, restores=None)).verdict  # type: ignore[arg-type]


def test_of_a_configuration_no_reason_speaks_of_data_or_of_a_service() -> None:
    objectives = Objectives(rto_s=60.0)
    unknown = replace(GOOD, objectives=objectives, restores="configuration", recovery_time_s=None)
    reasons = [
        *decide(replace(unknown, audit_complete=False)).reasons,
        *decide(replace(unknown, watched_s=90.0)).reasons,
        *decide(replace(unknown, watched_s=30.0)).reasons,
    ]

    assert [
        "The comparison with what was there before did not complete.",
        "The workloads were not as ready as before within the RTO of 60 s.",
        "The workloads were not seen as ready as before within the 30 s that it was watched, so the recovery time is "
        "unknown.",
    ] == reasons


def test_a_promise_that_could_not_be_judged_is_inconclusive() -> None:
    verdict = decide(replace(GOOD, promises_unknown=("whether the queue recovers in time",)))

    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", 3)
    assert verdict.reasons == ("It is not known: whether the queue recovers in time.",)


def test_every_fact_that_decides_has_a_bad_value_under_test() -> None:
    declarations = {"objectives", "injects_fault", "keeps_ledger", "promises_unknown"}

    assert {name for name, *_ in BAD} | declarations == set(FACTS)


@pytest.mark.parametrize("first", range(len(BAD)))
def test_the_earlier_of_two_bad_facts_decides(first: int) -> None:
    name, value, outcome, code = BAD[first]
    for later_name, later_value, _, later_code in BAD[first + 1 :]:
        verdict = decide(replace(GOOD, **{name: value, later_name: later_value}))

        assert (verdict.verdict, verdict.exit_code) == (outcome, code)
        # Within one stage the order of reasons is free; across stages the earlier one stands first.
        if later_code != code:
            assert decide(replace(GOOD, **{name: value})).reasons[0] == verdict.reasons[0]
        assert len(verdict.reasons) == 2


@pytest.mark.parametrize("name", [name for name in FACTS if name not in {"refusals", "heals_failed"}])
def test_a_missing_fact_never_softens_a_failed_heal(name: str) -> None:
    verdict = decide(replace(GOOD, heals_failed=("zone-a",), **{name: None}))

    assert (verdict.verdict, verdict.exit_code) == ("failed", 4)


@pytest.mark.parametrize("name", ["recovery_time_s", "data_loss_s"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_a_broken_measurement_never_passes(name: str, value: float) -> None:
    assert decide(replace(GOOD, **{name: value})).exit_code == 3


def test_a_refused_run_gives_only_the_refusal_as_reason() -> None:
    verdict = decide(Facts(objectives=Objectives(), heals_failed=(), refusals=("run x holds the lock",)))

    assert verdict.reasons == ("The guard refused the run: run x holds the lock.",)


def test_an_interrupted_run_says_what_it_had_found_and_not_what_it_lacks() -> None:
    facts = replace(GOOD, interruptions=("SIGINT",), data_loss_s=1000.0, deviations=None, damage=None)

    verdict = decide(facts)

    assert verdict.exit_code == 130
    assert len(verdict.reasons) == 2
    assert "more than the RPO of 15 min" in verdict.reasons[1]


def test_a_rehearsal_that_declares_no_fault_needs_no_witness() -> None:
    assert decide(replace(GOOD, injects_fault=False, fault_proven=None)).verdict == "passed"
    assert decide(replace(GOOD, injects_fault=None, fault_proven=None)).verdict == "inconclusive"


def test_a_run_without_a_ledger_still_needs_its_data_loss_and_its_verification() -> None:
    bare = replace(
        GOOD, keeps_ledger=False, self_test_passed=None, corrupt=None, duplicate=None, unexpected=None
    )  # fmt: skip

    assert decide(bare).verdict == "passed"
    assert decide(replace(bare, data_loss_s=None)).verdict == "inconclusive"
    assert decide(replace(bare, damage=None)).verdict == "inconclusive"
    assert decide(replace(bare, audit_complete=None)).verdict == "inconclusive"


def test_the_backups_age_counts_as_data_loss_only_where_the_policy_accepts_it() -> None:
    unknown = replace(GOOD, keeps_ledger=False, data_loss_s=None, backup_age_s=600.0)

    assert decide(unknown).reasons[0].startswith("The data loss is unknown: configure restore.heartbeat")
    assert decide(replace(unknown, accepts_backup_age=True)).verdict == "passed"
    assert decide(replace(unknown, accepts_backup_age=True, backup_age_s=901.0)).verdict == "failed"
    assert decide(replace(unknown, accepts_backup_age=True, backup_age_s=None)).verdict == "inconclusive"


def test_an_accepted_backup_age_never_hides_a_measured_loss() -> None:
    facts = replace(GOOD, data_loss_s=901.0, accepts_backup_age=True, backup_age_s=1.0)

    assert decide(facts).verdict == "failed"


def test_a_service_not_restored_is_a_missed_objective_only_once_the_objective_has_passed() -> None:
    never = replace(GOOD, recovery_time_s=None)

    assert decide(replace(never, watched_s=14401.0)).exit_code == 1
    assert decide(replace(never, watched_s=120.0)).exit_code == 3
    assert "within the 2 min" in decide(replace(never, watched_s=120.0)).reasons[0]
    assert decide(replace(never, watched_s=None)).exit_code == 3


def test_a_miss_by_a_fraction_of_a_second_reads_as_a_miss() -> None:
    reason = decide(replace(GOOD, recovery_time_s=14400.4)).reasons[0]

    assert reason == "The recovery took 14400.400 s, longer than the RTO of 14400.000 s."


_found = st.none() | st.lists(st.sampled_from(["one flaw", "another flaw"]), max_size=2).map(tuple)
_truth = st.none() | st.booleans()
_seconds = st.none() | st.floats(allow_nan=True, allow_infinity=True)
_counts = st.none() | st.integers(0, 2)


@settings(max_examples=1000, deadline=None)
@given(
    st.builds(
        Facts,
        objectives=st.none() | st.just(Objectives()),
        injects_fault=_truth,
        keeps_ledger=_truth,
        accepts_backup_age=st.booleans(),
        heals_failed=_found,
        refusals=_found,
        interruptions=_found,
        unmet_before=_found,
        steps_failed=_found,
        fault_proven=_truth,
        audit_complete=_truth,
        self_test_passed=_truth,
        recovery_time_s=_seconds,
        watched_s=_seconds,
        data_loss_s=_seconds,
        backup_age_s=_seconds,
        corrupt=_counts,
        duplicate=_counts,
        unexpected=_counts,
        deviations=_found,
        damage=_found,
    )
)
def test_whatever_the_facts_a_verdict_is_consistent_and_passes_only_when_nothing_is_wrong(facts: Facts) -> None:
    verdict = decide(facts)

    assert (verdict.verdict == "passed") == (verdict.exit_code == 0) == (not verdict.reasons)
    assert verdict.exit_code in {"passed": {0}, "failed": {1, 4}, "inconclusive": {3, 5, 130}}[verdict.verdict]
    if verdict.verdict == "passed":
        assert all(getattr(facts, name) == () for name in FOUND)
