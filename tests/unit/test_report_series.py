"""A table of runs says each verdict; a pair says the difference; a matrix is passed only when losses show."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import sample_experiments

from ftchaos.report import series
from ftchaos.report.series import Row

MANNERS = ("kill", "lag", "partition")


def _row(
    manner: str = "",
    durability: str = "configured",
    verdict: str = "passed",
    lost: Mapping[str, int] | None = None,
    recovery_time_s: float | None = 3.2,
    reason: str = "all is well.",
    name: str = "mysql-primary-kill",
) -> Row:
    lost = {"mysql": 0, "redis": 0} if lost is None else lost
    return Row(name, manner, durability, verdict, recovery_time_s, lost, reason, 12_000)


def _cells(**changed: Row) -> list[Row]:
    """A matrix as it should be, with some cells changed, named like ``lag_weaker``."""
    rows = {f"{manner}_configured": _row(manner) for manner in MANNERS}
    rows["kill_weaker"] = _row("kill", "weaker")
    for manner in ("lag", "partition"):
        rows[f"{manner}_weaker"] = _row(manner, "weaker", "failed", {"mysql": 312, "redis": 0}, reason="lost.")
    return list((rows | changed).values())


def test_a_matrix_whose_weaker_cells_show_losses_passes() -> None:
    found = series.matrix(_cells())

    assert (found.verdict, found.exit_code, found.reasons) == ("passed", 0, ())
    assert "lag        passed, lost 0  failed, lost 312 in mysql" in found.text
    assert "| lag | passed, lost 0 | failed, lost 312 in mysql |" in found.markdown


@pytest.mark.parametrize("manner", ["lag", "partition"])
def test_a_weaker_cell_without_losses_means_that_the_instruments_are_blind(manner: str) -> None:
    found = series.matrix(_cells(**{f"{manner}_weaker": _row(manner, "weaker")}))

    assert (found.verdict, found.exit_code) == ("inconclusive", 3)
    assert found.reasons == (
        f"The instruments are blind: the cell '{manner}, weaker' lost none of 12,000 acknowledged writes, "
        "where losses must show.",
    )
    assert found.reasons[0] in found.text


def test_a_plain_kill_need_not_lose_anything() -> None:
    assert series.matrix(_cells(kill_weaker=_row("kill", "weaker", "inconclusive"))).verdict == "passed"


def test_a_configured_cell_that_failed_fails_the_matrix_even_where_the_instruments_are_blind() -> None:
    lost = _row("lag", verdict="failed", lost={"mysql": 3, "redis": 0}, reason="A promise was broken: 3 were lost.")
    found = series.matrix(_cells(lag_configured=lost, partition_weaker=_row("partition", "weaker")))

    assert (found.verdict, found.exit_code) == ("failed", 1)
    assert found.reasons[0] == "As configured the system did not pass lag: A promise was broken: 3 were lost."
    assert len(found.reasons) == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"lag_configured": _row("lag", verdict="inconclusive", reason="the fault was never seen")},
            "The cell 'lag, configured' is inconclusive: the fault was never seen.",
        ),
        (
            {"lag_configured": series.row({}, {"manner": "lag"}, "the lab is down")},
            "The cell 'lag, configured' was not run: the lab is down.",
        ),
        (
            {"lag_weaker": Row("x", "lag", "weaker", "inconclusive", None, None, "the audit did not complete")},
            "What the cell 'lag, weaker' lost is unknown: the audit did not complete.",
        ),
        (
            {"lag_weaker": series.row({}, {"manner": "lag", "durability": "weaker"}, "refused")},
            "The cell 'lag, weaker' was not run: refused.",
        ),
    ],
)
def test_a_cell_that_proves_nothing_leaves_the_matrix_inconclusive(changed: dict[str, Row], reason: str) -> None:
    found = series.matrix(_cells(**changed))

    assert (found.verdict, found.reasons) == ("inconclusive", (reason,))


def test_a_matrix_that_broke_off_is_not_passed_by_what_it_has() -> None:
    found = series.matrix([_row("kill"), _row("kill", "weaker")])

    assert found.verdict == "inconclusive"
    assert "The cell 'lag, weaker' was not run." in found.reasons


def test_a_table_has_aligned_columns_and_the_reason_of_each_run_that_did_not_pass() -> None:
    lost = {"mysql": 2_311, "redis": 4}
    text = series.table([_row("kill"), _row("partition", "weaker", "failed", lost, reason="A promise was broken.")])

    lines = text.splitlines()
    assert lines[0].split() == ["experiment", "manner", "durability", "verdict", "recovery", "lost"]
    assert lines[1].index("passed") == lines[2].index("failed")
    assert lines[2].endswith("3.2 s  2,315 (mysql 2,311, redis 4)")
    assert lines[3] == "  A promise was broken."
    assert lines[-1] == "2 runs: 1 passed, 1 failed"


def test_columns_that_say_the_same_of_every_run_are_left_out() -> None:
    assert series.table([_row()]).splitlines()[0].split() == ["experiment", "verdict", "recovery", "lost"]


def test_no_run_is_said_to_be_none() -> None:
    assert series.table([]) == "no run"


def test_markdown_escapes_what_a_run_supplies() -> None:
    assert "a \\| b" in series.markdown([_row(reason="a | b")])


def test_a_pair_says_the_difference_in_words_and_in_numbers() -> None:
    polite = _row(recovery_time_s=0.8, name="mysql-primary-failover")
    text, numbers = series.pair(polite, _row(lost={"mysql": 4, "redis": 0}, verdict="failed", recovery_time_s=3.2))

    assert "The polite one recovered 2.4 s sooner than the brutal one (0.8 s against 3.2 s)." in text
    assert "Of 12,000 acknowledged writes the polite one lost 0, of 12,000 the brutal one 4 in mysql." in text
    assert numbers["difference"] == {
        "recovery_time_s": pytest.approx(2.4), "lost": 4, "lost_by_store": {"mysql": 4, "redis": 0},
    }  # fmt: skip
    assert json.loads(json.dumps(numbers)) == numbers


def test_a_brutal_run_may_be_the_quicker_one() -> None:
    text, _ = series.pair(_row(recovery_time_s=4.0), _row(recovery_time_s=1.0))

    assert "The brutal one recovered 3 s sooner than the polite one (4 s against 1 s)." in text
    assert "Neither lost an acknowledged write." in text


def test_a_pair_of_equals_says_so() -> None:
    assert "Both recovered equally fast (3.2 s against 3.2 s)." in series.pair(_row(), _row())[0]


def test_a_pair_of_which_one_was_not_measured_has_no_difference() -> None:
    text, numbers = series.pair(_row(recovery_time_s=None), Row("x", "", "configured", "failed", None, None, "why."))

    assert "The difference in recovery time is unknown" in text
    assert "The difference in lost writes is unknown." in text
    assert set(numbers["difference"].values()) == {None}


def test_a_row_is_read_from_the_evidence_with_each_store_counted_once() -> None:
    evidence = json.loads(sample_experiments.zone_outage_failed().model_dump_json())
    found = series.row(evidence, {"manner": "lag", "durability": "weaker"})

    assert found.cell == "lag, weaker"
    assert found.lost == {"mysql": 0, "redis": 1_519}
    assert (found.verdict, found.recovery_time_s, found.acknowledged) == ("failed", 3.214, 22_912)
    assert found.reason == evidence["reasons"][0]


def test_a_run_that_lost_nothing_knowable_has_no_losses_at_all() -> None:
    evidence = json.loads(sample_experiments.zone_outage().model_dump_json())
    evidence["data"]["stores"], evidence["data"]["lost"] = {}, None

    assert series.row(evidence, {}).lost is None
    evidence["data"]["lost"] = 7
    assert series.row(evidence, {}).lost == {"all stores": 7}


def test_what_programs_get_of_a_series_is_plain_json() -> None:
    found = series.data([_row("kill"), series.row({}, {"name": "x"}, "refused")])

    assert json.loads(json.dumps(found)) == found
    assert found["counts"] == {"passed": 1, "not run": 1}
