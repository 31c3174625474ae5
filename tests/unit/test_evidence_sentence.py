"""The sentence says what happened with every number beside its objective."""

from __future__ import annotations

import samples

from ftchaos.evidence import Data, sentence


def test_a_recovery_without_loss_reads_like_the_promise() -> None:
    assert sentence(samples.passed()) == (
        "The MySQL primary, its replicas and their volumes were destroyed at 06:15:02Z, "
        "the service met its SLO again 14.2 s later (RTO 4 h), "
        "0 of 61,204 acknowledged writes were lost (RPO 15 min)."
    )


def test_a_loss_says_how_far_it_reaches() -> None:
    assert "13,107 of 61,204 acknowledged writes were lost, the oldest 16 min 42 s before the fault (RPO 15 min)" in (
        sentence(samples.failed())
    )


def test_what_was_not_measured_is_said_to_be_unknown() -> None:
    text = sentence(samples.inconclusive())

    assert "the service did not meet its SLO again within 22.4 s (RTO 4 h)" in text
    assert "the data loss is unknown (RPO 15 min)" in text


def test_a_rehearsal_speaks_of_no_fault() -> None:
    assert sentence(samples.rehearsal()) == (
        "The backup was restored and verified in 11.7 s (RTO 4 h), "
        "the data loss is unknown, the backup was 8 h 22 min old (RPO 15 min)."
    )


def test_a_rehearsal_that_did_not_end_says_so() -> None:
    run = samples.rehearsal()
    run.recovery.recovery_time_s = None

    assert sentence(run).startswith("The backup was not seen restored and verified (RTO 4 h)")


def test_a_heartbeat_is_named_as_the_source() -> None:
    run = samples.rehearsal()
    run.data = Data(data_loss_s=2.5, source="heartbeat")

    assert "the data loss by the heartbeat was 2.5 s (RPO 15 min)" in sentence(run)


def test_a_refused_run_touched_nothing() -> None:
    assert sentence(samples.refused()) == "The run was refused before anything was touched."
